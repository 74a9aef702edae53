"""What the CT sources share: reports of two sections, labels that are 0 or 1, anatomy masks found by name."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scripts.datalists.sources.tables import SourceFaults, files_below

logger = logging.getLogger(__name__)

NIFTI_ENDING = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
ZERO_OR_ONE = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}


def joined_report(findings: str, impression: str) -> str:
    """Both sections under the headings that `report_sections` knows, one a line; "" where both are blank."""
    texts = {"FINDINGS": " ".join(findings.split()), "IMPRESSION": " ".join(impression.split())}
    return "\n".join(f"{heading}: {text}" for heading, text in texts.items() if text)


def labels_of(
    table: pd.DataFrame, columns: Sequence[str], key: str, path: Path | None, faults: SourceFaults
) -> list[dict[str, int]]:
    """Labels of each row by column name; blank cells are left out, values other than 0 and 1 noted with `key`."""
    for column in columns:
        bad = ~table[column].isin([*ZERO_OR_ONE, ""])
        if bad.any():
            records = [f"{k} ({v!r})" for k, v in zip(table[key][bad], table[column][bad], strict=True)]
            faults.add(path, f"column {column} is neither 0 nor 1", "give 0 or 1, or leave uncertain ones blank", records)
    rows = table[list(columns)].to_numpy()
    return [{name: ZERO_OR_ONE[cell] for name, cell in zip(columns, row, strict=True) if cell in ZERO_OR_ONE} for row in rows]


def add_masks(records: list[dict], folder: Path, faults: SourceFaults) -> None:
    """Give each record whose mask lies anywhere below `folder`, as <volume_id>.nii.gz or .nii, its `anatomy_mask`.

    Records without one are counted in a warning, because masks can be made later; two masks of one volume are a fault.
    """
    if not folder.is_dir():
        faults.add(folder, "not found", "give the folder of the anatomy masks, or leave --masks out")
        return
    found: dict[str, list[str]] = {}
    for path in files_below(folder, (".nii.gz", ".nii"), "looking for masks"):
        found.setdefault(NIFTI_ENDING.sub("", os.path.basename(path)), []).append(path)
    several = [record["volume_id"] for record in records if len(found.get(record["volume_id"], ())) > 1]
    if several:
        faults.add(folder, "several masks of one volume", "keep one of each", several)
    for record in records:
        if record["volume_id"] in found:
            record["anatomy_mask"] = found[record["volume_id"]][0]
    without = sum("anatomy_mask" not in record for record in records)
    if without:
        logger.warning("%s: %d of %d volumes have no mask in %s", faults.source, without, len(records), folder)
