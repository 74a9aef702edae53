"""`check_datalist` on real and made files: everything wrong with them is reported at once."""

import csv
import json
import shutil

import cv2
import nibabel as nib
import numpy as np
import pytest

from scripts.datalists.datalist import check_datalist
from scripts.datalists.files import image as image_files
from scripts.predictions.masks import read_mask, write_mask
from scripts.readers.film import ReadError

H, W = 60, 80


@pytest.fixture
def folder(tmp_path):
    """A film of 80 x 60 pixels, a mask for it, and files that are not what their names say."""
    film = np.arange(H * W).reshape(H, W) % 251
    assert cv2.imwrite(str(tmp_path / "film.png"), film.astype(np.uint8))
    mask = np.zeros((H, W), bool)
    mask[10:20, 5:30] = True
    write_mask(tmp_path / "mask.png", mask)
    write_mask(tmp_path / "turned.png", mask.T)
    write_mask(tmp_path / "empty.png", np.zeros((H, W), bool))
    cv2.imwrite(str(tmp_path / "colour.png"), np.dstack([mask * 255] * 3).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "mask.jpg"), mask.astype(np.uint8) * 255)
    (tmp_path / "cut.png").write_bytes((tmp_path / "film.png").read_bytes()[:-200])
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def check(folder, domain, *records, **options) -> list[tuple[str, str, str]]:
    path = folder / "datalist.json"
    path.write_text(json.dumps({"domain": domain, "test": list(records)}))
    found = check_datalist(path, progress=False, **options)
    assert all(fault.file == str(path) and "\n" not in str(fault) for fault in found)
    return [(fault.kind, fault.record, fault.key) for fault in found]


def film(number: int, image: str = "film.png", **more) -> dict:
    return {"study_id": f"s{number}", "patient_id": f"p{number}", "image": image, **more}


def finding(**more) -> list[dict]:
    return [{"label": "x", **more}]


def test_good_films_have_no_fault(folder):
    boxes = [[0, 0, W, H], [0.5, 0.25, 10, 10], [70, 50, 10.005, 10]]
    good = film(1, findings=finding(boxes=boxes, mask="mask.png"))
    assert check(folder, "cxr", good, film(2, image=str(folder / "film.png"))) == []


@pytest.mark.parametrize("workers", [1, 4])
def test_every_fault_of_files_and_form_in_one_go(folder, workers):
    records = [
        film(1, image="gone.png"),
        film(2, image="cut.png", findings=finding(boxes=[[0, 0, 999, 999]], mask="gone_mask.png")),
        film(3, image="folder.png"),
        film(4, findings=finding(boxes=[[0, 0, 5, 5], [75, 0, 6, 5], [0, 55, 5, 5.5]])),
        film(5, findings=finding(mask="turned.png") + finding(mask="empty.png") + finding(mask="colour.png")),
        film(6, findings=finding(mask="mask.jpg") + finding(mask="cut.png")),
        film(7, labels={"A": 3}, image=str(folder / "absent.png")),
        {**film(8), "image": 3},
        film(9, findings=finding(boxes=3, mask=[])),
        "film",
    ]
    assert check(folder, "cxr", *records, workers=workers) == [
        ("bad label", "s7", "labels[A]"),
        ("wrong type", "s8", "image"),
        ("wrong type", "s9", "findings[0].boxes"),
        ("wrong type", "s9", "findings[0].mask"),
        ("wrong type", "[9]", ""),
        ("missing file", "s1", "image"),
        ("unreadable image", "s2", "image"),
        ("missing file", "s2", "findings[0].mask"),
        ("missing file", "s3", "image"),
        ("box outside the image", "s4", "findings[0].boxes[1]"),
        ("box outside the image", "s4", "findings[0].boxes[2]"),
        ("mask of another shape", "s5", "findings[0].mask"),
        ("empty mask", "s5", "findings[1].mask"),
        ("unreadable mask", "s5", "findings[2].mask"),
        ("unreadable mask", "s6", "findings[0].mask"),
        ("unreadable mask", "s6", "findings[1].mask"),
        ("missing file", "s7", "image"),
    ]


def test_the_box_fault_says_by_how_much(folder):
    check(folder, "cxr", film(1, findings=finding(boxes=[[75, 55, 6, 7.5]])))
    (fault,) = check_datalist(folder / "datalist.json")
    assert fault.reason == "leaves the image of 80 x 60, ending 1 pixels right of it and 2.5 pixels below it"
    assert fault.value == "[75, 55, 6, 7.5]"


def test_a_reader_that_fails_in_its_own_words_does_not_end_the_check(folder, monkeypatch):
    def read(path):
        raise ZeroDivisionError("odd header") if path.name == "cut.png" else ReadError(path, "a reason")

    monkeypatch.setattr(image_files, "read_image", lambda path, domain: read(path))
    check(folder, "cxr", film(1, image="cut.png"), film(2))
    reasons = [fault.reason for fault in check_datalist(folder / "datalist.json")]
    assert reasons == ["cannot be read (ZeroDivisionError: odd header)", "a reason"]


def test_no_datalist_is_a_fault_and_no_exception(folder):
    (fault,) = check_datalist(folder / "gone.json")
    assert fault.kind == "unreadable datalist"
    (folder / "list.json").write_text("[]")
    assert [fault.kind for fault in check_datalist(folder / "list.json")] == ["wrong type"]


def test_nasal_frames(folder):
    exam = {
        "exam_id": "e1",
        "patient_id": "p1",
        "images": ["film.png", "gone.png", "cut.png", "datalist.json"],
        "report": "Normal.",
        "findings": [
            {"image_index": 0, "label": "x", "box": [0, 0, W, H], "mask": "mask.png"},
            {"image_index": 0, "label": "x", "box": [0, 0, W + 1, H], "mask": "turned.png"},
            {"image_index": 1, "label": "x", "box": [0, 0, 9999, H], "mask": "empty.png"},
            {"image_index": 7, "label": "x"},
        ],
    }
    assert check(folder, "nasal", exam) == [
        ("bad image index", "e1", "findings[3].image_index"),
        ("missing file", "e1", "images[1]"),
        ("unreadable image", "e1", "images[2]"),
        ("unreadable image", "e1", "images[3]"),
        ("box outside the image", "e1", "findings[1].box"),
        ("mask of another shape", "e1", "findings[1].mask"),
        ("empty mask", "e1", "findings[2].mask"),
    ]


def test_volumes(folder):
    def volume(name, array, shift=0.0):
        affine = np.diag([1.0, 1, 3, 1])
        affine[0, 3] = shift
        nib.save(nib.Nifti1Image(array, affine), folder / name)
        return name

    values = np.random.default_rng(0).integers(-1000, 400, (9, 10, 11)).astype(np.int16)
    image = volume("ct.nii.gz", values)
    good = volume("good.nii.gz", np.ones((9, 10, 11), np.uint8))
    turned = volume("turned.nii.gz", np.ones((11, 10, 9), np.uint8))
    shifted = volume("shifted.nii.gz", np.ones((9, 10, 11), np.uint8), shift=1.0)
    empty = volume("empty.nii.gz", np.zeros((9, 10, 11), np.uint8))
    fractions = volume("fractions.nii.gz", np.full((9, 10, 11), 0.5, np.float32))
    film = volume("film.nii.gz", (values - values.min()).astype(np.int16))
    data = (folder / image).read_bytes()
    (folder / "cut.nii.gz").write_bytes(data[: len(data) // 2])

    def record(number, image, mask):
        return {"volume_id": f"v{number}", "patient_id": f"p{number}", "image": image, "anatomy_mask": mask}

    records = [record(1, image, good), record(2, image, turned), record(3, image, empty), record(4, "cut.nii.gz", good)]
    records += [record(5, image, "film.png"), record(6, "gone.nii", good), record(7, image, shifted), record(8, film, fractions)]
    records += [{"volume_id": "v9", "patient_id": "p9", "image": image}, record(10, "folder.png", good)]
    assert check(folder, "ct", *records) == [
        ("mask of another grid", "v2", "anatomy_mask"),
        ("empty mask", "v3", "anatomy_mask"),
        ("unreadable image", "v4", "image"),
        ("unreadable mask", "v5", "anatomy_mask"),
        ("missing file", "v6", "image"),
        ("mask of another grid", "v7", "anatomy_mask"),
        ("unreadable image", "v8", "image"),  # no Hounsfield units
        ("unreadable mask", "v8", "anatomy_mask"),
        ("unreadable image", "v10", "image"),  # a folder without a DICOM series
    ]


def test_real_films_with_radiologists_boxes_and_masks(shared_data, tmp_path):
    with open(shared_data / "cxr" / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["mask_files"] or row["boxes"] not in ("", "[]")][:30]
    records = []
    for row in rows:
        boxes = [[b["xmin"], b["ymin"], b["xmax"] - b["xmin"], b["ymax"] - b["ymin"]] for b in pixel_boxes(row["boxes"])]
        masks = [str(shared_data / "cxr" / name) for name in row["mask_files"].split(";") if name]
        findings = [{"label": "x", "mask": mask} for mask in masks]
        findings += [{"label": "x", "boxes": boxes}] if boxes else []
        image = str(shared_data / "cxr" / row["file"])
        records.append({"study_id": row["file"], "patient_id": row["patient_or_exam"], "image": image, "findings": findings})
    findings = [finding for record in records for finding in record["findings"]]
    assert sum("mask" in finding for finding in findings) > 20 and any("boxes" in finding for finding in findings)
    assert check(tmp_path, "cxr", *records) == []


def pixel_boxes(text: str) -> list[dict]:
    return [box for box in json.loads(text or "[]") if "xmin" in box]


def test_real_broken_files_are_faults_and_real_volumes_are_not(shared_data, tmp_path):
    ct = shared_data / "ct" / "openkbp_pt_200"
    record = {"patient_id": "p", "image": str(ct / "ct.nii.gz"), "anatomy_mask": str(ct / "seg.nii.gz")}
    other = str(shared_data / "ct" / "tsA_torso_sm" / "seg.nii.gz")
    broken = sorted((shared_data / "dicom").rglob("*trunc*"))
    assert broken
    assert check(tmp_path, "ct", {"volume_id": "a", **record}, {"volume_id": "b", **record, "anatomy_mask": other}) == [
        ("mask of another grid", "b", "anatomy_mask")
    ]
    shutil.copy(broken[0], tmp_path / "a.dcm")
    assert check(tmp_path, "cxr", film(1, image="a.dcm")) == [("unreadable image", "s1", "image")]


@pytest.mark.parametrize("stored", [np.uint8, np.uint16])
def test_masks_are_read_whatever_their_nonzero_value(tmp_path, stored):
    mask = np.zeros((5, 7), bool)
    mask[1, 2:] = True
    cv2.imwrite(str(tmp_path / "a.png"), mask.astype(stored))
    assert np.array_equal(read_mask(tmp_path / "a.png"), mask)
    write_mask(tmp_path / "b.png", mask)
    assert np.array_equal(cv2.imread(str(tmp_path / "b.png"), cv2.IMREAD_UNCHANGED), mask * np.uint8(255))
