"""A folder of CT volumes of one's own, with a table of reports or labels.

Layout:

    SOURCE_DIR/
      1001.nii.gz or 1001.nii       a NIfTI volume, or
      1001/*.dcm                    a folder with one DICOM series, or whatever path the table gives
    TABLE (CSV with commas, semicolons or tabs, UTF-8; or Excel's .xlsx)
      one row a volume: its id, its patient, its report in one column or two, labels

So a hospital's export is read, whatever its columns are called:

    python -m scripts datalist ct-folder --source_dir scans --table reports.csv --output data/datalist.json
        --id_column Accession --patient_column Patient --findings_column Findings --impression_column Impression
"""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from scripts.datalists.sources.ct_records import add_masks, joined_report, labels_of
from scripts.datalists.sources.own_table import read_own_table, report_bad_ids
from scripts.datalists.sources.tables import OWN_SPLIT, SourceFaults, folder_of, keep_present
from scripts.datalists.splits import split_by_patient

DOMAIN = "ct"
logger = logging.getLogger(__name__)

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def build(
    source_dir: str | Path,
    table: str | Path,
    id_column: str,
    patient_column: str,
    report_column: str | None = None,
    findings_column: str | None = None,
    impression_column: str | None = None,
    labels_columns: tuple[str, ...] = (),
    volume_column: str | None = None,
    masks: str | Path | None = None,
    seed: int = 0,
    skip_missing: bool = False,
) -> dict[str, list[dict]]:
    """Read a folder of volumes and its table, split 60/20/20 by patient.

    One record a row. `report` is the text of `report_column` as it is, or findings and impression as "FINDINGS: ..." and
    "IMPRESSION: ..." lines. Rows whose report is blank, or without reports all labels, are left out and counted.

    Args:
        source_dir: folder of the volumes.
        table: table of the volumes.
        id_column: its column with an id of each volume.
        patient_column: column with the patient, so that no patient is in two splits; the column of the ids where every
            patient has one volume.
        report_column: column with the whole report.
        findings_column, impression_column: columns with its sections, one or both, instead of `report_column`.
        labels_columns: columns with 1 (present), 0 (absent) or nothing (not known); their names become the labels.
        volume_column: column with the volume's path below `source_dir`, or a pattern with columns in braces, as in
            "{Scan}/series_{Series}"; without, the volume is <id>.nii.gz, <id>.nii or the folder <id>.
        masks: folder of anatomy masks, <id>.nii.gz or .nii anywhere below.
        seed: of the split.
        skip_missing: leave out volumes that are not on disk, instead of stopping.

    Raises:
        SourceError: an unreadable table, missing columns, blank or repeated ids, labels of other values, neither
            reports nor labels, missing volumes; all at once.
    """
    source_dir, path = folder_of(source_dir), folder_of(table)
    labels_columns = (labels_columns,) if isinstance(labels_columns, str) else tuple(labels_columns)
    faults = SourceFaults("ct-folder", source_dir)
    sections = _report_columns(report_column, findings_column, impression_column, labels_columns, faults)
    columns = {"id_column": [id_column], "patient_column": [patient_column], "labels_columns": list(labels_columns)}
    columns |= {option: [column] for option, column in sections.items()}
    columns["volume_column"] = [] if volume_column is None else PLACEHOLDER.findall(volume_column) or [volume_column]
    rows = read_own_table(path, columns, faults)
    faults.stop_if_any()

    report_bad_ids(rows, [id_column, patient_column, *columns["volume_column"]], path, faults)
    labels = labels_of(rows, labels_columns, id_column, path, faults)
    records = []
    for row, row_labels in zip(rows.to_dict("records"), labels, strict=True):
        image = _volume_path(source_dir, row, id_column, volume_column)
        report = _report({option: row[column] for option, column in sections.items()})
        record = {"volume_id": row[id_column], "patient_id": row[patient_column], "image": image}
        told = {"report": report, "labels": row_labels}
        records.append(record | {key: value for key, value in told.items() if value})
    records = _without_silent(records, "report" if sections else "labels")
    present = {record["image"] for record in records if _is_volume(record["image"])}
    records = keep_present(records, present, "image", faults, skip_missing, "put them there, or see --volume_column")
    if masks is not None:
        add_masks(records, folder_of(masks), faults)
    faults.stop_if_any()
    return split_by_patient(records, OWN_SPLIT, seed)


def _report_columns(
    report: str | None, findings: str | None, impression: str | None, labels: Sequence[str], faults: SourceFaults
) -> dict[str, str]:
    """Columns that make the report, by option; empty where there are labels alone."""
    given = {"report_column": report, "findings_column": findings, "impression_column": impression}
    given = {option: column for option, column in given.items() if column is not None}
    if "report_column" in given and len(given) > 1:
        hint = "give the whole report, or its sections"
        faults.add(faults.folder, "--report_column with --findings_column or --impression_column", hint)
    if not given and not labels:
        hint = "give --report_column, or --findings_column and --impression_column, or --labels_columns"
        faults.add(faults.folder, "neither reports nor labels are asked for", hint)
    return given


def _without_silent(records: list[dict], key: str) -> list[dict]:
    telling = [record for record in records if key in record]
    if len(telling) < len(records):
        logger.info("ct-folder: %d of %d rows have no %s: left out", len(records) - len(telling), len(records), key)
    return telling


def _report(cells: dict[str, str]) -> str:
    if "report_column" in cells:
        return cells["report_column"]
    return joined_report(cells.get("findings_column", ""), cells.get("impression_column", ""))


def _volume_path(source_dir: Path, row: dict[str, str], id_column: str, volume_column: str | None) -> str:
    if volume_column is not None:
        pattern = volume_column if PLACEHOLDER.search(volume_column) else f"{{{volume_column}}}"
        return os.path.join(source_dir, PLACEHOLDER.sub(lambda match: row[match[1]], pattern))
    places = [os.path.join(source_dir, row[id_column] + ending) for ending in (".nii.gz", ".nii", "")]
    return next(filter(_is_volume, places), places[0])


def _is_volume(path: str) -> bool:
    """Whether a file is there, or a folder that is not empty."""
    return os.path.isfile(path) or (os.path.isdir(path) and bool(os.listdir(path)))
