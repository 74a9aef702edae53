import json
from dataclasses import asdict, fields

import cv2
import nibabel as nib
import numpy as np
import pytest

from scripts.cases import Finding
from scripts.files.errors import PredictionError
from scripts.predictions.predictions import PredictionWriter, finding_name, read_predictions

MODEL = {"bundle": "cxr_localization", "version": "0.1.0", "checkpoint_sha256": "0" * 64, "mlflow_run_id": None}


def square() -> np.ndarray:
    mask = np.zeros((40, 50), bool)
    mask[10:20, 5:30] = True
    return mask


def names(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_is_written_reads_back(tmp_path):
    box = np.array([5, 10, 25, 10])
    finding = Finding("Pneumonia", "opacity", probability=np.float32(0.5), confidence=1, box=box, mask=square())
    with PredictionWriter(tmp_path / "out", "cxr", MODEL) as writer:
        writer.add("s/1 a", ["/films/1.png"], [finding, Finding("Normal", reason="a normal statement")])
        writer.add("s2", ["films/2.png"], [])
    name = finding_name("s/1 a", 0) + ".png"
    assert names(tmp_path / "out") == ["masks", f"masks/{name}", "predictions.jsonl"]
    first, second = read_predictions(tmp_path / "out")
    assert first["case_id"] == "s/1 a" and first["domain"] == "cxr" and first["model"] == MODEL
    whole, normal = map(asdict, first["findings"])
    mask = str(tmp_path / "out" / "masks" / name)
    unknown = dict.fromkeys(field.name for field in fields(Finding))
    said = {"label": "Pneumonia", "text": "opacity", "probability": 0.5, "confidence": 1}
    assert whole == unknown | said | {"image_index": 0, "box": [5, 10, 25, 10], "mask": mask}
    assert normal == unknown | {"label": "Normal", "reason": "a normal statement"}
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    always = {"label", "text", "anatomy", "probability", "confidence", "image_index", "box", "mask"}
    assert [set(finding) for finding in lines[0]["findings"]] == [always, always | {"reason"}]
    assert second["images"] == [str(tmp_path / "out" / "films/2.png")] and second["findings"] == []
    stored = cv2.imread(first["findings"][0].mask, cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint8 and np.array_equal(stored, square() * np.uint8(255))
    assert lines[0]["images"] == ["/films/1.png"]


def test_an_exception_leaves_older_predictions_and_nothing_half(tmp_path):
    with PredictionWriter(tmp_path, "cxr", MODEL) as writer:
        writer.add("old", ["a.png"], [Finding("x", mask=square())])
    before = names(tmp_path)
    with pytest.raises(RuntimeError), PredictionWriter(tmp_path, "cxr", MODEL) as writer:
        writer.add("new", ["a.png"], [Finding("x", mask=square())])
        raise RuntimeError
    assert names(tmp_path) == before
    with PredictionWriter(tmp_path, "cxr", MODEL) as writer:
        writer.add("new", ["a.png"], [Finding("x", mask=square())])
    assert names(tmp_path) == ["masks", f"masks/{finding_name('new', 0)}.png", "predictions.jsonl"]


def test_names_of_masks_are_legal_and_never_the_same():
    cases = ["a/b", "a_b", "A_b", "a b", "../a", "ä" * 300, "ä" * 299, "", "a-0"]
    made = [finding_name(case, index) + ".png" for case in cases for index in (0, 1, 10)]
    assert len({name.lower() for name in made}) == len(made)
    assert all(len(name) < 100 and name.isascii() and not set(name) & set('/\\ :*?"<>|') for name in made)


@pytest.mark.parametrize(
    ("finding", "key", "words"),
    [
        ({"label": None}, "label", "is null, not text"),
        ({"label": " "}, "label", "is empty"),
        ({"label": "x", "probability": 1.5}, "probability", "from 0 to 1"),
        ({"label": "x", "probability": np.nan}, "probability", "from 0 to 1"),
        ({"label": "x", "confidence": -0.1}, "confidence", "from 0 to 1"),
        ({"label": "x", "confidence": True}, "confidence", "from 0 to 1"),
        ({"label": "x", "box": [0, 0, 51, 5], "mask": square()}, "box", "leaves the image of 50 x 40"),
        ({"label": "x", "box": [0, 0, 0, 5]}, "box", "has no area"),
        ({"label": "x", "box": [-1, 0, 5, 5]}, "box", "begins left"),
        ({"label": "x", "box": [0, 0, np.inf, 5]}, "box", "four finite numbers"),
        ({"label": "x", "box": 3}, "box", "four finite numbers"),
        ({"label": "x", "image_index": 1}, "image_index", "beyond the 1 image"),
        ({"label": "x", "mask": square().astype(float)}, "mask", "bool array"),
        ({"label": "x", "mask": square()[None]}, "mask", "bool array"),
        ({"label": "x", "mask": ~np.ones((4, 4), bool)}, "mask", "marks no pixel"),
    ],
)
def test_a_wrong_finding_is_refused_with_its_place(tmp_path, finding, key, words):
    with PredictionWriter(tmp_path, "cxr", MODEL) as writer:
        with pytest.raises(PredictionError) as caught:
            writer.add("s1", ["a.png"], [Finding("fine"), Finding(**finding)])
        assert f"s1, findings[1].{key}" in str(caught.value) and words in str(caught.value)
        writer.add("s1", ["a.png"], [])  # the refused case left no trace
    assert len(read_predictions(tmp_path)) == 1 and names(tmp_path) == ["masks", "predictions.jsonl"]


def test_all_faults_of_a_case_at_once(tmp_path):
    findings = [
        Finding("x", probability=2, box=[0, 0, 51, 5], image_index=0),
        Finding("x", mask=square(), image_index=0),
        Finding("x", mask=square().T, image_index=0),
        Finding("x", mask=square()),
    ]
    with PredictionWriter(tmp_path, "nasal", MODEL) as writer, pytest.raises(PredictionError) as caught:
        writer.add("e1", ["a.png", "b.png"], findings)
    for words in ("4 faults", "findings[0].probability", "findings[0].box", "findings[2].mask: has shape (50, 40)"):
        assert words in str(caught.value)
    assert "findings[3].image_index = null: is null although there is a mask" in str(caught.value)


def test_a_case_is_written_once(tmp_path):
    with PredictionWriter(tmp_path, "cxr", MODEL) as writer:
        writer.add("s1", ["a.png"], [])
        with pytest.raises(PredictionError, match="stands there already"):
            writer.add("s1", ["a.png"], [])


def test_the_run_is_checked_before_the_first_case(tmp_path):
    with pytest.raises(PredictionError) as caught:
        PredictionWriter(tmp_path, "crx", {**MODEL, "checkpoint_sha256": "abc", "versoin": 1})
    for words in ('perhaps "cxr" is meant', "model.checkpoint_sha256", 'perhaps "version" is meant', "3 faults"):
        assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_reading_names_every_faulty_line(tmp_path):
    with PredictionWriter(tmp_path, "cxr", MODEL) as writer:
        writer.add("s1", ["a.png"], [Finding("x", mask=square())])
    line = (tmp_path / "predictions.jsonl").read_text()
    case = json.loads(line)
    case["findings"][0].update(box=[0, 0, 51, 4], mask="masks/gone.png")
    other = {**json.loads(line), "case_id": "s3", "findings": [{"label": "x"}]}
    lines = [line.strip(), line[:40], json.dumps(case), json.dumps(other), "3"]
    (tmp_path / "predictions.jsonl").write_text("\n".join(lines))
    with pytest.raises(PredictionError) as caught:
        read_predictions(tmp_path / "predictions.jsonl")
    for words in (
        "line 2: is not JSON",
        "line 3, case_id",
        "line 3, findings[0].mask",
        "line 4, findings[0].probability: is required",
        "line 5 = 3: is a number",
    ):
        assert words in str(caught.value)


def test_no_predictions(tmp_path):
    with pytest.raises(PredictionError, match="does not exist"):
        read_predictions(tmp_path)


def test_saliency_of_a_volume_keeps_its_grid(tmp_path):
    affine = np.array([[-0.8, 0, 0, 100], [0, -0.8, 0, 120], [0, 0, 2.5, -300], [0, 0, 0, 1]])
    values = np.random.default_rng(0).random((12, 10, 9)).astype(np.float32)
    finding = {"label": "Emphysema", "anatomy": "lung", "probability": 0.7, "key_slice": 4}
    with PredictionWriter(tmp_path, "ct", MODEL) as writer:
        writer.add("v1", ["v1.nii.gz"], [Finding(**finding, saliency=nib.Nifti1Image(values, affine)), Finding(**finding)])
    (case,) = read_predictions(tmp_path)
    stored = nib.load(case["findings"][0].saliency)
    assert np.allclose(stored.affine, affine) and np.array_equal(stored.get_fdata(dtype=np.float32), values)
    assert case["findings"][0].key_slice == 4 and case["findings"][1].saliency is None
    with PredictionWriter(tmp_path, "ct", MODEL) as writer:
        writer.add("v1", ["v1.nii.gz"], [Finding(**finding)])
    assert not (tmp_path / "saliency").exists()


def test_a_saliency_of_another_kind_is_refused(tmp_path):
    flat = nib.Nifti1Image(np.zeros((4, 4), np.float32), np.eye(4))
    with pytest.raises(PredictionError) as fault, PredictionWriter(tmp_path, "ct", MODEL) as writer:
        writer.add("v1", ["v1.nii.gz"], [Finding("x", saliency=flat, key_slice=-1)])
    assert "has 2 dimensions" in str(fault.value) and "bad key slice" in str(fault.value)


def test_predictions_of_before_name_the_new_word(tmp_path):
    with PredictionWriter(tmp_path, "cxr", MODEL) as writer:
        writer.add("s1", ["a.png"], [])
    case = json.loads((tmp_path / "predictions.jsonl").read_text())
    case["task"] = case.pop("domain")
    (tmp_path / "predictions.jsonl").write_text(json.dumps(case))
    with pytest.raises(PredictionError, match='line 1, task = "cxr": is called "domain" now') as caught:
        read_predictions(tmp_path)
    assert "1 fault" in str(caught.value)
