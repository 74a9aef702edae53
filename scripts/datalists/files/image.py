"""Files of an image's record."""

from pathlib import Path

from scripts.cases.domain import Domain
from scripts.cases.values import check_inside
from scripts.datalists.files.opening import check_mask, findings_of, open_file
from scripts.files.validation import ErrorCollector
from scripts.readers.image import read_image


def check_files(notes: ErrorCollector, folder: Path, record: dict, domain: Domain) -> None:
    """Note what is wrong with an image, and with boxes and masks held against it."""
    shape = open_file(notes, folder, "image", record.get("image"), lambda path: read_image(path, domain).shape[:2])
    for key, finding in findings_of(record):
        boxes = finding.get("boxes")
        for number, box in enumerate(boxes if isinstance(boxes, list) else []):
            check_inside(notes, f"{key}.boxes[{number}]", box, shape)
        check_mask(notes, folder, f"{key}.mask", finding.get("mask"), shape)
