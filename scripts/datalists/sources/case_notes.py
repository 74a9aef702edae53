"""Films of published COVID-19 cases with their case notes: covid-chestxray-dataset (Cohen et al., MELBA 2020).

Layout as of github.com/ieee8023/covid-chestxray-dataset in its final state (October 2020):

    SOURCE_DIR/
      metadata.csv    patientid, offset, sex, age, finding, ..., view, modality, date, location, folder, filename,
                      doi, url, license, clinical_notes, other_notes
      images/<filename>

The notes are captions and case texts, sometimes with the history, sometimes one for several films of a case. Licences
differ from film to film (column license).
"""

import logging
import os
from pathlib import Path

from scripts.datalists.sources.tables import (
    OWN_SPLIT,
    SourceFaults,
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

COLUMNS = ("patientid", "finding", "view", "folder", "filename", "clinical_notes")
UNKNOWN = {"", "todo", "Unknown"}
DOWNLOAD = "clone github.com/ieee8023/covid-chestxray-dataset"


def build(
    source_dir: str | Path,
    views: tuple[str, ...] = ("PA", "AP", "AP Supine"),
    seed: int = 0,
    skip_missing: bool = False,
) -> dict[str, list[dict]]:
    """Read films with their clinical notes as reports, split 60/20/20 by patient.

    One record a film, `study_id` its file name. Films without notes are left out and counted. `labels` are the steps of
    `finding` ("Pneumonia/Viral/COVID-19" gives three), all 1: a case is published for what it has, and nobody looked
    for the rest; "todo" and "Unknown" give none.

    Args:
        source_dir: the repository.
        views: values of `view` that are kept.
        seed: of the split.
        skip_missing: leave out films that are not on disk, instead of stopping.

    Raises:
        SourceError: missing table, columns or films, films named twice; all at once.
    """
    source_dir = folder_of(source_dir)
    views = (views,) if isinstance(views, str) else tuple(views)
    faults = SourceFaults("case-notes", source_dir)
    path = first_present(source_dir, ("metadata.csv",), faults, DOWNLOAD)
    first_present(source_dir, ("images",), faults, DOWNLOAD)
    table = read_table(path, COLUMNS, faults)
    faults.stop_if_any()

    table = table[table["view"].isin(views)]
    noted = table[table["clinical_notes"].str.strip().ne("")]
    logger.info("case-notes: %d of %d films of %s have no notes", len(table) - len(noted), len(table), ", ".join(views))
    report_repeats(noted, "filename", path, faults)
    if noted.empty:
        faults.add(path, f"no film with notes has view {' or '.join(views)}", "ask for other views")
    blank = noted["filename"][noted["patientid"].str.strip().eq("")]
    if len(blank):
        faults.add(path, "patientid is blank", "take the owner's own table, unedited", blank)

    records = [_record(source_dir, row) for row in noted.to_dict("records")]
    present = set(files_below(source_dir / "images", ("",), "looking for films"))
    records = keep_present(records, present, "image", faults, skip_missing, "check out the whole repository")
    faults.stop_if_any()
    return split_by_patient(records, OWN_SPLIT, seed)


def _record(source_dir: Path, row: dict[str, str]) -> dict:
    image = os.path.join(source_dir, row["folder"], row["filename"])
    record = {"study_id": row["filename"], "patient_id": row["patientid"], "image": image}
    record["report"] = row["clinical_notes"].strip()
    labels = {label.strip(): 1 for label in row["finding"].split("/") if label.strip() not in UNKNOWN}
    if labels:
        record["labels"] = labels
    return record
