"""A phantom CT data set on disk."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scripts.datalists.datalist import check_datalist, load_datalist
from scripts.phantoms.ct import FINDINGS, prompt_table, write_phantoms
from scripts.phantoms.ct.case import make_case
from scripts.phantoms.ct.words import WORDINGS
from scripts.reports.by_anatomy.prompts import read_anatomy_prompts
from scripts.reports.by_anatomy.table import AnatomyTable


@pytest.fixture(scope="module")
def datalist(tmp_path_factory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("one"), training=3, validation=2, test=3, seed=9, workers=1)


def test_any_number_of_workers_writes_the_same_bytes(datalist, tmp_path):
    other = write_phantoms(tmp_path, training=3, validation=2, test=3, seed=9, workers=2)
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(datalist.parent) for path in datalist.parent.rglob("*") if path.is_file())
    assert len(names) == 8 + 8 + 5 + 3
    for name in names:
        assert (tmp_path / name).read_bytes() == (datalist.parent / name).read_bytes(), name
    assert other == tmp_path / "datalist.json"


def test_a_larger_set_begins_with_the_smaller_and_seeds_differ(datalist):
    record = load_datalist(datalist).split("test")[2]
    case = make_case(9, "test", 2)
    assert (np.asarray(nib.load(record["image"]).dataobj) == np.asarray(case.acquisition.stored(case.hu).dataobj)).all()
    assert not np.array_equal(make_case(10, "test", 2).acquisition.affine, case.acquisition.affine)


def test_datalist_has_no_fault(datalist):
    assert check_datalist(datalist, progress=False) == []


def test_training_records_hold_volume_mask_and_report_alone(datalist):
    content = json.loads(datalist.read_text())
    expected = {"volume_id", "patient_id", "image", "anatomy_mask", "report"}
    assert all(set(record) == expected for record in content["training"])
    for split in ("validation", "test"):
        for record in content[split]:
            assert set(record) == expected | {"labels"} and set(record["labels"].values()) <= {0, 1}


def test_volumes_masks_and_lesions_are_on_one_grid(datalist):
    for record in load_datalist(datalist).split("test"):
        image, mask = nib.load(record["image"]), nib.load(record["anatomy_mask"])
        assert image.get_data_dtype() == np.int16 and mask.get_data_dtype() == np.uint8
        assert image.shape == mask.shape and (image.affine == mask.affine).all()
        for kind in (image, mask):
            assert kind.header["sform_code"] > 0 and kind.header.get_xyzt_units()[0] == "mm"
            # What a reader that knows qform only sees.
            np.testing.assert_allclose(kind.header.get_best_affine(), kind.affine, atol=1e-3)


def test_lesions_tell_where_each_finding_lies(datalist):
    lesions = json.loads((datalist.parent / "lesions.json").read_text())
    content = json.loads(datalist.read_text())
    records = {record["volume_id"]: record for split in ("validation", "test") for record in content[split]}
    assert set(lesions) == set(records)
    for name, record in records.items():
        values = np.asarray(nib.load(datalist.parent / lesions[name]["mask"]).dataobj)
        findings = lesions[name]["findings"]
        assert set(np.unique(values)) - {0} == {finding["value"] for finding in findings}
        assert {finding["label"] for finding in findings} == {label for label, value in record["labels"].items() if value}
        for finding in findings:
            assert finding["anatomy"] == FINDINGS[finding["label"]].anatomy
            assert (finding["text"].rstrip(".").lower() in record["report"].lower()) != finding["omitted"]


def test_prompts_lie_beside_the_datalist_and_ask_for_every_finding_in_words_partly_of_their_own(datalist):
    assert json.loads((datalist.parent / "prompts.json").read_text()) == prompt_table()
    prompts = read_anatomy_prompts(datalist.parent / "prompts.json", "ct", AnatomyTable.load("wide", "ct").names)
    assert [(p.label, p.anatomy) for p in prompts] == [(label, finding.anatomy) for label, finding in FINDINGS.items()]
    assert all(len(p.positive) >= 3 and len(p.negative) >= 3 for p in prompts)
    stated = {sentence for wording in WORDINGS.values() for sentence in wording.stated}
    new = [text not in stated for p in prompts for text in p.positive]
    assert 0.5 < np.mean(new) < 1


@pytest.mark.parametrize("arguments", [{"training": -1}, {"training": 0, "validation": 0, "test": 0}, {"workers": 0}])
def test_impossible_numbers_are_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match="give"):
        write_phantoms(tmp_path, **arguments)
    assert not (tmp_path / "datalist.json").exists()
