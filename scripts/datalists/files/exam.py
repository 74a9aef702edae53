"""Files of an exam's record."""

from pathlib import Path

from scripts.cases.domain import Domain
from scripts.cases.values import check_inside
from scripts.datalists.files.opening import check_mask, findings_of, open_file
from scripts.files.validation import ErrorCollector
from scripts.readers.image import read_image


def check_files(notes: ErrorCollector, folder: Path, record: dict, domain: Domain) -> None:
    """Note what is wrong with an exam's images, and with boxes and masks held against the images that they are on."""
    images = record.get("images")
    images = images if isinstance(images, list) else []
    shapes = [
        open_file(notes, folder, f"images[{n}]", image, lambda path: read_image(path, domain).shape[:2])
        for n, image in enumerate(images)
    ]
    for key, finding in findings_of(record):
        index = finding.get("image_index")
        known = isinstance(index, int) and 0 <= index < len(shapes)
        check_inside(notes, f"{key}.box", finding.get("box"), shapes[index] if known else None)
        check_mask(notes, folder, f"{key}.mask", finding.get("mask"), shapes[index] if known else None)
