"""A phantom data set on disk."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.datalists.datalist import check_datalist, load_datalist
from scripts.phantoms.cxr import prompt_table, write_phantoms
from scripts.phantoms.cxr.case import make_case


@pytest.fixture(scope="module")
def datalist(tmp_path_factory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("one"), training=10, validation=6, test=8, seed=9, workers=1)


def test_any_number_of_workers_writes_the_same_bytes(datalist, tmp_path):
    other = write_phantoms(tmp_path, training=10, validation=6, test=8, seed=9, workers=2)
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(datalist.parent) for path in datalist.parent.rglob("*") if path.is_file())
    assert len(names) > 26
    for name in names:
        assert (tmp_path / name).read_bytes() == (datalist.parent / name).read_bytes(), name
    assert other == tmp_path / "datalist.json"


def test_a_larger_set_begins_with_the_smaller_and_seeds_differ(datalist):
    record = load_datalist(datalist).split("test")[7]
    assert (cv2.imread(record["image"], cv2.IMREAD_UNCHANGED) == make_case(9, "test", 7).film).all()
    assert not np.array_equal(make_case(10, "test", 7).film, make_case(9, "test", 7).film)


def test_datalist_has_no_fault(datalist):
    assert check_datalist(datalist, progress=False) == []


def test_training_records_hold_film_and_report_alone(datalist):
    content = json.loads(datalist.read_text())
    assert all(set(r) == {"study_id", "patient_id", "image", "report"} for r in content["training"])
    for split in ("validation", "test"):
        for record in content[split]:
            assert set(record["labels"].values()) <= {0, 1}
            assert {f["label"] for f in record["findings"]} == {name for name, value in record["labels"].items() if value}


def test_masks_and_boxes_agree_on_disk(datalist):
    for record in load_datalist(datalist).split("test"):
        film = cv2.imread(record["image"], cv2.IMREAD_UNCHANGED)
        for finding in record["findings"]:
            mask = cv2.imread(finding["mask"], cv2.IMREAD_UNCHANGED)
            assert mask.shape == film.shape and set(np.unique(mask)) == {0, 255}
            rows, columns = np.nonzero(mask)
            corners = np.array([[x, y, x + w, y + h] for x, y, w, h in finding["boxes"]])
            assert (corners[:, :2].min(0) == (columns.min(), rows.min())).all()
            assert (corners[:, 2:].max(0) == (columns.max() + 1, rows.max() + 1)).all()


def test_no_patient_is_in_two_splits_and_some_have_two_films():
    ids = {split: [make_case(9, split, index).patient_id for index in range(20)] for split in ("training", "test")}
    assert not set(ids["training"]) & set(ids["test"])
    assert 10 <= len(set(ids["training"])) < 20
    assert max(ids["training"].count(name) for name in ids["training"]) == 2


def test_prompts_lie_beside_the_datalist(datalist):
    assert json.loads((datalist.parent / "prompts.json").read_text()) == prompt_table()


@pytest.mark.parametrize("arguments", [{"training": -1}, {"training": 0, "validation": 0, "test": 0}, {"workers": 0}])
def test_impossible_numbers_are_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match="give"):
        write_phantoms(tmp_path, **arguments)
    assert not (tmp_path / "datalist.json").exists()
