"""An exported bundle's files: whole, checkable, of the weights that it holds; and what is refused."""

import hashlib
import json
import re
import shutil
import zipfile

import pytest
import torch
from monai.bundle import ConfigParser

from scripts.export import export_bundle
from scripts.export.bundle import SUMS
from scripts.export.configs import stand_alone_configs
from scripts.export.rules import MAX_BYTES, faults_of, too_large
from scripts.files.errors import UserError
from tests.export.trial import BUNDLES, ROOT

CXR = ROOT / "bundles" / "cxr_localization"
PHANTOM = CXR / "models" / "phantom"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    work = tmp_path_factory.mktemp("export")
    export = export_bundle(CXR, work / "cxr", files={"calibration": PHANTOM / "calibration.pt"})
    assert (
        export.path == work / "cxr"
        and export.too_large == {}
        and [path.name for path in work.iterdir() if path.is_dir()] == ["cxr"]
    )
    return export.path


@pytest.fixture
def copy(exported, tmp_path):
    """An export to spoil."""
    return shutil.copytree(exported, tmp_path / "copy")


def config(folder, name):
    return json.loads((folder / "configs" / f"{name}.json").read_text())


def write(folder, name, content):
    (folder / "configs" / f"{name}.json").write_text(json.dumps(content))


def test_every_file_has_its_hash(exported):
    sums = dict(reversed(line.split("  ")) for line in (exported / SUMS).read_text().splitlines())
    files = {path.relative_to(exported).as_posix(): path for path in exported.rglob("*") if path.is_file()}
    assert sums.keys() == files.keys() - {SUMS} and len(sums) > 100
    assert all(hashlib.sha256(files[name].read_bytes()).hexdigest() == digest for name, digest in sums.items())


def test_weights_tokenizer_and_calibration_keep_their_bytes(exported):
    for name in ("model.pt", "calibration.pt", "text_model/tokenizer.json", "text_model/config.json"):
        assert (exported / "models" / name).read_bytes() == (PHANTOM / name).read_bytes()


def test_configs_stand_alone_with_the_overlay_in_them(exported):
    inference, train = config(exported, "inference"), config(exported, "train")
    assert inference["film_size"] == 160 and inference["normalization"]["_target_"] == "NormalizeIntensityd"
    assert "learning_rate" not in inference and train["learning_rate"] == 0.001
    assert inference["_desc_"].startswith("Any films")
    assert (
        inference["calibration"] == "$@bundle_root + '/files/calibration.pt'" and (exported / "files" / "calibration.pt").is_file()
    )
    assert not (exported / "configs" / "phantom.json").exists() and (exported / "configs" / "multi_gpu_train.json").exists()
    for path in exported.glob("configs/*"):
        assert "bundles/" not in path.read_text(), path


def test_studies_of_the_command_line_stay_and_overlays_that_were_not_merged_come_along():
    configs = stand_alone_configs(ROOT / "bundles" / "npc_screening", ["linear_probe"], {})
    assert {"phantom", "full_finetuning", "multi_gpu_train"} <= configs.keys()
    assert not [name for name in configs if name.startswith("label_efficiency") or name in ("linear_probe", "metadata")]
    assert configs["train"]["frozen"] is True and "frozen" not in configs["inference"]
    assert configs["inference"]["inferer"] == {"_target_": "SimpleInferer"}


def test_an_overlay_reaches_into_configs_as_monai_merges_it(tmp_path):
    (tmp_path / "configs").mkdir()
    write(tmp_path, "metadata", {})
    write(tmp_path, "evaluate", {"bundle_root": "bundles/x"})
    write(tmp_path, "inference", {"bundle_root": "bundles/x", "network_def": {"_target_": "torch.nn.Identity"}, "size": 1})
    write(tmp_path, "train", {"bundle_root": "bundles/x", "train": {"steps": 1, "names": ["a"]}, "size": 1})
    write(tmp_path, "small", {"_desc_": "small", "size": 2, "train#steps": 3, "+train#names": ["b"], "other": 4})
    for name, content in stand_alone_configs(tmp_path, ["small"], {}).items():
        write(tmp_path, name, content)
    train, inference = (
        ConfigParser.load_config_files(str(tmp_path / "configs" / f"{name}.json")) for name in ("train", "inference")
    )
    assert train == {"bundle_root": ".", "train": {"steps": 3, "names": ["a", "b"]}, "size": 2}
    assert inference["size"] == 2 and inference["bundle_root"] == "." and not {"train", "other"} & inference.keys()


def test_metadata_tells_of_these_weights(exported):
    metadata = config(exported, "metadata")
    image, pred = metadata["network_data_format"]["inputs"]["image"], metadata["network_data_format"]["outputs"]["pred"]
    assert (image["spatial_shape"], image["value_range"]) == ([160, 160], [])
    assert (pred["num_channels"], pred["spatial_shape"]) == (64, [1])
    needed = metadata["required_packages_version"]
    assert {"pytorch-ignite", "nibabel", "scikit-learn", "opencv-python-headless", "mlflow"} <= needed.keys()
    pins = dict(line.split("==") for line in (exported / "requirements.txt").read_text().splitlines())
    assert pins == {"torch": "2.13.0", "monai": "1.6.1", "numpy": "2.2.6"} | needed
    ours = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)
    assert all(ours.get(name, number) == number for name, number in pins.items())


def test_the_readme_begins_with_this_copy(exported):
    text = (exported / "docs" / "README.md").read_text()
    digest = hashlib.sha256((PHANTOM / "model.pt").read_bytes()).hexdigest()
    assert (
        text.startswith("# Chest X-ray localization (AFLoc), standing alone") and digest in text and "phantom.json merged" in text
    )
    assert text.endswith((CXR / "docs" / "README.md").read_text())
    for name in set(re.findall(r"\bDIR/([\w./]+)", text)):
        assert (exported / name).exists(), name


def test_an_archive_holds_one_folder_and_is_the_same_each_time(tmp_path):
    first, again = (export_bundle(CXR, tmp_path / name).path for name in ("a.zip", "b.zip"))
    assert first.read_bytes() == again.read_bytes() and sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip"]
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None and {name.split("/")[0] for name in archive.namelist()} == {"cxr_localization"}
        assert all(entry.external_attr >> 16 == 0o644 for entry in archive.infolist())


def test_a_trainings_checkpoint_is_reduced_to_its_weights(tmp_path):
    state = torch.load(PHANTOM / "model.pt", weights_only=True)
    shutil.copytree(PHANTOM / "text_model", tmp_path / "run" / "text_model")
    torch.save(state | {"optimizer": {"x": torch.zeros(10)}}, tmp_path / "run" / "checkpoint_best.pt")
    export = export_bundle(CXR, tmp_path / "out", tmp_path / "run" / "checkpoint_best.pt", ["phantom"])
    kept = torch.load(export.path / "models" / "model.pt", weights_only=True)
    assert kept.keys() == state.keys() and all(torch.equal(kept["network"][key], value) for key, value in state["network"].items())
    assert not (export.path / "models" / "calibration.pt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bundle": ROOT / "bundles" / "nothing"}, r"no .*nothing/configs/metadata\.json"),
        ({"files": {"phrases": "gone.txt"}}, r"no gone\.txt"),
        ({"files": {"wording": PHANTOM / "calibration.pt"}}, r"no key wording"),
        ({"overlays": ["phantoms"]}, r"no overlay phantoms; it has multi_gpu_train, phantom"),
        ({"checkpoint": "gone.pt"}, r"no checkpoint at gone\.pt"),
        ({"checkpoint": PHANTOM / "model.pt"}, r"trained with film_size 160 \(now 224\).*--overlays"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_written(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        export_bundle(**{"bundle": CXR, "output": tmp_path / "out", **arguments})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_not_touched(tmp_path):
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(UserError, match="not an empty folder"):
        export_bundle(CXR, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_faults_are_told_all_at_once(copy):
    assert faults_of(copy) == []
    metadata = config(copy, "metadata")
    metadata["network_data_format"]["inputs"]["image"].pop("dtype")
    write(copy, "metadata", metadata | {"version": "0.2.0", "authors": ["A", "B"]})
    inference = config(copy, "inference")
    inference.pop("evaluator")
    write(copy, "inference", inference)
    faults = "\n".join(faults_of(copy))
    for told in (
        "authors",
        "'dtype' is a required property",
        "changelog says nothing of version 0.2.0",
        "inference.json lacks evaluator",
    ):
        assert told in faults
    assert len(faults_of(copy)) == 4
    (copy / "LICENSE").unlink()
    assert faults_of(copy) == ["LICENSE is missing"]


def test_files_above_the_zoos_limit_are_named(tmp_path):
    (tmp_path / "models").mkdir()
    for name, size in (("small.pt", MAX_BYTES), ("large.pt", MAX_BYTES + 1)):
        with open(tmp_path / "models" / name, "wb") as file:
            file.truncate(size)
    assert too_large(tmp_path) == {"models/large.pt": MAX_BYTES + 1}


def test_all_bundles_are_tried():
    assert sorted(BUNDLES) == sorted(path.name for path in (ROOT / "bundles").iterdir() if path.is_dir())
