"""A small raw CT data set made ready for training."""

import json
import logging
import os
import stat
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scripts.datalists.datalist import check_datalist, load_datalist
from scripts.files.errors import UserError
from scripts.preparation import prepare as ct_preparation
from scripts.preparation.language_model import LanguageModelDecomposer
from scripts.preparation.prepare import prepare_datalist
from scripts.preparation.volume import prepare_volume, read_prepared
from scripts.readers.volume import read_volume
from scripts.reports.by_anatomy.reports import decompose_report
from scripts.reports.by_anatomy.table import AnatomyTable
from tests.small_language_model import write_language_model

SHAPE = (24, 20, 12)
AFFINE = np.diag([-2.0, 2.0, 4.0, 1.0])  # LAS, so that preparing turns it
OPTIONS = {"spacing": (2.0, 2.0, 4.0), "min_size": (14, 20, 24), "workers": 1}
REPORT = "FINDINGS: Heart size is normal. There is a nodule in the right lung. IMPRESSION: Lung nodule."


def save(path: Path, voxels: np.ndarray) -> str:
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, AFFINE), path)
    return str(path)


def labels(heart: bool = True) -> np.ndarray:
    """Lung at a face, heart, esophagus, a liver that no anatomy of ct_rate takes; no aorta."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[0:6, 5:15, 2:10], mask[8:14, 5:9, 4:8], mask[15:17, 12:14, 3:9], mask[18:22, 3:9, 1:4] = 11, 51 * heart, 15, 5
    return mask


def raw_record(folder: Path, number: int, **more) -> dict:
    values = np.random.default_rng(number).integers(-1000, 300, SHAPE).astype(np.int16)
    image = save(folder / "raw" / f"v{number}.nii.gz", values)
    return {"volume_id": f"v{number}", "patient_id": f"p{number}", "image": image, **more}


@pytest.fixture
def raw(tmp_path):
    """Two volumes that can be prepared, and four that cannot."""
    mask = save(tmp_path / "raw" / "mask.nii.gz", labels())
    other = save(tmp_path / "raw" / "other.nii.gz", labels() + np.uint8(200) * (labels() > 0))
    small = save(tmp_path / "raw" / "small.nii.gz", labels()[:-1])
    training = [raw_record(tmp_path, 1, anatomy_mask=mask, report=REPORT)]
    training.append(raw_record(tmp_path, 2, anatomy_mask=save(tmp_path / "raw" / "m2.nii", labels(heart=False)), report=REPORT))
    test = [raw_record(tmp_path, 3, labels={"Lung nodule": 1}), raw_record(tmp_path, 4, anatomy_mask=other)]
    test += [raw_record(tmp_path, 5, anatomy_mask=small), raw_record(tmp_path, 6, anatomy_mask=mask)]
    Path(test[3]["image"]).write_bytes(b"no volume")
    return write(tmp_path, training=training, test=test)


def write(folder: Path, **splits) -> Path:
    path = folder / "raw.json"
    path.write_text(json.dumps({"domain": "ct", "name": "few", **{key: value for key, value in splits.items() if value}}))
    return path


def rejected(output: Path) -> dict[str, str]:
    lines = (output / "rejected.jsonl").read_text().splitlines()
    return {line["case_id"]: line["reason"] for line in map(json.loads, lines)}


def test_records_files_and_what_is_told(raw, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        path = prepare_datalist(raw, tmp_path / "out", **OPTIONS)
    assert path == tmp_path / "out" / "datalist.json" and check_datalist(path, progress=False) == []
    cases = load_datalist(path)
    assert cases.name == "few" and list(cases.splits) == ["training"]
    first, second = cases.split("training")
    source = load_datalist(raw).split("training")[0]
    table = AnatomyTable.load("ct_rate", "ct")
    assert first == {
        "volume_id": "v1",
        "patient_id": "p1",
        "image": str(tmp_path / "out" / "volumes" / "v1.nii"),
        "anatomy_mask": str(tmp_path / "out" / "masks" / "v1.nii.gz"),
        "source_image": source["image"],
        "source_mask": source["anatomy_mask"],
        "reports": decompose_report(REPORT, table),
    }
    assert json.loads(path.read_text())["training"][0]["image"] == "volumes/v1.nii"
    anatomies = np.zeros(SHAPE, np.uint8)
    for label, value in ((11, 1), (51, 2), (15, 3)):
        anatomies[labels() == label] = value
    wanted = prepare_volume(read_volume(source["image"]), anatomies, OPTIONS["spacing"], OPTIONS["min_size"])
    found = read_prepared(first["image"], first["anatomy_mask"])
    assert np.array_equal(found.image, wanted.image) and np.array_equal(found.mask, wanted.mask)
    assert set(np.unique(read_prepared(second["image"], second["anatomy_mask"]).mask)) == {0, 1, 3}
    assert "not in the mask: aorta of 2, heart of 1" in caplog.text and "cut off by the field of view: lung of 2" in caplog.text
    assert "4 volumes were set aside" in caplog.text


def test_volumes_that_fail_are_set_aside_with_the_reason(raw, tmp_path):
    prepare_datalist(raw, tmp_path / "out", **OPTIONS)
    reasons = rejected(tmp_path / "out")
    assert list(reasons) == ["v3", "v4", "v5", "v6"]
    assert "no anatomy_mask" in reasons["v3"] and "--segment" in reasons["v3"]
    assert "205, 211, 215, 251" in reasons["v4"] and "--label_table" in reasons["v4"]
    assert "has shape 23 x 20 x 12" in reasons["v5"] and "v6.nii.gz" in reasons["v6"]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.nii*")) == ["v1.nii", "v1.nii.gz", "v2.nii", "v2.nii.gz"]


@pytest.mark.slow
def test_any_number_of_workers_prepares_the_same(raw, tmp_path):
    one = prepare_datalist(raw, tmp_path / "one", **OPTIONS).parent
    two = prepare_datalist(raw, tmp_path / "two", **{**OPTIONS, "workers": 2}).parent
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file()) and len(names) == 8
    for name in names:
        if name.name.endswith(".nii.gz"):  # the compressed file holds the time
            assert nib.load(one / name).dataobj[:].tobytes() == nib.load(two / name).dataobj[:].tobytes()
        else:
            assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_a_stopped_run_goes_on_and_prepares_only_what_is_missing(raw, tmp_path, caplog, monkeypatch):
    out = prepare_datalist(raw, tmp_path / "out", **OPTIONS).parent
    before = (out / "datalist.json").read_bytes()
    kept = (out / "volumes" / "v1.nii").stat().st_mtime_ns
    (out / "masks" / "v2.nii.gz").unlink()
    (out / "datalist.json").unlink()
    with open(out / "prepared.jsonl", "a") as file:
        file.write('{"volume_id": "v')  # a kill in the middle of a line
    made = []
    prepare = ct_preparation.prepare_volume
    monkeypatch.setattr(
        ct_preparation, "prepare_volume", lambda volume, *more: made.append(volume.path.name) or prepare(volume, *more)
    )
    with caplog.at_level(logging.WARNING):
        prepare_datalist(raw, out, **OPTIONS)
    assert made == ["v2.nii.gz"] and (out / "volumes" / "v1.nii").stat().st_mtime_ns == kept
    assert (out / "datalist.json").read_bytes() == before and (out / "masks" / "v2.nii.gz").is_file()
    assert "aorta of 2, heart of 1" in caplog.text  # of all volumes, not of those made now
    assert len((out / "prepared.jsonl").read_text().splitlines()) == 3


def test_a_volume_from_another_file_is_prepared_anew(raw, tmp_path):
    out = prepare_datalist(raw, tmp_path / "out", **OPTIONS).parent
    first = (out / "volumes" / "v1.nii").read_bytes()
    content = json.loads(raw.read_text())
    content["training"][0]["image"] = content["training"][1]["image"]
    raw.write_text(json.dumps(content))
    prepare_datalist(raw, out, **OPTIONS)
    assert (out / "volumes" / "v1.nii").read_bytes() != first


@pytest.mark.parametrize(
    ("changed", "words"), [({"spacing": (1.0, 1.0, 4.0)}, "spacing was"), ({"anatomies": "wide"}, "anatomies was")]
)
def test_other_settings_need_another_folder(raw, tmp_path, changed, words):
    prepare_datalist(raw, tmp_path / "out", **OPTIONS)
    with pytest.raises(UserError, match=words) as caught:
        prepare_datalist(raw, tmp_path / "out", **OPTIONS | changed)
    assert "another --output" in str(caught.value)


def test_what_cannot_be_started(raw, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="workers"):
        prepare_datalist(raw, tmp_path / "out", workers=0)
    films = tmp_path / "films.json"
    films.write_text(json.dumps({"domain": "cxr", "test": [{"study_id": "s", "patient_id": "p", "image": "s.png"}]}))
    with pytest.raises(UserError, match="chest films: give one of volumes"):
        prepare_datalist(films, tmp_path / "out")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="pip install TotalSegmentator"):
        prepare_datalist(raw, tmp_path / "out", segment=True)
    with pytest.raises(UserError, match="--label_table"):
        prepare_datalist(raw, tmp_path / "out", segment=True, label_table="mine.json")
    assert not (tmp_path / "out").exists()


def test_nothing_prepared_is_an_error_and_an_id_that_is_no_file_name_a_rejection(tmp_path):
    mask = save(tmp_path / "raw" / "mask.nii.gz", labels())
    record = raw_record(tmp_path, 1, anatomy_mask=mask) | {"volume_id": "../v1"}
    with pytest.raises(UserError, match=r"none of the 1 volumes.*rejected\.jsonl"):
        prepare_datalist(write(tmp_path, test=[record]), tmp_path / "out", **OPTIONS)
    assert "cannot name a file" in rejected(tmp_path / "out")["../v1"]
    assert not (tmp_path / "out" / "datalist.json").exists()


SEGMENTER = """#!{python}
import shutil, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert sys.argv[-1] == "--ml" and options["-o"].endswith(".nii.gz")
open({log!r}, "a").write(options["-i"] + "\\n")
if "v2" in options["-i"]:
    sys.exit("no weights")
shutil.copy({mask!r}, options["-o"])
"""


def test_segment_makes_the_masks_that_are_missing_once(tmp_path, monkeypatch):
    mask, log = save(tmp_path / "raw" / "mask.nii.gz", labels()), tmp_path / "log.txt"
    program = tmp_path / "bin" / "TotalSegmentator"
    program.parent.mkdir()
    program.write_text(SEGMENTER.format(python=os.sys.executable, log=str(log), mask=mask))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    records = [raw_record(tmp_path, 1), raw_record(tmp_path, 2), raw_record(tmp_path, 3, anatomy_mask=mask)]
    datalist = write(tmp_path, test=records)
    for _ in range(2):
        cases = load_datalist(prepare_datalist(datalist, tmp_path / "out", segment=True, **OPTIONS))
    first, third = cases.split("test")
    assert first["source_mask"] == str(tmp_path / "out" / "segmentations" / "v1.nii.gz") and third["source_mask"] == mask
    assert read_prepared(first["image"], first["anatomy_mask"]).mask.any()
    assert [Path(line).name for line in log.read_text().split()] == [
        "v1.nii.gz",
        "v2.nii.gz",
        "v2.nii.gz",
    ]  # a failure is tried again
    assert "exit status 1): no weights" in rejected(tmp_path / "out")["v2"]


@pytest.fixture
def language_model(tmp_path):
    return write_language_model(tmp_path / "model", positions=2048)


def answers_with(monkeypatch, answer) -> list[str]:
    """Make every language model generate an answer, or what a function gives; gives the tasks that were asked."""
    asked = []

    def generate(decomposer, task, max_new_tokens):
        asked.append(task)
        return answer(len(asked)) if callable(answer) else answer

    monkeypatch.setattr(LanguageModelDecomposer, "_generate", generate)
    return asked


def reports_of(datalist: Path) -> list[dict]:
    return [record["reports"] for record in load_datalist(datalist).split("training")]


def journal(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "reports.jsonl").read_text().splitlines()]


ON_THE_AORTA = '{"1": {"aorta": true}}'
ITS_TEXTS = {name: f"{name} shows no significant abnormalities." for name in ("lung", "heart", "esophagus")}
ITS_TEXTS["aorta"] = "There is a nodule in the right lung."


def test_a_language_model_takes_reports_apart(raw, tmp_path, language_model, monkeypatch):
    """Equal reports are asked about once, and reports of volumes that were set aside not at all."""
    content = json.loads(raw.read_text())
    content["test"][0]["report"] = "Nothing that anybody should be asked about."
    raw.write_text(json.dumps(content))
    asked = answers_with(monkeypatch, ON_THE_AORTA)
    path = prepare_datalist(raw, tmp_path / "out", **OPTIONS, language_model=language_model)
    assert reports_of(path) == [ITS_TEXTS, ITS_TEXTS]
    assert len(asked) == 1 and "1: There is a nodule in the right lung" in asked[0]
    assert "report" not in load_datalist(path).split("training")[0]
    assert [(line["by_words"], line["reports"]) for line in journal(path.parent)] == [(False, ITS_TEXTS)]
    assert check_datalist(path, progress=False) == []


def test_finished_reports_are_not_asked_again(raw, tmp_path, language_model, monkeypatch):
    content = json.loads(raw.read_text())
    content["training"][1]["report"] = "FINDINGS: The aorta is calcified. The heart is normal."
    raw.write_text(json.dumps(content))

    def stop_at_the_second(count):
        if count == 2:
            raise KeyboardInterrupt
        return ON_THE_AORTA

    answers_with(monkeypatch, stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        prepare_datalist(raw, tmp_path / "out", **OPTIONS, language_model=language_model)
    assert not (tmp_path / "out" / "datalist.json").exists()
    with open(tmp_path / "out" / "reports.jsonl", "a") as file:
        file.write('{"key": "12')  # a kill in the middle of a line
    asked = answers_with(monkeypatch, "{}")
    for _ in range(2):
        path = prepare_datalist(raw, tmp_path / "out", **OPTIONS, language_model=language_model)
    assert len(asked) == 1 and "The aorta is calcified" in asked[0] and len(journal(path.parent)) == 2
    first, second = reports_of(path)
    assert first == ITS_TEXTS and set(second.values()) == {f"{name} shows no significant abnormalities." for name in second}
    other = write_language_model(tmp_path / "other", positions=2048)
    prepare_datalist(raw, tmp_path / "out", **OPTIONS, language_model=other)
    assert len(asked) == 3  # another model's answers are its own
    prepare_datalist(raw, tmp_path / "out", **OPTIONS)
    assert reports_of(path)[0] == decompose_report(REPORT, AnatomyTable.load("ct_rate", "ct"))


def test_reports_that_fall_to_words_are_counted_in_every_run(raw, tmp_path, language_model, caplog):
    """The model is one without sense."""
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            path = prepare_datalist(raw, tmp_path / "out", **OPTIONS, language_model=language_model)
        assert "1 of 1 different reports were taken apart by words" in caplog.text and "nodule" not in caplog.text
    assert [line["by_words"] for line in journal(path.parent)] == [True]
    assert reports_of(path)[0] == decompose_report(REPORT, AnatomyTable.load("ct_rate", "ct"))


def test_no_such_language_model_is_told_before_anything_is_prepared(raw, tmp_path):
    with pytest.raises(UserError, match="no such folder, nor a hub id"):
        prepare_datalist(raw, tmp_path / "out", **OPTIONS, language_model=tmp_path / "gone")
    assert not (tmp_path / "out").exists()


def test_real_volumes_with_totalsegmentators_masks(shared_data, tmp_path):
    ct = shared_data / "ct"
    records = [
        {
            "volume_id": name,
            "patient_id": "tsA",
            "image": str(ct / name / "ct.nii.gz"),
            "anatomy_mask": str(ct / name / "seg.nii.gz"),
        }
        for name in ("tsA_torso", "tsA_torso_sm")
    ]
    options = {"spacing": (3.0, 3.0, 3.0), "min_size": (16, 32, 32), "workers": 1}
    path = prepare_datalist(write(tmp_path, test=records), tmp_path / "out", anatomies="wide", **options)
    names = AnatomyTable.load("wide", "ct").names
    for record in load_datalist(path).split("test"):
        prepared = read_prepared(record["image"], record["anatomy_mask"])
        held = {names[value - 1] for value in np.unique(prepared.mask) if value}
        assert {"liver", "spleen", "kidney", "pancreas", "stomach", "bowel", "aorta", "spine", "lung"} <= held
        liver = prepared.image[prepared.mask == names.index("liver") + 1] / 16
        assert 20 < np.median(liver) < 160
