"""What holds of every bundle's configs."""

import ast
import json
import re

import pytest
from monai.bundle import ConfigParser

from tests.bundles.commands import ROOT

BUNDLES = sorted(path.name for path in (ROOT / "bundles").iterdir() if path.is_dir())


@pytest.mark.parametrize("bundle", BUNDLES)
def test_configs_are_json_and_versions_agree(bundle):
    folder = ROOT / "bundles" / bundle / "configs"
    contents = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    assert {"metadata", "train", "evaluate", "inference", "multi_gpu_train", "phantom"} <= set(contents)
    metadata = contents["metadata"]
    required = {"schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task"}
    required |= {"description", "authors", "copyright", "network_data_format", "changelog"}
    assert required <= set(metadata)
    pins = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)
    assert metadata["monai_version"] == pins["monai"] and metadata["pytorch_version"] == pins["torch"]
    for name, version in metadata["required_packages_version"].items():
        assert pins[name] == version
    for name, content in contents.items():
        tags = content.get("tracker", {}).get("tags") if name != "metadata" else None
        assert tags is None or (tags["bundle"], tags["version"]) == (bundle, metadata["version"])


SHARED = {
    "train": (
        *(
            "imports",
            "datalist",
            "output_dir",
            "run_name",
            "parent_run",
            "tracking_uri",
            "resume",
            "device",
            "rank",
            "num_workers",
            "amp",
        ),
        *("accumulation_steps", "center_at_start", "val_interval", "loaded_datalist", "embedding_size", "text_pretrained"),
        *("image_encoder_name", "image_weights", "widen_factor", "image_size", "max_images", "cache_dir", "held_out_sites"),
        *("train#inferer", "train#trainer", "validate#handlers", "validate#evaluator", "rejected", "run", "finalize"),
    ),
    "evaluate": (
        *("imports", "datalist", "split", "checkpoint", "weights", "tokenizer_dir", "output_dir", "run_name", "parent_run"),
        *("tracking_uri", "device", "calibrate", "max_rejected_share", "loaded_datalist", "network", "rejected", "run", "finalize"),
        *("published_protocol", "pictures", "image_size", "max_images"),
    ),
    "inference": (
        *(
            "imports",
            "checkpoint",
            "weights",
            "tokenizer_dir",
            "calibration",
            "output_dir",
            "tracking_uri",
            "device",
            "num_workers",
        ),
        *("max_rejected_share", "training_run_id", "network", "dataset", "rejected", "writer", "initialize", "run", "finalize"),
        *("exams", "image_size", "max_images", "overlay_exams"),
    ),
}
"""Ids of what is written the same in every bundle that has them."""
HANDLERS = {
    "train": ("ValidationHandler", "LrScheduleHandler", "$lambda: @tracker", "RejectionHandler", "ProgressHandler"),
    "evaluate": ("RejectionHandler", "$lambda: @tracker", "ProgressHandler"),
    "inference": ("RejectionHandler", "ProgressHandler"),
}
"""Those that every bundle has, with the same arguments."""
OVERLAYS = [
    (bundle, path.stem)
    for bundle in BUNDLES
    for path in sorted((ROOT / "bundles" / bundle / "configs").glob("*.json"))
    if path.stem not in {"train", "evaluate", "inference", "metadata"} and not path.stem.startswith("label_efficiency")
]
MAX_EXPRESSION = 100


def config(bundle, name):
    return json.loads((ROOT / "bundles" / bundle / "configs" / f"{name}.json").read_text())


def expressions(value):
    """All `$` strings in a config."""
    if isinstance(value, str):
        return [value] if value.startswith("$") else []
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for item in values for found in expressions(item)]


@pytest.mark.parametrize(("name", "id"), [(name, id) for name, ids in SHARED.items() for id in ids])
def test_what_bundles_share_is_written_the_same(name, id):
    parsers = {bundle: ConfigParser(config(bundle, name)) for bundle in BUNDLES}
    written = {bundle: parser[id] for bundle, parser in parsers.items() if id in parser}
    assert len(written) > 1
    assert all(value == next(iter(written.values())) for value in written.values()), written


@pytest.mark.parametrize("name", HANDLERS)
def test_trackers_handlers_and_loaders_differ_where_they_must_alone(name):
    of_bundles = {bundle: config(bundle, name) for bundle in BUNDLES}
    if name != "inference":
        assert all(set(content["tracker"]["tags"]) == {"bundle", "version", "paper"} for content in of_bundles.values())
        trackers = [content["tracker"] | {"experiment": None, "tags": None} for content in of_bundles.values()]
        assert all(tracker == trackers[0] for tracker in trackers)
        assert all(content["tracker"]["experiment"] == bundle for bundle, content in of_bundles.items())
    for kind in HANDLERS[name]:
        lists = [content["train"]["handlers"] if name == "train" else content["handlers"] for content in of_bundles.values()]
        found = [[handler for handler in handlers if handler["_target_"].endswith(kind)] for handlers in lists]
        assert len(found[0]) == 1 and all(handlers == found[0] for handlers in found), (kind, found)
    if name == "train":
        loaders = [content[side]["dataloader"] for content in of_bundles.values() for side in ("train", "validate")]
        shared = {"batch_size": "@batch_size", "num_workers": "@num_workers", "collate": "@collate"}
        assert all(shared.items() <= loader.items() for loader in loaders)
    else:
        assert all(content["dataloader"].startswith("$scripts.loading.CaseLoader(@dataset, ") for content in of_bundles.values())


@pytest.mark.parametrize("bundle", BUNDLES)
def test_an_expression_is_a_name_or_a_call_and_names_no_other_bundle(bundle):
    for path in (ROOT / "bundles" / bundle / "configs").glob("*.json"):
        content = json.loads(path.read_text())
        for expression in expressions(content):
            assert len(expression) <= MAX_EXPRESSION, f"{path.stem}: make a function of {expression}"
            code = re.sub(r"@[\w#]+", lambda reference: reference[0][1:].replace("#", "_"), expression[1:])
            loops = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.NamedExpr
            found = [node for node in ast.walk(ast.parse(code)) if isinstance(node, loops)]
            assert not found, f"{path.stem}: make a function of {expression}"
        assert '"%' not in path.read_text(), f"{path} takes a part of another file, which a copy of the bundle would go on reading"


def changes_of_structure(overlay, bases):
    """Ids of an overlay whose value is built otherwise than in the configs that it merges over, or that none of them has."""
    for key, value in overlay.items():
        id = key.lstrip("+~")
        if key == "_desc_":
            continue
        there = [ConfigParser(base)[id] for base in bases if id in ConfigParser(base)]
        if not there or any(isinstance(value, dict | list) and _shape(value) != _shape(base) for base in there):
            yield id


def _shape(value):
    """What a value is built of: targets and keys, without the numbers and texts at its leaves."""
    if isinstance(value, dict):
        return {key: item if key == "_target_" else _shape(item) for key, item in value.items() if key != "_desc_"}
    return [_shape(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else None


@pytest.mark.parametrize(("bundle", "name"), OVERLAYS)
def test_an_overlay_that_changes_structure_says_so(bundle, name):
    overlay = config(bundle, name)
    bases = [config(bundle, main) for main in ("train", "evaluate", "inference")]
    assert overlay["_desc_"]
    for id in changes_of_structure(overlay, bases):
        described = isinstance(overlay.get(id), dict) and overlay[id].get("_desc_")
        word = re.split("#|::", id)[0]
        assert described or re.search(rf"\b{word}\b", overlay["_desc_"]), f"{bundle}/{name}: _desc_ does not say why {id} differs"


def test_what_counts_as_a_change_of_structure():
    base = {"loss": {"_target_": "A", "weight": 1.0}, "steps": [1, 2], "train": {"inferer": {"_target_": "B"}}, "path": "$f()"}
    changed = {"loss": {"_target_": "C", "weight": 1.0}, "train#inferer": {"_target_": "D"}, "new": 1, "path": {"_target_": "E"}}
    assert list(changes_of_structure(changed, [base])) == list(changed)
    assert list(changes_of_structure({"loss": {"_target_": "A", "weight": 0.0}, "steps": [3], "path": "$g()"}, [base])) == []
