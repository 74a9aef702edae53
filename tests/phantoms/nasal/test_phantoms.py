"""A phantom data set of nasal exams on disk."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.datalists.datalist import check_datalist, load_datalist
from scripts.phantoms.nasal import CLASSES, FINDINGS, REGIONS, prompt_table, write_phantoms
from scripts.phantoms.nasal.case import make_case
from scripts.reports import read_prompts


@pytest.fixture(scope="module")
def datalist(tmp_path_factory) -> Path:
    return write_phantoms(tmp_path_factory.mktemp("one"), training=8, validation=6, test=8, seed=9, workers=1)


def test_any_number_of_workers_writes_the_same_bytes(datalist, tmp_path):
    other = write_phantoms(tmp_path, training=8, validation=6, test=8, seed=9, workers=2)
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(datalist.parent) for path in datalist.parent.rglob("*") if path.is_file())
    assert len(names) > 22 * 3
    for name in names:
        assert (tmp_path / name).read_bytes() == (datalist.parent / name).read_bytes(), name
    assert other == tmp_path / "datalist.json"


def test_a_larger_set_begins_with_the_smaller_and_seeds_differ(datalist):
    record = load_datalist(datalist).split("test")[7]
    case = make_case(9, "test", 7)
    for path, image in zip(record["images"], case.images, strict=True):
        assert (cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB) == image).all()
    assert not np.array_equal(make_case(10, "test", 7).images[0], case.images[0])


def test_datalist_has_no_fault(datalist):
    assert check_datalist(datalist, progress=False) == []


def test_training_records_hold_no_truth_but_class_and_site(datalist):
    content = json.loads(datalist.read_text())
    usual = {"exam_id", "patient_id", "images", "report", "site", "label"}
    assert all(set(record) == usual for record in content["training"])
    for split in ("validation", "test"):
        for record in content[split]:
            assert set(record) == usual | {"findings", "regions"}
            assert record["label"] in CLASSES
            assert len(record["regions"]) == len(record["images"]) and set(record["regions"]) <= set(REGIONS)
            for finding in record["findings"]:
                assert finding["label"] in FINDINGS and finding["image_index"] < len(record["images"])
                assert "text" not in finding or finding["text"] in record["report"]
    assert any(record["findings"] for record in content["test"])


def test_masks_and_boxes_agree_on_disk(datalist):
    for record in load_datalist(datalist).split("test"):
        for finding in record["findings"]:
            image = cv2.imread(record["images"][finding["image_index"]])
            mask = cv2.imread(finding["mask"], cv2.IMREAD_UNCHANGED)
            assert mask.shape == image.shape[:2] and set(np.unique(mask)) == {0, 255}
            assert finding["box"] == list(cv2.boundingRect(mask))


def test_no_patient_is_in_two_splits(datalist):
    content = json.loads(datalist.read_text())
    patients = [{record["patient_id"] for record in content[split]} for split in ("training", "validation", "test")]
    assert len(set.union(*patients)) == sum(map(len, patients))


def test_prompts_lie_beside_the_datalist(datalist):
    assert read_prompts(datalist.parent / "prompts.json", "nasal") == prompt_table()


@pytest.mark.parametrize("arguments", [{"training": -1}, {"training": 0, "validation": 0, "test": 0}, {"workers": 0}])
def test_impossible_numbers_are_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match="give"):
        write_phantoms(tmp_path, **arguments)
    assert not (tmp_path / "datalist.json").exists()
