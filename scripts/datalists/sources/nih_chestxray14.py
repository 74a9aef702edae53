"""NIH ChestX-ray14 (Wang et al., CVPR 2017; nihcc.app.box.com/v/ChestXray-NIHCC).

Layout as of the 2017 release and its 2020 correction of the metadata:

    SOURCE_DIR/
      Data_Entry_2017_v2020.csv or Data_Entry_2017.csv   Image Index, Finding Labels (A|B|...), ..., Patient ID, ...
      BBox_List_2017.csv    984 boxes a radiologist drew; the header is Image Index,Finding Label,Bbox [x,y,w,h],,,
      train_val_list.txt, test_list.txt   one Image Index a line
      images/*.png or images_001/images/*.png ... images_012/images/*.png

Labels are mined from reports that were never released; only the boxes were drawn by a radiologist.
"""

import logging
import os
from pathlib import Path

import pandas as pd

from scripts.cases.domain import read_domain
from scripts.datalists.sources.tables import (
    SourceFaults,
    boxes_of,
    files_below,
    first_present,
    folder_of,
    keep_present,
    read_table,
    report_repeats,
)
from scripts.datalists.splits import split_by_patient

DOMAIN = "cxr"
logger = logging.getLogger(__name__)

LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
BOX_LABELS = {"Infiltrate": "Infiltration"}
"""The boxes' spelling of a label where it differs from the labels' own."""
BOX_COLUMNS = ("Bbox [x", "y", "w", "h]")
SIZE = 1024
"""Width and height of every released film in pixels; boxes are in these pixels."""
DOWNLOAD = "download it from nihcc.app.box.com/v/ChestXray-NIHCC"


def build(source_dir: str | Path, validation: float = 0.125, seed: int = 0, skip_missing: bool = False) -> dict[str, list[dict]]:
    """Read ChestX-ray14 in the official test split, the rest split by patient into training and validation.

    One record a film: `study_id` is the Image Index without .png, `labels` the 14 findings as 0 or 1 (all 0 for "No
    Finding"), `findings` the boxes, one finding a label, x, y, w, h in native pixels, not rounded; a box that leaves
    the film by no more than a pixel is cut at the film's edge. Films with boxes and all films of their patients are in
    `test`, whatever the lists say, because localization is judged on them.

    Args:
        source_dir: the data set's folder.
        validation: share of the films of train_val_list.txt that go to validation; the paper's 70/10/20 is 0.125.
        seed: of that split.
        skip_missing: leave out films that are not on disk, instead of stopping.

    Raises:
        SourceError: missing files or columns, unknown labels, films without a split, missing films; all at once.
    """
    source_dir = folder_of(source_dir)
    faults = SourceFaults("nih-chestxray14", source_dir)
    entries = _read_entries(source_dir, faults)
    boxes = _read_boxes(source_dir, entries, faults)
    tested = _read_test_list(source_dir, entries, faults)
    folders = _image_folders(source_dir, faults)
    faults.stop_if_any()

    found = {os.path.basename(p): p for folder in folders for p in files_below(folder, (".png",), f"looking in {folder.name}")}
    records = [
        _record(name, labels, patient, found.get(name, str(source_dir / name)), boxes.get(name))
        for name, labels, patient in zip(*(entries[c] for c in ("Image Index", "Finding Labels", "Patient ID")), strict=True)
    ]
    test_patients = _test_patients(entries, boxes, tested)
    records = keep_present(records, set(found.values()), "image", faults, skip_missing, "extract all of images_*.tar.gz")
    faults.stop_if_any()
    rest = [record for record in records if record["patient_id"] not in test_patients]
    shares = {"training": 1 - validation, "validation": validation}
    splits = split_by_patient(rest, shares, seed) if rest else {name: [] for name in shares}
    return {**splits, "test": [record for record in records if record["patient_id"] in test_patients]}


def _read_entries(source_dir: Path, faults: SourceFaults) -> pd.DataFrame:
    path = first_present(source_dir, ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv"), faults, DOWNLOAD)
    entries = read_table(path, ("Image Index", "Finding Labels", "Patient ID"), faults)
    report_repeats(entries, "Image Index", path, faults)
    named = entries["Finding Labels"].str.split("|").explode()
    unknown = ~named.isin([*LABELS, "No Finding"])
    if unknown.any():
        records = [f"{entries['Image Index'][row]} ({label!r})" for row, label in named[unknown].items()]
        faults.add(path, "Finding Labels has an unknown label", "take the owner's own table, unedited", records)
    return entries


def _read_boxes(source_dir: Path, entries: pd.DataFrame, faults: SourceFaults) -> dict[str, dict[str, list]]:
    """Boxes by film and label, in the table's order."""
    path = first_present(source_dir, ("BBox_List_2017.csv",), faults, DOWNLOAD)
    table = read_table(path, ("Image Index", "Finding Label", *BOX_COLUMNS), faults)
    table["Finding Label"] = table["Finding Label"].replace(BOX_LABELS)
    hint = "take the tables of one release, unedited"
    unknown = ~table["Finding Label"].isin(LABELS)
    if unknown.any():
        faults.add(path, "Finding Label is unknown", hint, table["Finding Label"][unknown].unique())
    strangers = ~table["Image Index"].isin(entries["Image Index"])
    if strangers.any() and len(entries):
        faults.add(path, "boxed films are not in Data_Entry", hint, table["Image Index"][strangers].unique())
    boxes: dict[str, dict[str, list]] = {}
    rows = zip(
        table["Image Index"],
        table["Finding Label"],
        boxes_of(table, BOX_COLUMNS, "Image Index", path, faults),
        strict=True,
    )
    for film, label, box in rows:
        boxes.setdefault(film, {}).setdefault(label, []).append(_within_film(box))
    return boxes


def _within_film(box: list[float]) -> list[float]:
    """Cut a box that leaves the film by at most a pixel (its numbers were scaled from another size); others stay."""
    x, y, w, h = box
    if -1 <= x < 0:
        x, w = 0, w + x
    if -1 <= y < 0:
        y, h = 0, h + y
    if SIZE < x + w <= SIZE + 1:
        w = SIZE - x
    if SIZE < y + h <= SIZE + 1:
        h = SIZE - y
    return [x, y, w, h]


def _read_test_list(source_dir: Path, entries: pd.DataFrame, faults: SourceFaults) -> set[str]:
    """Films of test_list.txt; each film of the table must be in exactly one of the two lists."""
    lists = {}
    for name in ("train_val_list.txt", "test_list.txt"):
        path = first_present(source_dir, (name,), faults, DOWNLOAD)
        lists[name] = set() if path is None else set(path.read_text(encoding="utf-8").split())
    train_val, test = lists.values()
    if train_val and test and len(entries):
        both = sorted(train_val & test)
        if both:
            faults.add("test_list.txt", "films are in train_val_list.txt too", "take the owner's own lists, unedited", both)
        neither = entries["Image Index"][~entries["Image Index"].isin(train_val | test)]
        if len(neither):
            hint = "take the lists of the release of Data_Entry"
            faults.add("train_val_list.txt, test_list.txt", "films of Data_Entry are in neither", hint, neither)
    return test


def _image_folders(source_dir: Path, faults: SourceFaults) -> list[Path]:
    folders = [path for path in [source_dir / "images", *sorted(source_dir.glob("images_0*"))] if path.is_dir()]
    if not folders:
        faults.add(source_dir / "images", "not found (nor images_001 ... images_012)", DOWNLOAD)
    return folders


def _test_patients(entries: pd.DataFrame, boxes: dict, tested: set[str]) -> set[str]:
    """Patients of the test list and of boxed films."""
    films = entries["Image Index"]
    listed = set(entries["Patient ID"][films.isin(tested)])
    boxed = set(entries["Patient ID"][films.isin(boxes)])
    if boxed - listed:
        logger.info("nih-chestxray14: %d patients with boxes moved from train_val to test", len(boxed - listed))
    return listed | boxed


def _record(name: str, labels: str, patient: str, image: str, boxes: dict[str, list] | None) -> dict:
    named = labels.split("|")
    record = {"study_id": name.removesuffix(".png"), "patient_id": patient, "image": image}
    record["labels"] = {label: int(label in named) for label in LABELS}
    if boxes:
        record["findings"] = [
            {"label": label, "text": read_domain(DOMAIN).phrase_for(label.replace("_", " ")), "boxes": found}
            for label, found in boxes.items()
        ]
    return record
