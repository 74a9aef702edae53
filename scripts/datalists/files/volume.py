"""Files of a volume's record."""

from pathlib import Path

from scripts.cases.domain import Domain
from scripts.datalists.files.opening import open_file
from scripts.files.validation import ErrorCollector
from scripts.readers.volume import RESAMPLE, grid_fault, read_label_map, read_volume


def check_files(notes: ErrorCollector, folder: Path, record: dict, domain: Domain) -> None:
    """Note what is wrong with a volume, and with its mask held against it."""
    volume = open_file(notes, folder, "image", record.get("image"), read_volume, may_be_folder=True)
    mask = record.get("anatomy_mask")
    labels = open_file(notes, folder, "anatomy_mask", mask, read_label_map)
    if labels is None:
        return
    fault = volume and grid_fault(*labels, volume)
    if fault:
        notes.add("mask of another grid", "anatomy_mask", mask, fault, RESAMPLE)
    if not labels[0].any():
        notes.add("empty mask", "anatomy_mask", mask, "is 0 everywhere", "replace it, or leave the record out")
