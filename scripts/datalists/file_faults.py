"""What is wrong with the files that a datalist names: each image and mask is opened and held against its record."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from scripts.datalists.form import records_of, task_form
from scripts.files.faults import Fault
from scripts.files.form import ErrorCollector, check_inside
from scripts.predictions.masks import read_mask
from scripts.readers.film import ReadError, read_film
from scripts.readers.frame import read_frame
from scripts.readers.volume import RESAMPLE, grid_fault, read_label_map, read_volume

_REPLACE = "replace the file, or leave the record out"


def file_faults(path: str | Path, content: dict, workers: int | None = None, progress: bool = True) -> list[Fault]:
    """Open every image and mask of a datalist and list what is wrong, in the order of the records.

    Records may have faults of form; what cannot be looked at because of them is passed over.

    Args:
        path: the datalist; relative paths start at its folder.
        content: its JSON.
        workers: records looked at at a time; by default one a processor, at most 16. They are threads, because decoders
            release Python's lock.
        progress: show a bar when standard error is a terminal.
    """
    form = task_form(content)
    if form is None:
        return []
    look = {"exam_id": _nasal, "study_id": _cxr, "volume_id": _ct}[form.id_key]
    folder = Path(path).absolute().parent
    records = [(split, name, record) for split, name, record in records_of(content, form) if isinstance(record, dict)]

    def faults_of(entry: tuple[str, str, dict]) -> list[Fault]:
        split, name, record = entry
        notes = ErrorCollector(str(path), split, name)
        look(notes, folder, record)
        return notes.faults

    pool = ThreadPoolExecutor(workers or min(os.cpu_count() or 1, 16))
    try:
        bar = tqdm(total=len(records), desc="opening files", unit="case", disable=None if progress else True)
        with bar:
            faults: list[Fault] = []
            for found in pool.map(faults_of, records):
                faults += found
                bar.update()
        return faults
    finally:
        pool.shutdown(cancel_futures=True)  # on an interrupt, do not read the rest first


def _cxr(notes: ErrorCollector, folder: Path, record: dict) -> None:
    shape = _open(notes, folder, "image", record.get("image"), lambda path: read_film(path).shape)
    for key, finding in _findings(record):
        boxes = finding.get("boxes")
        for number, box in enumerate(boxes if isinstance(boxes, list) else []):
            check_inside(notes, f"{key}.boxes[{number}]", box, shape)
        _check_mask(notes, folder, f"{key}.mask", finding.get("mask"), shape)


def _nasal(notes: ErrorCollector, folder: Path, record: dict) -> None:
    images = record.get("images")
    images = images if isinstance(images, list) else []
    shapes = [_open(notes, folder, f"images[{n}]", image, _frame_shape) for n, image in enumerate(images)]
    for key, finding in _findings(record):
        index = finding.get("image_index")
        known = isinstance(index, int) and 0 <= index < len(shapes)
        check_inside(notes, f"{key}.box", finding.get("box"), shapes[index] if known else None)
        _check_mask(notes, folder, f"{key}.mask", finding.get("mask"), shapes[index] if known else None)


def _ct(notes: ErrorCollector, folder: Path, record: dict) -> None:
    volume = _open(notes, folder, "image", record.get("image"), read_volume, may_be_folder=True)
    mask = record.get("anatomy_mask")
    labels = _open(notes, folder, "anatomy_mask", mask, read_label_map)
    if labels is None:
        return
    fault = volume and grid_fault(*labels, volume)
    if fault:
        notes.add("mask of another grid", "anatomy_mask", mask, fault, RESAMPLE)
    if not labels[0].any():
        notes.add("empty mask", "anatomy_mask", mask, "is 0 everywhere", "replace it, or leave the record out")


def _findings(record: dict) -> list[tuple[str, dict]]:
    findings = record.get("findings")
    listed = enumerate(findings if isinstance(findings, list) else [])
    return [(f"findings[{number}]", finding) for number, finding in listed if isinstance(finding, dict)]


def _open(notes: ErrorCollector, folder: Path, key: str, name: Any, read: Any, may_be_folder: bool = False) -> Any:
    """What `read` says of a file, or None with a note when there is no file or it cannot be read."""
    if not isinstance(name, str) or not name.strip():
        return None
    path = folder / name
    if not path.is_file() and not (may_be_folder and path.is_dir()):
        reason = "is a folder" if path.is_dir() else "does not exist"
        place = "" if Path(name).is_absolute() else f" (looked for in {folder})"
        notes.add("missing file", key, name, reason + place, "put the file there or correct the path")
        return None
    kind = "unreadable mask" if key.endswith("mask") else "unreadable image"
    try:
        return read(path)
    except ReadError as error:
        notes.add(kind, key, name, error.reason, _REPLACE)
    except Exception as error:  # a damaged file can make a decoder fail in any way; the other files are still looked at
        notes.add(kind, key, name, f"cannot be read ({type(error).__name__}: {error})", _REPLACE)
    return None


def _frame_shape(path: Path) -> tuple[int, int]:
    """Height and width of an endoscopic picture, all of it decoded."""
    height, width, _ = read_frame(path).shape
    return height, width


def _check_mask(notes: ErrorCollector, folder: Path, key: str, name: Any, shape: tuple[int, int] | None) -> None:
    mask = _open(notes, folder, key, name, read_mask)
    if mask is None:
        return
    if shape is not None and mask.shape != shape:
        reason = f"is {mask.shape[1]} x {mask.shape[0]} pixels, the image {shape[1]} x {shape[0]}"
        notes.add("mask of another shape", key, name, reason, "draw it in the image's own pixels")
    if not mask.any():
        notes.add("empty mask", key, name, "marks no pixel", "leave the key out, or replace the file")
