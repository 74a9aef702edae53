import json

import pytest

from scripts.datalists.sources import SOURCES
from scripts.files.errors import SourceError

SICK, COUGH, WELL, OTHER, LAST = (f"{number:04x}cfab-14fd-4e49-80ba-63a80b6bddd6" for number in range(4, 9))
BOXED = ((SICK, "Lung Opacity"), (COUGH, "No Lung Opacity / Not Normal"), (WELL, "Normal"), (OTHER, "Normal"))


@pytest.fixture
def rsna(tmp_path, film, table):
    table(
        tmp_path / "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target",
        f"{COUGH},,,,,0",
        f"{SICK},2.0,3.0,10.5,20.0,1",
        f"{SICK},22.0,3.0,10.0,21.0,1",
        f"{WELL},,,,,0",
        f"{OTHER},,,,,0",
        f"{LAST},0.0,0.0,40.0,48.0,1",
    )
    classes = [f"{name},{what}" for name, what in (*BOXED, (SICK, "Lung Opacity"), (LAST, "Lung Opacity"))]
    table(tmp_path / "stage_2_detailed_class_info.csv", "patientId,class", *classes)
    for name in (SICK, COUGH, WELL, OTHER, LAST):
        film(tmp_path / "stage_2_train_images" / f"{name}.dcm")
    return tmp_path


def records_of(splits):
    return {record["study_id"]: record for records in splits.values() for record in records}


def test_records(rsna, assert_datalist):
    splits = SOURCES["rsna-pneumonia"](rsna)
    assert sorted(splits) == ["test", "training", "validation"]
    assert all(splits.values())
    records = records_of(splits)
    assert records[SICK] == {
        "study_id": SICK,
        "patient_id": SICK,
        "image": str(rsna / "stage_2_train_images" / f"{SICK}.dcm"),
        "labels": {"Pneumonia": 1, "Normal": 0},
        "findings": [
            {
                "label": "Pneumonia",
                "text": "Findings suggesting Pneumonia.",
                "boxes": [[2, 3, 10.5, 20], [22, 3, 10, 21]],
            }
        ],
    }
    assert records[COUGH]["labels"] == {"Pneumonia": 0, "Normal": 0}
    assert records[WELL]["labels"] == {"Pneumonia": 0, "Normal": 1}
    assert "findings" not in records[WELL]
    assert_datalist(splits)
    assert SOURCES["rsna-pneumonia"](rsna) == splits


def test_shares_hold_in_every_class(rsna, film, table):
    films = [f"{number:08x}-{what.count(' ')}" for number in range(20) for what in ("Lung Opacity", "Normal")]
    boxes = [f"{name},1,2,3,4,1" if name.endswith("1") else f"{name},,,,,0" for name in films]
    table(rsna / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", *boxes)
    classes = [f"{name},{'Lung Opacity' if name.endswith('1') else 'Normal'}" for name in films]
    table(rsna / "stage_2_detailed_class_info.csv", "patientId,class", *classes)
    for name in films:
        film(rsna / "stage_2_train_images" / f"{name}.dcm", (8, 8))
    splits = SOURCES["rsna-pneumonia"](rsna, seed=3)
    sick = {name: sum(record["labels"]["Pneumonia"] for record in records) for name, records in splits.items()}
    assert sick == {"training": 12, "validation": 4, "test": 4}
    assert {name: len(records) - sick[name] for name, records in splits.items()} == sick
    assert splits != SOURCES["rsna-pneumonia"](rsna, seed=4)


def test_mapping_keeps_people_together(rsna):
    films = [{"subset_img_id": n, "img_id": f"0000001{i // 2}_00{i}.png"} for i, n in enumerate((SICK, COUGH, WELL, OTHER, LAST))]
    (rsna / "pneumonia-challenge-dataset-mappings_2018.json").write_text(json.dumps(films))
    for seed in range(4):
        splits = SOURCES["rsna-pneumonia"](rsna, seed=seed)
        people = [{record["patient_id"] for record in records} for records in splits.values()]
        assert set.union(*people) == {"00000010", "00000011", "00000012"}
        assert sum(map(len, people)) == 3


def test_faults(rsna, table):
    (rsna / "stage_2_train_images" / f"{OTHER}.dcm").unlink()
    with pytest.raises(SourceError, match=rf"image files missing \(1\): stage_2_train_images/{OTHER}.dcm"):
        SOURCES["rsna-pneumonia"](rsna)
    assert OTHER not in records_of(SOURCES["rsna-pneumonia"](rsna, skip_missing=True))

    classes = [f"{SICK},Lung Opacity", f"{SICK},Normal", f"{COUGH},Ill", f"{WELL},Lung Opacity", f"{LAST},Lung Opacity"]
    table(rsna / "stage_2_detailed_class_info.csv", "patientId,class", *classes)
    with pytest.raises(SourceError) as raised:
        SOURCES["rsna-pneumonia"](rsna)
    text = str(raised.value)
    assert f"column class is none of Lung Opacity, No Lung Opacity / Not Normal, Normal: {COUGH} ('Ill')" in text
    assert f"a film has several classes: {SICK}." in text
    assert f"films of stage_2_train_labels.csv are missing: {OTHER}." in text
    assert f"contradict each other: {SICK}, {WELL}." in text


def test_missing_everything(tmp_path):
    (tmp_path / "pneumonia-challenge-dataset-mappings_2018.json").write_text('{"a": 1}')
    with pytest.raises(SourceError) as raised:
        SOURCES["rsna-pneumonia"](tmp_path)
    text = str(raised.value)
    for name in ("stage_2_train_images", "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"):
        assert f"{name}: not found" in text
    assert "is not a list of {subset_img_id, img_id}" in text
