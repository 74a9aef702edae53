"""RSNA Pneumonia Detection Challenge 2018, stage 2 (Shih et al., Radiology: AI 2019; Kaggle and rsna.org).

Layout as of the Kaggle download (the stage 2 test films have no boxes in it and are not read):

    SOURCE_DIR/
      stage_2_train_labels.csv          patientId, x, y, width, height, Target (1 or 0); one row a box
      stage_2_detailed_class_info.csv   patientId, class (Lung Opacity | No Lung Opacity / Not Normal | Normal)
      stage_2_train_images/<patientId>.dcm
      [pneumonia-challenge-dataset-mappings_2018.json]   from rsna.org: which NIH film each one is

The challenge's patientId names a film, not a person: some people have several. Only the mapping, a list of
{"subset_img_id": patientId, "img_id": "<NIH patient>_<number>.png", ...}, tells who is who; it is used where it lies in
the folder, and then no person is in two splits.
"""

import json
import logging
from pathlib import Path

import pandas as pd

from scripts.cases.domain import read_domain
from scripts.datalists.sources.tables import (
    OWN_SPLIT,
    SourceFaults,
    boxes_of,
    files_below,
    first_present,
    folder_of,
    keep_present,
    read_table,
    report_unknown,
)
from scripts.datalists.splits import split_by_patient

DOMAIN = "cxr"
logger = logging.getLogger(__name__)

CLASSES = ("Lung Opacity", "No Lung Opacity / Not Normal", "Normal")
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
DOWNLOAD = "download it from kaggle.com/c/rsna-pneumonia-detection-challenge"


def build(source_dir: str | Path, seed: int = 0, skip_missing: bool = False) -> dict[str, list[dict]]:
    """Read the stage 2 training films, split 60/20/20 by patient, alike in their classes.

    One record a film: `labels` Pneumonia (Target) and Normal (the detailed class), and for Pneumonia one finding with
    all boxes, x, y, w, h in native pixels (1024 x 1024).

    Args:
        source_dir: the challenge's folder.
        seed: of the split.
        skip_missing: leave out films that are not on disk, instead of stopping.

    Raises:
        SourceError: missing tables, columns or films, values of another kind, labels that contradict each other; all at
            once.
    """
    source_dir = folder_of(source_dir)
    faults = SourceFaults("rsna-pneumonia", source_dir)
    images = first_present(source_dir, ("stage_2_train_images",), faults, DOWNLOAD)
    labels_path = first_present(source_dir, ("stage_2_train_labels.csv",), faults, DOWNLOAD)
    classes_path = first_present(source_dir, ("stage_2_detailed_class_info.csv",), faults, DOWNLOAD)
    labels = read_table(labels_path, ("patientId", "x", "y", "width", "height", "Target"), faults)
    classes = read_table(classes_path, ("patientId", "class"), faults).drop_duplicates()
    people = _people(source_dir, faults)
    faults.stop_if_any()

    _report_contradictions(labels, classes, labels_path, classes_path, faults)
    boxed = labels[labels["Target"] == "1"].reset_index(drop=True)
    boxed["box"] = pd.Series(boxes_of(boxed, ("x", "y", "width", "height"), "patientId", labels_path, faults), dtype=object)
    faults.stop_if_any()

    boxes = boxed.groupby("patientId", sort=False)["box"].agg(list).to_dict()
    class_of = dict(zip(classes["patientId"], classes["class"], strict=True))
    films = labels["patientId"].drop_duplicates()
    records = [_record(film, images, boxes.get(film), class_of[film], people.get(film, film)) for film in films]
    present = set(files_below(images, (".dcm",), "looking for films"))
    records = keep_present(records, present, "image", faults, skip_missing, "finish the download of stage_2_train_images")
    faults.stop_if_any()
    return split_by_patient(records, OWN_SPLIT, seed, stratify=_class)


def _record(film: str, images: Path, boxes: list | None, detailed_class: str, patient: str) -> dict:
    record = {"study_id": film, "patient_id": patient, "image": f"{images}/{film}.dcm"}
    record["labels"] = {"Pneumonia": int(boxes is not None), "Normal": int(detailed_class == "Normal")}
    if boxes is not None:
        record["findings"] = [{"label": "Pneumonia", "text": read_domain(DOMAIN).phrase_for("Pneumonia"), "boxes": boxes}]
    return record


def _class(record: dict) -> str:
    """Stratum of the split: the detailed class, which the two labels tell apart."""
    return f"{record['labels']}"


def _report_contradictions(labels, classes, labels_path: Path, classes_path: Path, faults: SourceFaults) -> None:
    """Target and class are known, cover the same films, one class a film, and agree that a box means Lung Opacity."""
    report_unknown(labels, "Target", "patientId", ("0", "1"), labels_path, faults)
    report_unknown(classes, "class", "patientId", CLASSES, classes_path, faults)
    hint = "take both tables of one release, unedited"
    several = classes["patientId"][classes["patientId"].duplicated()].unique()
    if len(several):
        faults.add(classes_path, "a film has several classes", hint, several)
    unclassed = labels["patientId"][~labels["patientId"].isin(classes["patientId"])].unique()
    if len(unclassed):
        faults.add(classes_path, f"films of {labels_path.name} are missing", hint, unclassed)
    both = labels.merge(classes, on="patientId")
    unlike = both["patientId"][(both["Target"] == "1") != (both["class"] == "Lung Opacity")].unique()
    if len(unlike):
        faults.add(labels_path, f"Target and the class in {classes_path.name} contradict each other", hint, unlike)


def _people(source_dir: Path, faults: SourceFaults) -> dict[str, str]:
    """NIH patient by film, from RSNA's mapping; empty where the folder has none."""
    path = source_dir / MAPPING
    if not path.exists():
        logger.warning("rsna-pneumonia: no %s in %s: every film counts as a patient of its own", MAPPING, source_dir)
        return {}
    try:
        films = json.loads(path.read_text(encoding="utf-8"))
        return {film["subset_img_id"]: film["img_id"].split("_")[0] for film in films}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fault = f"is not a list of {{subset_img_id, img_id}} ({type(error).__name__}: {error})"
        faults.add(path, fault, "download it again from rsna.org, or take it out of the folder")
        return {}
