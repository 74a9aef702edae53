"""Opening one file of a record: what it holds, or a note of why it cannot be read."""

from pathlib import Path
from typing import Any

from scripts.files.read_error import ReadError
from scripts.files.validation import ErrorCollector
from scripts.predictions.masks import read_mask

_REPLACE = "replace the file, or leave the record out"


def findings_of(record: dict) -> list[tuple[str, dict]]:
    """Key and content of each finding that is an object."""
    findings = record.get("findings")
    listed = enumerate(findings if isinstance(findings, list) else [])
    return [(f"findings[{number}]", finding) for number, finding in listed if isinstance(finding, dict)]


def open_file(notes: ErrorCollector, folder: Path, key: str, name: Any, read: Any, may_be_folder: bool = False) -> Any:
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


def check_mask(notes: ErrorCollector, folder: Path, key: str, name: Any, shape: tuple[int, int] | None) -> None:
    mask = open_file(notes, folder, key, name, read_mask)
    if mask is None:
        return
    if shape is not None and mask.shape != shape:
        reason = f"is {mask.shape[1]} x {mask.shape[0]} pixels, the image {shape[1]} x {shape[0]}"
        notes.add("mask of another shape", key, name, reason, "draw it in the image's own pixels")
    if not mask.any():
        notes.add("empty mask", key, name, "marks no pixel", "leave the key out, or replace the file")
