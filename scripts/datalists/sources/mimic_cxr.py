"""MIMIC-CXR-JPG films with the free-text reports of MIMIC-CXR (Johnson et al., 2019; PhysioNet).

Layout as of MIMIC-CXR-JPG 2.0.0 and 2.1.0 (both name their tables 2.0.0) and MIMIC-CXR 2.0.0/2.1.0:

    SOURCE_DIR/
      mimic-cxr-2.0.0-metadata.csv[.gz]   dicom_id, subject_id, study_id, ViewPosition, ...
      mimic-cxr-2.0.0-split.csv[.gz]      dicom_id, study_id, subject_id, split (train | validate | test)
      mimic-cxr-2.0.0-chexpert.csv[.gz]   subject_id, study_id, 14 labels (1.0, 0.0, -1.0 or blank)
      files/p10/p10000032/s50414267/<dicom_id>.jpg
    REPORTS_DIR/ (SOURCE_DIR where not given): mimic-cxr-reports.zip, extracted
      [mimic-cxr-reports/]files/p10/p10000032/s50414267.txt
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from scripts.datalists.sources.tables import (
    SourceFaults,
    files_below,
    first_present,
    folder_of,
    keep_present,
    read_table,
    report_repeats,
    report_unknown,
)

DOMAIN = "cxr"
SPLITS = {"train": "training", "validate": "validation", "test": "test"}
LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
DOWNLOAD = "download it from physionet.org/content/mimic-cxr-jpg"


def build(
    source_dir: str | Path,
    reports_dir: str | Path | None = None,
    views: tuple[str, ...] = ("AP", "PA"),
    skip_missing: bool = False,
) -> dict[str, list[dict]]:
    """Read MIMIC-CXR-JPG and its reports in the official splits.

    One record a film. `study_id` is the study's number where it has one film of the asked views, else
    `<study>_<dicom_id>`, whether or not all films are on disk, so that ids do not change with a download's progress.
    The report is the study's whole text. Labels are CheXpert's: 1.0 is 1, 0.0 is 0; blank (not mentioned) and -1.0
    (uncertain) are left out.

    Args:
        source_dir: MIMIC-CXR-JPG's folder.
        reports_dir: folder into which mimic-cxr-reports.zip was extracted; `source_dir` where None.
        views: values of ViewPosition that are kept; frontal films where not given.
        skip_missing: leave out films whose image or report is not on disk, instead of stopping.

    Raises:
        SourceError: missing tables or columns, values of another kind, missing images or reports; all at once.
    """
    source_dir = folder_of(source_dir)
    reports_dir = source_dir if reports_dir is None else folder_of(reports_dir)
    faults = SourceFaults("mimic-cxr", source_dir)
    first_present(source_dir, ("files",), faults, DOWNLOAD)
    places = ("mimic-cxr-reports/files", "files")
    reports_root = first_present(reports_dir, places, faults, "extract mimic-cxr-reports.zip")
    metadata = _read("metadata", ("dicom_id", "subject_id", "study_id", "ViewPosition"), "dicom_id", source_dir, faults)
    split = _read("split", ("dicom_id", "split"), "dicom_id", source_dir, faults)
    chexpert = _read("chexpert", ("study_id", *LABELS), "study_id", source_dir, faults)
    report_unknown(split, "split", "dicom_id", SPLITS, "mimic-cxr-2.0.0-split.csv", faults)
    faults.stop_if_any()
    films = _films(metadata, split, (views,) if isinstance(views, str) else tuple(views), faults)
    faults.stop_if_any()

    records = _records(films, _certain_labels(chexpert), source_dir, reports_root)
    present = set(files_below(source_dir / "files", (".jpg",), "looking for films"))
    records = keep_present(records, present, "image", faults, skip_missing, "finish the download of files/")
    records = _with_reports(records, faults, skip_missing)
    faults.stop_if_any()
    splits: dict[str, list[dict]] = {name: [] for name in SPLITS.values()}
    for record in records:
        splits[SPLITS[record.pop("split")]].append(record)
    return splits


def _read(table: str, columns: tuple[str, ...], key: str, source_dir: Path, faults: SourceFaults) -> pd.DataFrame:
    """One of the three tables, compressed or not, whose `key` must be unique."""
    names = (f"mimic-cxr-2.0.0-{table}.csv.gz", f"mimic-cxr-2.0.0-{table}.csv")
    path = first_present(source_dir, names, faults, DOWNLOAD)
    result = read_table(path, columns, faults)
    report_repeats(result, key, path, faults)
    return result


def _films(metadata: pd.DataFrame, split: pd.DataFrame, views: tuple[str, ...], faults: SourceFaults) -> pd.DataFrame:
    """Films of the asked views with their split."""
    films = metadata[metadata["ViewPosition"].isin(views)].merge(split, on="dicom_id", how="left")
    if films.empty:
        fault = f"no film has ViewPosition {' or '.join(views)}"
        faults.add("mimic-cxr-2.0.0-metadata.csv", fault, "ask for other views")
    unsplit = films["dicom_id"][films["split"].isna()]
    if len(unsplit):
        hint = "take both tables of one release"
        faults.add("mimic-cxr-2.0.0-split.csv", "films of the metadata are missing", hint, unsplit)
    return films


def _certain_labels(chexpert: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Labels that are 0 or 1 by study."""
    values = chexpert[list(LABELS)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    return {
        study: {label: int(value) for label, value in zip(LABELS, row, strict=True) if value in (0.0, 1.0)}
        for study, row in zip(chexpert["study_id"], values.tolist(), strict=True)
    }


def _records(films: pd.DataFrame, labels: dict, source_dir: Path, reports_root: Path) -> list[dict]:
    """Records in the metadata's order, with `split` and the report's path in place of its text."""
    study = "p" + films["subject_id"].str[:2] + "/p" + films["subject_id"] + "/s" + films["study_id"]
    images = f"{source_dir}/files/" + study + "/" + films["dicom_id"] + ".jpg"
    reports = f"{reports_root}/" + study + ".txt"
    several = films["study_id"].duplicated(keep=False)
    ids = films["study_id"].where(~several, films["study_id"] + "_" + films["dicom_id"])
    columns = (ids, films["subject_id"], images, reports, films["study_id"], films["split"])
    records = []
    for record_id, patient, image, report, study_id, split in zip(*columns, strict=True):
        record = {"study_id": record_id, "patient_id": patient, "image": image, "report": report, "split": split}
        if labels.get(study_id):
            record["labels"] = dict(labels[study_id])
        records.append(record)
    return records


def _with_reports(records: list[dict], faults: SourceFaults, skip_missing: bool) -> list[dict]:
    """Put each report's text in place of its path; films of one study share the one string."""
    paths = list(dict.fromkeys(record["report"] for record in records))
    # Reading is waiting for the disk or the network, and threads wait side by side.
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = pool.map(_read_report, paths, chunksize=256)
        texts = dict(zip(paths, tqdm(found, "reading reports", len(paths), leave=False), strict=True))
    present = {path for path, text in texts.items() if text is not None}
    records = keep_present(records, present, "report", faults, skip_missing, "extract mimic-cxr-reports.zip (see reports_dir)")
    for record in records:
        record["report"] = texts[record["report"]]
    return records


def _read_report(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
