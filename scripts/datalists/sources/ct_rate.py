"""CT-RATE: chest CT with reports (Hamamci et al. 2024, arXiv 2403.17834; huggingface.co/datasets/ibrahimhamamci/CT-RATE).

Layout as of 2025, after the owner added corrected volumes and TotalSegmentator's masks:

    SOURCE_DIR/ (the repository, or its folder dataset/)
      train_fixed/train_1/train_1_a/train_1_a_1.nii.gz    patient train_1, scan a, reconstruction 1; 47,149 in all
      valid_fixed/valid_1/valid_1_a/valid_1_a_1.nii.gz    3,039 in all
      radiology_text_reports/train_reports.csv, validation_reports.csv
                                              VolumeName, ..., Findings_EN, Impressions_EN
      multi_abnormality_labels/train_predicted_labels.csv, valid_predicted_labels.csv
                                              VolumeName, 18 labels (0 or 1)
      metadata/train_metadata.csv, validation_metadata.csv    VolumeName, ..., XYSpacing, ..., ZSpacing, ...
      metadata/no_chest_train.txt, no_chest_valid.txt     volumes that show a head, one path a line
      [ts_seg/ts_total/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz, ts_seg/ts_total/valid_fixed/...]

The first release's volumes (train/ and valid/) carry neither spacing, orientation nor Hounsfield units: those stand in
the metadata. Only corrected volumes are read. Reports are machine-translated from Turkish; labels were predicted from
the reports by the owner's text classifier, in both sets.
"""

import ast
import logging
import os
import re
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.filebasedimages import ImageFileError
from tqdm import tqdm

from scripts.datalists.sources.ct_records import add_masks, joined_report, labels_of
from scripts.datalists.sources.tables import (
    SourceFaults,
    files_below,
    first_present,
    folder_of,
    keep_present,
    read_table,
    report_repeats,
)
from scripts.datalists.splits import split_by_patient

DOMAIN = "ct"
logger = logging.getLogger(__name__)

LABELS = (
    "Medical material",
    "Arterial wall calcification",
    "Cardiomegaly",
    "Pericardial effusion",
    "Coronary artery wall calcification",
    "Hiatal hernia",
    "Lymphadenopathy",
    "Emphysema",
    "Atelectasis",
    "Lung nodule",
    "Lung opacity",
    "Pulmonary fibrotic sequela",
    "Pleural effusion",
    "Mosaic attenuation pattern",
    "Peribronchial thickening",
    "Consolidation",
    "Bronchiectasis",
    "Interlobular septal thickening",
)
REPORTS = {"train": "train_reports.csv", "valid": "validation_reports.csv"}
"""The owner's two sets, which name their volumes and folders, and the table that holds each one's reports."""
METADATA = {"train": "train_metadata.csv", "valid": "validation_metadata.csv"}
VOLUME = re.compile(r"(?P<patient>(?P<set>train|valid)_\d+)_(?P<scan>[a-z]+)_(?P<reconstruction>\d+)\.nii\.gz")
SPACING_TOLERANCE = 0.01
"""Share by which a corrected volume's spacing may differ from the metadata's."""
DOWNLOAD = "download it from huggingface.co/datasets/ibrahimhamamci/CT-RATE"


def build(
    source_dir: str | Path,
    fixed: bool = True,
    first_reconstruction: bool = False,
    masks: str | Path | None = None,
    validation: float = 0.05,
    seed: int = 0,
    skip_missing: bool = False,
) -> dict[str, list[dict]]:
    """Read CT-RATE; the owner's validation set is `test`, patients of its training set make training and validation.

    One record a reconstruction: `volume_id` is the volume's name without .nii.gz, `report` its findings and impression
    as "FINDINGS: ..." and "IMPRESSION: ..." lines, `labels` the 18 predicted ones, `anatomy_mask` TotalSegmentator's
    mask where there is one. Left out and counted are volumes that show a head (no_chest_*.txt), those without a slice
    spacing in the metadata, which could not be corrected, and training volumes whose report is blank.

    Args:
        source_dir: the repository or its folder dataset/.
        fixed: read train_fixed/ and valid_fixed/; without, train/ and valid/ of somebody who corrected the volumes
            under their old names, which is seen by holding every header against the metadata.
        first_reconstruction: only the first reconstruction of each scan, instead of all.
        masks: folder of other anatomy masks, <volume_id>.nii.gz anywhere below; ts_seg/ts_total where not given.
        validation: share of the owner's training volumes that go to validation; 0.05 are some 1,000 patients.
        seed: of that split.
        skip_missing: leave out volumes that are not on disk, instead of stopping.

    Raises:
        SourceError: missing tables or columns, volumes of other names, labels of other values, volumes that are
            missing or not corrected; all at once.
    """
    source_dir = folder_of(source_dir)
    if (source_dir / "dataset").is_dir():
        source_dir = source_dir / "dataset"
    faults = SourceFaults("ct-rate", source_dir)
    folders = {owner: _volume_folder(source_dir, owner, fixed, faults) for owner in REPORTS}
    volumes = {owner: _read_set(source_dir, owner, faults) for owner in REPORTS}
    faults.stop_if_any()

    records = {}
    for owner, table in volumes.items():
        kept = _first_of_each_scan(table) if first_reconstruction else table
        found = {os.path.basename(p): p for p in files_below(folders[owner], (".nii.gz",), f"looking in {folders[owner].name}")}
        listed = [_record(row, found, folders[owner]) for row in kept.to_dict("records")]
        hint = f"finish the download of {folders[owner].name}/"
        records[owner] = keep_present(listed, set(found.values()), "image", faults, skip_missing, hint)
        if not fixed:
            _report_uncorrected(records[owner], set(found.values()), table, folders[owner], faults)
    every = [record for listed in records.values() for record in listed]
    if not every:
        faults.add(source_dir, "no volume in it", DOWNLOAD)
    _find_masks(every, source_dir, masks, faults)
    faults.stop_if_any()
    shares = {"training": 1 - validation, "validation": validation}
    rest = records["train"]
    splits = split_by_patient(rest, shares, seed) if rest else {name: [] for name in shares}
    return {**splits, "test": records["valid"]}


def _volume_folder(source_dir: Path, owner: str, fixed: bool, faults: SourceFaults) -> Path:
    folder = source_dir / (f"{owner}_fixed" if fixed else owner)
    if fixed and not folder.is_dir() and (source_dir / owner).is_dir():
        fault = f"not found, only {owner}/, whose volumes carry neither spacing nor Hounsfield units"
        hint = (
            f"download {folder.name}/, or correct {owner}/ with the owner's download_scripts/fix_metadata.py, "
            "and give --fixed=False if that was done in place"
        )
        faults.add(folder, fault, hint)
    return folder


def _read_set(source_dir: Path, owner: str, faults: SourceFaults) -> pd.DataFrame:
    """Volumes of one of the owner's sets that can be used.

    Columns: VolumeName, patient, scan, reconstruction (a number), report, labels (a dict), XYSpacing, ZSpacing.
    """
    reports_path = first_present(source_dir, (f"radiology_text_reports/{REPORTS[owner]}",), faults, DOWNLOAD)
    labels_path = first_present(source_dir, (f"multi_abnormality_labels/{owner}_predicted_labels.csv",), faults, DOWNLOAD)
    metadata_path = first_present(source_dir, (f"metadata/{METADATA[owner]}",), faults, DOWNLOAD)
    heads_path = first_present(source_dir, (f"metadata/no_chest_{owner}.txt",), faults, DOWNLOAD)
    volumes = read_table(reports_path, ("VolumeName", "Findings_EN", "Impressions_EN"), faults)
    labels = read_table(labels_path, ("VolumeName", *LABELS), faults)
    metadata = read_table(metadata_path, ("VolumeName", "XYSpacing", "ZSpacing"), faults)
    for table, path in ((volumes, reports_path), (labels, labels_path), (metadata, metadata_path)):
        report_repeats(table, "VolumeName", path, faults)
    heads = set() if heads_path is None else {Path(line).name for line in heads_path.read_text(encoding="utf-8").split()}

    parts = volumes["VolumeName"].str.extract(f"^{VOLUME.pattern}$")
    strange = volumes["VolumeName"][parts["set"] != owner]
    if len(strange):
        fault = f"VolumeName is not {owner}_<patient>_<scan>_<reconstruction>.nii.gz"
        faults.add(reports_path, fault, "take the owner's own table, unedited", strange)
        return volumes[:0]
    texts = zip(volumes["Findings_EN"], volumes["Impressions_EN"], strict=True)
    volumes["report"] = [joined_report(findings, impression) for findings, impression in texts]
    volumes["patient"], volumes["scan"] = parts["patient"], parts["scan"]
    volumes["reconstruction"] = parts["reconstruction"].astype(int)
    labels["labels"] = labels_of(labels, LABELS, "VolumeName", labels_path, faults)
    volumes = volumes.merge(labels[["VolumeName", "labels"]], "left", "VolumeName").merge(metadata, "left", "VolumeName")
    return _usable(volumes, heads, owner)


def _usable(volumes: pd.DataFrame, heads: set[str], owner: str) -> pd.DataFrame:
    """Volumes that show a chest, have a slice spacing and, in the owner's training set, a report; the rest is counted."""
    no_chest = volumes["VolumeName"].isin(heads)
    no_spacing = pd.to_numeric(volumes["ZSpacing"], errors="coerce").isna()
    no_report = (volumes["report"] == "") & (owner == "train")
    for reason, left_out in (("show a head", no_chest), ("have no slice spacing", no_spacing), ("have no report", no_report)):
        if left_out.any():
            logger.info("ct-rate: %d of %d volumes of %s %s: left out", left_out.sum(), len(volumes), owner, reason)
    unlabelled = int(volumes["labels"].isna().sum())
    if unlabelled:
        logger.warning("ct-rate: %d of %d volumes of %s have no labels", unlabelled, len(volumes), owner)
    return volumes[~(no_chest | no_spacing | no_report)]


def _first_of_each_scan(volumes: pd.DataFrame) -> pd.DataFrame:
    """The lowest reconstruction of each scan, in the table's order, whether or not it is on disk."""
    return volumes.sort_values("reconstruction", kind="stable").drop_duplicates(["patient", "scan"]).sort_index()


def _record(row: dict, found: dict[str, str], folder: Path) -> dict:
    name, patient = row["VolumeName"], row["patient"]
    image = found.get(name, str(folder / patient / f"{patient}_{row['scan']}" / name))
    record = {"volume_id": name.removesuffix(".nii.gz"), "patient_id": patient, "image": image}
    if row["report"]:
        record["report"] = row["report"]
    if isinstance(row["labels"], dict) and row["labels"]:  # NaN where the table of labels has no such volume
        record["labels"] = row["labels"]
    return record


def _find_masks(records: list[dict], source_dir: Path, masks: str | Path | None, faults: SourceFaults) -> None:
    own = source_dir / "ts_seg" / "ts_total"
    if masks is not None:
        add_masks(records, folder_of(masks), faults)
    elif own.is_dir():
        add_masks(records, own, faults)
    else:
        logger.warning("ct-rate: no masks, because there is no %s and no --masks", own)


def _report_uncorrected(records: list[dict], present: set[str], table: pd.DataFrame, folder: Path, faults: SourceFaults) -> None:
    """Note volumes whose header has not the spacing of the metadata; the original ones have 1 x 1 x 1."""
    wanted = dict(zip(table["VolumeName"], zip(table["XYSpacing"], table["ZSpacing"], strict=True), strict=True))
    bad = []
    for record in tqdm([r for r in records if r["image"] in present], "reading headers", leave=False):
        name = os.path.basename(record["image"])
        try:
            spacing = [*ast.literal_eval(wanted[name][0]), float(wanted[name][1])]
            zooms = nib.load(record["image"]).header.get_zooms()
            if len(zooms) != 3 or not np.allclose(zooms, spacing, rtol=SPACING_TOLERANCE):
                bad.append(f"{name} ({' x '.join(f'{z:g}' for z in zooms)} mm)")
        except (ImageFileError, OSError, EOFError, zlib.error, ValueError, SyntaxError, TypeError) as error:
            bad.append(f"{name} ({type(error).__name__}: {error})")
    if bad:
        hint = "correct them with the owner's download_scripts/fix_metadata.py, or download the corrected ones"
        faults.add(folder, "volumes have not the spacing that the metadata gives", hint, bad)
