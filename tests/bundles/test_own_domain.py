"""A fifth domain: a folder outside the package goes all the way, and nothing in the package knows its name."""

import json
import subprocess

import numpy as np
import pytest
from PIL import Image

from scripts.__main__ import VERBS
from scripts.commands.command_line import run_command
from scripts.datalists.datalist import load_datalist, save_datalist
from scripts.predictions.predictions import read_predictions
from tests.bundles.commands import ROOT, Bundle
from tests.bundles.own_domain import FINDINGS, NAME, write_domain, write_photographs

CXR = Bundle("cxr_localization")
SMALL = ["--max_epochs", "1", "--batch_size", "8", "--widen_factor", "0.25", "--film_size", "64", "--input_size", "64"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Folder of the domain."""
    return write_domain(tmp_path_factory.mktemp("domains"))


@pytest.fixture(scope="module")
def dishes(own, tmp_path_factory):
    """Folder of the photographs and their datalist, made and checked by the command line."""
    folder = tmp_path_factory.mktemp("dishes") / "data"
    table = write_photographs(folder, {"training": 24, "validation": 12, "test": 8})
    arguments = ["datalist", "image-table", "--source_dir", folder / "photographs", "--table", table, "--domain", own]
    arguments += ["--output", folder / "datalist.json", "--study_column", "study", "--patient_column", "patient"]
    arguments += ["--image_column", "file", "--report_column", "report", "--split_column", "split"]
    arguments += ["--label_columns", ",".join(FINDINGS)]
    assert run_command(VERBS, "scripts", list(map(str, arguments))) == 0
    # The table says which findings there are; where they are, the expert has marked.
    cases, findings = load_datalist(folder / "datalist.json"), json.loads((folder / "findings.json").read_text())
    splits = {
        split: [record | {"findings": findings.get(record["study_id"], [])} for record in records]
        for split, records in cases.splits.items()
    }
    save_datalist(folder / "datalist.json", cases.domain, splits, name="dishes")
    assert run_command(VERBS, "scripts", ["check-datalist", str(folder / "datalist.json")]) == 0
    return folder


@pytest.fixture(scope="module")
def settings(own, dishes, tmp_path_factory):
    store = tmp_path_factory.mktemp("store") / "mlflow.db"
    return ["--domain", own, "--dataset_dir", dishes, "--tracking_uri", f"sqlite:///{store}"]


@pytest.fixture(scope="module")
def trained(settings, tmp_path_factory):
    output = tmp_path_factory.mktemp("train")
    CXR.run(("train", "phantom"), *settings, *SMALL, "--output_dir", output)
    return output


@pytest.fixture(scope="module")
def predicted(settings, trained, dishes, tmp_path_factory):
    output = tmp_path_factory.mktemp("predictions")
    checkpoint = ["--checkpoint", trained / "checkpoint_last.pt", "--film_size", "64"]
    evaluated = tmp_path_factory.mktemp("evaluate")
    CXR.run(("evaluate", "phantom"), *settings, *checkpoint, "--output_dir", evaluated, "--prompts", "dishes")
    phrases = ["--phrases", "['green spot in the dish','no violet spot','der Teller ist leer']"]
    where = ["--films", dishes / "photographs", "--output_dir", output]
    CXR.run(("inference", "phantom"), *settings[:4], *checkpoint, *where, *phrases)
    return evaluated, output


def test_the_datalist_names_the_folder(own, dishes):
    cases = load_datalist(dishes / "datalist.json")
    assert cases.domain.folder == own and cases.kind.name == "image"
    assert {split: len(records) for split, records in cases.splits.items()} == {"training": 24, "validation": 12, "test": 8}


def test_evaluation_tells_its_findings_apart(predicted):
    metrics = json.loads((predicted[0] / "metrics.json").read_text())
    assert {"macro", *FINDINGS} <= metrics["classification"].keys()
    assert metrics["localization"]["all"]["cases"] > 0 and metrics["shown"]["negated"]["estimate"] == 0


def test_inference_answers_in_the_photographs_own_pixels(own, predicted):
    cases = read_predictions(predicted[1])
    assert len(cases) == 44 and {case["domain"] for case in cases} == {str(own)}
    for case in cases:
        asked = {finding.text: finding for finding in case["findings"]}
        assert asked["no violet spot"].mask is None and asked["no violet spot"].reason
        for finding in case["findings"]:
            if finding.mask is not None:
                mask = np.asarray(Image.open(finding.mask)) > 0
                assert mask.shape[::-1] == Image.open(case["images"][0]).size


def test_no_python_knows_the_domain():
    found = subprocess.run(["git", "grep", "-l", NAME, "--", "scripts", "integrations"], cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (1, "")  # git says so where nothing is found
    names = r"""(==|!=|in|case) *[\(\[{]?['"](cxr|nasal|ct|npc|fundus|film)['"]"""
    found = subprocess.run(["git", "grep", "-nE", names, "--", "scripts", "integrations"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode in (0, 1), found.stderr
    allowed = ("scripts/domains/", "scripts/phantoms/", "scripts/datalists/sources/")
    assert [line for line in found.stdout.splitlines() if not line.startswith(allowed)] == []
