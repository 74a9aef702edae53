"""CheXlocalize: outlines of 10 findings on CheXpert's validation and test films (Saporta et al., Nature MI 2022).

Layout as of the Stanford AIMI download of 2022 (folder names of the 2021 validation-only release in brackets):

    SOURCE_DIR/
      CheXlocalize/gt_segmentations_val.json    [SOURCE_DIR/gt_segmentations_val.json]
      CheXlocalize/gt_segmentations_test.json
          {"patient64541_study1_view1_frontal": {"Cardiomegaly": {"size": [H, W], "counts": "..."}, ...}, ...}
      CheXpert/val_labels.csv, CheXpert/val/    [CheXpert-v1.0/valid.csv, CheXpert-v1.0/valid/]
      CheXpert/test_labels.csv, CheXpert/test/
          Path, ..., 14 labels; <split>/patient64541/study1/view1_frontal.jpg

The json holds only films with at least one finding (187 of 234 and 499 of 668). It says "Airspace Opacity" where the
label tables say "Lung Opacity": the label is the tables', the text is the json's, which is the phrase published figures
use. Masks are COCO run-length strings (see rle.py); they become PNG files.
"""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from scripts.cases.domain import read_domain
from scripts.datalists.sources.rle import decode_mask
from scripts.datalists.sources.tables import (
    SourceFaults,
    files_below,
    first_present,
    folder_of,
    keep_present,
    read_table,
    report_repeats,
)
from scripts.files.atomic import write_atomically

DOMAIN = "cxr"
LABELS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
LABEL_OF = {"Airspace Opacity": "Lung Opacity"}
IMAGE_PATH = r"(?P<patient>patient\d+)/(?P<study>study\d+)/(?P<view>view\d+_(?:frontal|lateral))\.jpg$"
DOWNLOAD = "download CheXlocalize from Stanford AIMI (stanfordaimi.azurewebsites.net)"
PLACES = {
    "val": {
        "masks": ("CheXlocalize/gt_segmentations_val.json", "gt_segmentations_val.json"),
        "labels": ("CheXpert/val_labels.csv", "CheXpert/val.csv", "CheXpert/valid.csv", "CheXpert-v1.0/valid.csv"),
        "films": ("CheXpert/val", "CheXpert/valid", "CheXpert-v1.0/valid"),
    },
    "test": {
        "masks": ("CheXlocalize/gt_segmentations_test.json", "gt_segmentations_test.json"),
        "labels": ("CheXpert/test_labels.csv", "CheXpert/test.csv", "CheXpert-v1.0/test.csv"),
        "films": ("CheXpert/test", "CheXpert-v1.0/test"),
    },
}


def build(
    source_dir: str | Path,
    masks_dir: str | Path,
    splits: tuple[str, ...] = ("val", "test"),
    frontal_only: bool = False,
    skip_missing: bool = False,
) -> dict[str, list[dict]]:
    """Read CheXlocalize and write its masks as PNG; `val` is validation, `test` is test, nothing is training.

    One record a film of the label tables; `study_id` is the json's film name. Every outlined finding is a finding with
    `mask` (0 and 255, the size of the json, which is the film's).

    Args:
        source_dir: the download's folder.
        masks_dir: folder for `<film>_<label>.png`, made where it is not there; best beside the datalist.
        splits: "val", "test" or both; the 2021 release has "val" alone.
        frontal_only: leave out lateral films, which the benchmark has.
        skip_missing: leave out films that are not on disk, instead of stopping.

    Raises:
        SourceError: missing files or columns, values of another kind, masks that do not decode, missing films; all at
            once.
    """
    source_dir, masks_dir = folder_of(source_dir), folder_of(masks_dir)
    faults = SourceFaults("chexlocalize", source_dir)
    chosen = (splits,) if isinstance(splits, str) else tuple(splits)
    unknown = [split for split in chosen if split not in PLACES]
    if unknown:
        faults.add("splits", f"is none of {', '.join(PLACES)}", "ask for val, test or both", unknown)
        faults.stop_if_any()
    paths = {s: {k: first_present(source_dir, PLACES[s][k], faults, DOWNLOAD) for k in PLACES[s]} for s in chosen}
    tables = {s: _read_labels(paths[s]["labels"], faults) for s in chosen}
    outlines = {s: _read_outlines(paths[s]["masks"], tables[s], faults) for s in chosen}
    faults.stop_if_any()

    result: dict[str, list[dict]] = {"training": [], "validation": [], "test": []}
    for split in chosen:
        table = tables[split]
        if frontal_only:
            table = table[table["view"].str.endswith("frontal")]
        records = _records(table, paths[split]["films"])
        present = set(files_below(paths[split]["films"], (".jpg",), f"looking for {split} films"))
        hint = f"finish the download of {paths[split]['films'].name}/"
        result["validation" if split == "val" else "test"] = keep_present(records, present, "image", faults, skip_missing, hint)
    faults.stop_if_any()
    for split in chosen:
        records = result["validation" if split == "val" else "test"]
        _add_findings(records, outlines[split], paths[split]["masks"], masks_dir, faults)
    faults.stop_if_any()
    return result


def _read_labels(path: Path | None, faults: SourceFaults) -> pd.DataFrame:
    """The label table with patient, study, view and film name taken from Path."""
    table = read_table(path, ("Path", *LABELS), faults)
    parts = table["Path"].str.extract(IMAGE_PATH)
    bad = parts["patient"].isna()
    if bad.any():
        hint = "take the owner's own table, unedited"
        faults.add(path, "Path does not end in patientN/studyN/viewN_frontal.jpg or _lateral.jpg", hint, table["Path"][bad])
    table = table.join(parts)[~bad]
    table["film"] = table["patient"] + "_" + table["study"] + "_" + table["view"]
    report_repeats(table, "film", path, faults)
    return table


def _read_outlines(path: Path | None, table: pd.DataFrame, faults: SourceFaults) -> dict[str, dict]:
    """The json: film name to {finding: {size, counts}}; films that the label table does not know are a fault."""
    if path is None:
        return {}
    try:
        outlines = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        faults.add(path, f"is not JSON ({error})", "download it again")
        return {}
    strangers = [film for film in outlines if film not in set(table["film"])]
    if strangers and not table.empty:
        faults.add(path, "films are not in the label table", "take json and table of one release", strangers)
    return outlines


def _records(table: pd.DataFrame, films: Path) -> list[dict]:
    values = table[list(LABELS)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    columns = (table["film"], table["patient"], table["study"], table["view"])
    records = []
    for film, patient, study, view, row in zip(*columns, values.tolist(), strict=True):
        labels = {label: int(value) for label, value in zip(LABELS, row, strict=True) if value in (0.0, 1.0)}
        image = os.path.join(films, patient, study, f"{view}.jpg")
        records.append({"study_id": film, "patient_id": patient, "image": image, "labels": labels})
    return records


def _add_findings(records: list[dict], outlines: dict, path: Path, masks_dir: Path, faults: SourceFaults) -> None:
    """Decode the outlines of the records, write each that is not empty and add it to its record."""
    undecoded = []
    for record in tqdm(records, "writing masks", leave=False):
        findings = []
        for name, outline in outlines.get(record["study_id"], {}).items():
            try:
                mask = decode_mask(outline["size"], outline["counts"])
            except (ValueError, KeyError, TypeError) as error:
                undecoded.append(f"{record['study_id']} {name} ({type(error).__name__}: {error})")
                continue
            if not mask.any():
                continue
            label = LABEL_OF.get(name, name)
            file = masks_dir / f"{record['study_id']}_{label.replace(' ', '_')}.png"
            _write_mask(file, mask)
            findings.append({"label": label, "text": read_domain(DOMAIN).phrase_for(name), "mask": str(file)})
        if findings:
            record["findings"] = findings
    if undecoded:
        faults.add(path, "masks do not decode", "download it again", undecoded)


def _write_mask(file: Path, mask: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    done, png = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    if not done:
        raise OSError(f"{file}: the mask cannot be encoded as PNG")
    write_atomically(file, png.tobytes())
