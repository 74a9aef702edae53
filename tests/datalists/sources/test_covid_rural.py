import cv2
import numpy as np
import pytest

from scripts.datalists.sources import SOURCES
from scripts.files.errors import SourceError

OUTLINED, EMPTY, UNSEEN = (
    "COVID-19-AR-16406488_01-17-2012-XR",
    "COVID-19-AR-16406488_01-15-2012-XR",
    "COVID-19-AR-16406492_01-05-2012-XR",
)


@pytest.fixture
def rural(tmp_path, film):
    folder = tmp_path / "repository" / "covid_rural_annot"
    for study in (OUTLINED, EMPTY, UNSEEN):
        film(folder / "jpgs" / f"{study}.jpg")
    (folder / "jpgs" / "jsons").mkdir()
    (folder / "pngs_masks").mkdir()
    mask = np.zeros((48, 40), np.uint8)
    cv2.imwrite(str(folder / "pngs_masks" / f"{EMPTY}.png"), mask)
    mask[10:20, 5:15] = 1
    cv2.imwrite(str(folder / "pngs_masks" / f"{OUTLINED}.png"), mask)
    return folder


def test_records(rural, assert_datalist):
    splits = SOURCES["covid-rural"](rural.parent)
    assert splits == SOURCES["covid-rural"](rural)
    assert splits["training"] == splits["validation"] == []
    empty, outlined, unseen = splits["test"]
    assert outlined == {
        "study_id": OUTLINED,
        "patient_id": "COVID-19-AR-16406488",
        "image": str(rural / "jpgs" / f"{OUTLINED}.jpg"),
        "findings": [
            {
                "label": "Pneumonia",
                "text": "Findings suggesting Pneumonia.",
                "mask": str(rural / "pngs_masks" / f"{OUTLINED}.png"),
            }
        ],
    }
    assert "findings" not in empty
    assert unseen == {
        "study_id": UNSEEN,
        "patient_id": "COVID-19-AR-16406492",
        "image": str(rural / "jpgs" / f"{UNSEEN}.jpg"),
    }
    assert_datalist(splits)


def test_faults_at_once(rural, film):
    film(rural / "jpgs" / "scan.jpg")
    (rural / "pngs_masks" / f"{OUTLINED}.png").write_bytes(b"no png")
    (rural / "pngs_masks" / "COVID-19-AR-1_x-XR.png").write_bytes(b"no png")
    with pytest.raises(SourceError) as raised:
        SOURCES["covid-rural"](rural)
    text = str(raised.value)
    assert "films are not named COVID-19-AR-<number>_<date>-XR.jpg: scan.jpg" in text
    assert "masks without a film in jpgs: COVID-19-AR-1_x-XR" in text
    assert f"masks cannot be read as PNG: {OUTLINED}.png, COVID-19-AR-1_x-XR.png" in text


def test_the_dicom_collection_is_refused(tmp_path):
    (tmp_path / "COVID-19-AR" / "COVID-19-AR-16406488").mkdir(parents=True)
    with pytest.raises(SourceError) as raised:
        SOURCES["covid-rural"](tmp_path)
    assert "jpgs: not found" in str(raised.value)
    assert "pngs_masks: not found" in str(raised.value)
    assert "the DICOM files of TCIA's COVID-19-AR have no outlines" in str(raised.value)
