"""A hospital's own images, of any domain whose cases are single images, with a table of reports and labels.

Layout:

    SOURCE_DIR/**/*.png, *.jpg, *.dcm ...   wherever the table says
    TABLE (CSV with commas, semicolons or tabs, UTF-8; or Excel's .xlsx)
      one row an image: its id, its patient, its file below SOURCE_DIR, its report, and what else is known: labels, hospital, split

So an export is read, whatever its columns are called:

    python -m scripts datalist image-table --source_dir images --table images.xlsx --domain /srv/our_domain
        --output data/ours/datalist.json --study_column Accession --image_column File --label_columns "Exudate,Haemorrhage"
"""

import os
from pathlib import Path

import pandas as pd

from scripts.cases.domain import read_domain
from scripts.datalists.sources.own_table import SPLIT_NAMES, read_own_table, report_bad_ids
from scripts.datalists.sources.tables import OWN_SPLIT, SourceFaults, folder_of, keep_present
from scripts.datalists.splits import split_by_patient
from scripts.files.errors import UserError

DOMAIN = "cxr"


def build(
    source_dir: str | Path,
    table: str | Path,
    domain: str = DOMAIN,
    study_column: str = "study_id",
    patient_column: str = "patient_id",
    image_column: str = "image",
    report_column: str | None = None,
    label_columns: tuple[str, ...] = (),
    site_column: str | None = None,
    split_column: str | None = None,
    seed: int = 0,
    skip_missing: bool = False,
) -> dict[str, list[dict]]:
    """Read images and their table; without `split_column`, split 60/20/20 by patient.

    One record a row. A label column holds 1 (present), 0 (absent) or nothing (not known).

    Args:
        source_dir: folder of the images.
        table: table of the images.
        domain: what the images are: the name of a domain, or the folder of your own.
        study_column: its column with an id of each image.
        patient_column: column with the patient, so that no patient is in two splits.
        image_column: column with the image's file below `source_dir`.
        report_column: column with the report; a blank one is an image without report.
        label_columns: columns with findings, each its own label.
        site_column: column with the hospital.
        split_column: column with training (train), validation (val, valid) or test.
        seed: of the split.
        skip_missing: leave out images that are not on disk, instead of stopping.

    Raises:
        SourceError: an unreadable table, missing columns, blank or repeated ids, other values than 1, 0 or nothing in a label
            column, unknown splits, images that are not there; all at once.
        UserError: a domain whose cases are no single images.
    """
    cases = read_domain(domain)
    if cases.kind != "image":
        raise UserError(f"--domain {domain} ({cases.title}) is of kind {cases.kind}; image-table reads single images")
    source_dir, path = folder_of(source_dir), folder_of(table)
    faults = SourceFaults("image-table", source_dir)
    label_columns = (label_columns,) if isinstance(label_columns, str) else tuple(label_columns)
    columns = {"study_column": [study_column], "patient_column": [patient_column], "image_column": [image_column]}
    named = {"report_column": report_column, "site_column": site_column, "split_column": split_column}
    columns |= {option: [column] for option, column in named.items() if column is not None}
    rows = read_own_table(path, columns | {"label_columns": list(label_columns)}, faults)
    faults.stop_if_any()
    report_bad_ids(rows, [study_column, patient_column, image_column], path, faults)
    _check_values(rows, study_column, label_columns, split_column, path, faults)
    faults.stop_if_any()
    kept = {"study_id": study_column, "patient_id": patient_column, "image": image_column, "report": report_column}
    kept |= {"site": site_column, "split": split_column}
    records = [_record(row, kept, label_columns, source_dir) for row in rows.to_dict("records")]
    present = {record["image"] for record in records if Path(record["image"]).is_file()}
    records = keep_present(records, present, "image", faults, skip_missing, "correct the names, or give another --source_dir")
    faults.stop_if_any()
    if split_column is None:
        return split_by_patient(records, OWN_SPLIT, seed)
    frame = pd.Series([SPLIT_NAMES[record.pop("split").casefold()] for record in records], dtype=str)
    return {split: [records[index] for index in frame.index[frame == split]] for split in OWN_SPLIT}


def _check_values(
    rows: pd.DataFrame, study: str, label_columns: tuple[str, ...], split_column: str | None, path: Path, faults: SourceFaults
) -> None:
    for column in label_columns:
        strange = rows[study][~rows[column].isin(["", "0", "1"])]
        if len(strange):
            faults.add(path, f"{column} is none of 1, 0 and nothing", "correct it, or leave the column out", strange)
    if split_column is not None:
        unknown = rows[study][~rows[split_column].str.casefold().isin(SPLIT_NAMES)]
        if len(unknown):
            faults.add(path, f"{split_column} is no split", "give training, validation or test", unknown)


def _record(row: dict[str, str], columns: dict[str, str | None], label_columns: tuple[str, ...], folder: Path) -> dict:
    record = {key: row[column] for key, column in columns.items() if column is not None and row[column]}
    record["image"] = os.path.normpath(os.path.join(folder, record["image"].replace("\\", "/")))
    labels = {column: int(row[column]) for column in label_columns if row[column]}
    return record | ({"labels": labels} if labels else {})
