import json

import cv2
import numpy as np
import pytest

from scripts.datalists.sources import SOURCES
from scripts.files.errors import SourceError

HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
# 48 x 40, column by column: 48 zeros (48 = 16 + 32), 2 ones, then 1870 zeros (1870 = 14 + 26 * 32 + 1 * 1024).
TWO_PIXELS = {"size": [48, 40], "counts": "`12^j1"}
EMPTY = {"size": [48, 40], "counts": "Pl1"}  # 1920 = 0 + 28 * 32 + 1 * 1024
A, B, C = "patient64541/study1/view1_frontal", "patient64542/study1/view2_lateral", "patient64741/study1/view1_frontal"


def name(path):
    return path.replace("/", "_")


@pytest.fixture
def release(tmp_path, film, table):
    root = tmp_path / "chexlocalize"
    sick = "Male,73,Frontal,AP,0.0,0.0,1.0,1.0" + ",0.0" * 10
    well = "Male,70,Lateral,,1.0" + ",0.0" * 13
    table(
        root / "CheXpert/val_labels.csv",
        HEADER,
        f"CheXpert-v1.0/valid/{A}.jpg,{sick}",
        f"CheXpert-v1.0/valid/{B}.jpg,{well}",
    )
    table(root / "CheXpert/test_labels.csv", HEADER, f"test/{C}.jpg,{sick}")
    val = {name(A): {"Cardiomegaly": TWO_PIXELS, "Airspace Opacity": TWO_PIXELS, "Edema": EMPTY}}
    (root / "CheXlocalize").mkdir()
    (root / "CheXlocalize/gt_segmentations_val.json").write_text(json.dumps(val))
    (root / "CheXlocalize/gt_segmentations_test.json").write_text(json.dumps({name(C): {"Cardiomegaly": TWO_PIXELS}}))
    for split, path in (("val", A), ("val", B), ("test", C)):
        film(root / "CheXpert" / split / f"{path}.jpg")
    return root


def test_records_and_masks(release, tmp_path, assert_datalist):
    masks = tmp_path / "out" / "masks"
    splits = SOURCES["chexlocalize"](release, masks)
    assert splits["training"] == []
    first, second = splits["validation"]
    assert {key: first[key] for key in ("study_id", "patient_id", "image")} == {
        "study_id": "patient64541_study1_view1_frontal",
        "patient_id": "patient64541",
        "image": str(release / "CheXpert/val" / f"{A}.jpg"),
    }
    assert [label for label, value in first["labels"].items() if value] == ["Cardiomegaly", "Lung Opacity"]
    assert len(first["labels"]) == 14
    heart, opacity = first["findings"]
    assert heart == {
        "label": "Cardiomegaly",
        "text": "Findings suggesting Cardiomegaly.",
        "mask": str(masks / "patient64541_study1_view1_frontal_Cardiomegaly.png"),
    }
    assert (opacity["label"], opacity["text"]) == ("Lung Opacity", "Findings suggesting Airspace Opacity.")
    assert opacity["mask"].endswith("_Lung_Opacity.png")
    expected = np.zeros((48, 40), np.uint8)
    expected[:2, 1] = 255
    np.testing.assert_array_equal(cv2.imread(heart["mask"], cv2.IMREAD_UNCHANGED), expected)
    assert "findings" not in second
    assert second["labels"]["No Finding"] == 1
    assert [record["study_id"] for record in splits["test"]] == [name(C)]
    assert sorted(path.name for path in masks.iterdir()) == [
        "patient64541_study1_view1_frontal_Cardiomegaly.png",
        "patient64541_study1_view1_frontal_Lung_Opacity.png",
        "patient64741_study1_view1_frontal_Cardiomegaly.png",
    ]
    assert_datalist(splits)


def test_frontal_films_of_the_first_release(release, tmp_path):
    (release / "CheXpert").rename(release / "CheXpert-v1.0")
    (release / "CheXpert-v1.0/val").rename(release / "CheXpert-v1.0/valid")
    (release / "CheXpert-v1.0/val_labels.csv").rename(release / "CheXpert-v1.0/valid.csv")
    (release / "CheXlocalize/gt_segmentations_val.json").rename(release / "gt_segmentations_val.json")
    splits = SOURCES["chexlocalize"](release, tmp_path / "masks", splits=("val",), frontal_only=True)
    assert {key: len(records) for key, records in splits.items()} == {"training": 0, "validation": 1, "test": 0}


def test_faults_at_once(release, tmp_path, table):
    broken = {name(A): {"Edema": {"size": [48, 41], "counts": "Pl1"}, "Fracture": {"size": [48, 40]}}, "stranger": {}}
    (release / "CheXlocalize/gt_segmentations_val.json").write_text(json.dumps(broken))
    (release / "CheXlocalize/gt_segmentations_test.json").write_text("{")
    table(release / "CheXpert/test_labels.csv", HEADER, "test/odd.jpg,Male,1,Frontal,AP" + ",0.0" * 14)
    with pytest.raises(SourceError) as raised:
        SOURCES["chexlocalize"](release, tmp_path / "masks")
    text = str(raised.value)
    assert "films are not in the label table: stranger" in text
    assert "gt_segmentations_test.json: is not JSON" in text
    assert "viewN_frontal.jpg or _lateral.jpg: test/odd.jpg" in text

    del broken["stranger"]
    (release / "CheXlocalize/gt_segmentations_val.json").write_text(json.dumps(broken))
    with pytest.raises(SourceError) as raised:
        SOURCES["chexlocalize"](release, tmp_path / "masks", splits="val")
    assert f"{name(A)} Edema (ValueError: the runs hold 1920 pixels and the mask of 48 x 41 has 1968)" in str(raised.value)
    assert f"{name(A)} Fracture (KeyError: 'counts')" in str(raised.value)
    assert not (tmp_path / "masks").exists()


def test_missing_everything_and_unknown_split(tmp_path):
    with pytest.raises(SourceError, match="6 faults"):
        SOURCES["chexlocalize"](tmp_path, tmp_path / "masks")
    with pytest.raises(SourceError, match="splits: is none of val, test: train"):
        SOURCES["chexlocalize"](tmp_path, tmp_path / "masks", splits=("train",))


def test_missing_film(release, tmp_path):
    (release / "CheXpert/val" / f"{B}.jpg").unlink()
    with pytest.raises(SourceError, match=r"image files missing \(1\): CheXpert/val/patient64542"):
        SOURCES["chexlocalize"](release, tmp_path / "masks")
    assert len(SOURCES["chexlocalize"](release, tmp_path / "masks", skip_missing=True)["validation"]) == 1
