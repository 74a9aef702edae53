"""Checking JSON against a form: keys that must or may be there, and what their values may be."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from scripts.files.faults import MISSING, Fault, as_json

_TYPE_NAMES = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "a truth value",
    int: "a number",
    float: "a number",
}


class ErrorCollector:
    """Collects the faults of one record; knows where it stands, so that checks need not."""

    def __init__(self, file: str, split: str = "", record: str = "") -> None:
        self.place = {"file": file, "split": split, "record": record}
        self.faults: list[Fault] = []

    def add(self, kind: str, key: str, value: Any, reason: str, hint: str) -> None:
        """Note a fault at `key`; `value` is what stands there, `MISSING` if nothing does."""
        self.faults.append(Fault(kind, **self.place, key=key, value=as_json(value), reason=reason, hint=hint))

    def wrong_type(self, key: str, value: Any, wanted: str) -> None:
        self.add("wrong type", key, value, f"is {_TYPE_NAMES.get(type(value), 'null')}, not {wanted}", f"give {wanted}")


EMPTY_REPORT = "fill it in, or leave out an optional report or else the record"

Check = Callable[[ErrorCollector, str, Any], None]
"""Looks at the value of a key and notes what is wrong with it."""

BOX_TOLERANCE = 0.01
"""Pixels by which a box may leave its image: boxes scaled from another size carry rounding."""


@dataclass(frozen=True)
class Form:
    """Keys of a record or finding: those that must be there, those that may, and how each one's value is checked."""

    required: dict[str, Check]
    optional: dict[str, Check]

    def check(self, notes: ErrorCollector, record: dict, prefix: str = "") -> None:
        """Note missing and unknown keys and the faults of all values; `prefix` is written before each key."""
        checks = self.required | self.optional
        for key in [key for key in self.required if key not in record]:
            near = get_close_matches(key, record.keys() - checks.keys(), 1)
            hint = f'rename "{near[0]}"' if near else "add it"
            notes.add("missing key", prefix + key, MISSING, "is required and not there", hint)
        for key, value in record.items():
            if key in checks:
                checks[key](notes, prefix + key, value)
            else:
                reason, hint = unknown(key, checks)
                notes.add("unknown key", prefix + key, value, reason, hint)


def unknown(word: str, known: Iterable[str]) -> tuple[str, str]:
    """Reason and way out for a word that is not among the known ones."""
    near = get_close_matches(word, known, 1, cutoff=0.5)
    listed = ", ".join(known)
    return f"is not among {listed}", f'perhaps "{near[0]}" is meant' if near else "take one of these or leave it out"


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number (true and false are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_box(value: Any) -> bool:
    """Whether a JSON value is [x, y, width, height] with x and y not negative and a positive size."""
    return _is_four_numbers(value) and min(value) >= 0 < min(value[2:])


def _is_four_numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def check_box(notes: ErrorCollector, key: str, value: Any) -> None:
    """Note what keeps a value from being a box [x, y, width, height]; whether it lies in the image is seen later."""
    hint = "give [x, y, width, height] in pixels of the image, from its top left corner"
    if not _is_four_numbers(value):
        notes.add("bad box", key, value, "is not four finite numbers", hint)
    elif min(value[2:]) <= 0:
        notes.add("bad box", key, value, "has no area: width and height must be above 0", hint)
    elif min(value[:2]) < 0:
        reason = "begins left of or above the image"
        notes.add("box outside the image", key, value, reason, "cut it at the image's edge")


def check_text(notes: ErrorCollector, key: str, value: Any) -> None:
    if not isinstance(value, str):
        notes.wrong_type(key, value, "text")
    elif not value.strip():
        notes.add("empty text", key, value, "is empty", "fill it in, or leave the key out if it is optional")


def check_report(notes: ErrorCollector, key: str, value: Any) -> None:
    if not isinstance(value, str):
        notes.wrong_type(key, value, "text")
    elif not value.strip():
        notes.add("empty report", key, value, "holds no text", EMPTY_REPORT)


def check_path(notes: ErrorCollector, key: str, value: Any) -> None:
    if isinstance(value, str):
        check_text(notes, key, value)
    else:
        notes.wrong_type(key, value, "the path of a file, relative to the datalist's folder or absolute")


def list_of(check: Check, what: str, may_be_empty: bool) -> Check:
    def check_list(notes: ErrorCollector, key: str, value: Any) -> None:
        if not isinstance(value, list):
            notes.wrong_type(key, value, f"a list of {what}")
            return
        if not value and not may_be_empty:
            notes.add("empty list", key, value, f"holds no {what}", "fill it in, or leave the record out")
        for number, entry in enumerate(value):
            check(notes, f"{key}[{number}]", entry)

    return check_list


def named(check: Check, what: str, empty_kind: str = "") -> Check:
    def check_object(notes: ErrorCollector, key: str, value: Any) -> None:
        if not isinstance(value, dict):
            notes.wrong_type(key, value, f"an object of {what} by name")
            return
        if not value and empty_kind:
            notes.add(empty_kind, key, value, f"holds no {what}", EMPTY_REPORT)
        for name, entry in value.items():
            if not name.strip():
                notes.add("empty text", key, value, "has an entry without a name", "name it or take it out")
            check(notes, f"{key}[{name}]", entry)

    return check_object


def check_zero_or_one(notes: ErrorCollector, key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value not in (0, 1):
        hint = "give 0 (absent) or 1 (present), leave uncertain labels out"
        notes.add("bad label", key, value, "is neither 0 nor 1", hint)


def check_image_index(notes: ErrorCollector, key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        notes.wrong_type(key, value, "a whole number, 0 for the exam's first image")
    elif value < 0:
        notes.add("bad image index", key, value, "is negative", "count the exam's images from 0")


def nullable(check: Check) -> Check:
    """The same check for a key that may hold null."""

    def check_if_there(notes: ErrorCollector, key: str, value: Any) -> None:
        if value is not None:
            check(notes, key, value)

    return check_if_there


def check_share(notes: ErrorCollector, key: str, value: Any) -> None:
    """Note a value that is no finite number in [0, 1]."""
    if not is_number(value) or not 0 <= value <= 1:
        notes.add("bad probability", key, value, "is not a finite number from 0 to 1", "give a number from 0 to 1, or null")


def check_inside(notes: ErrorCollector, key: str, box: Any, shape: tuple[int, int] | None) -> None:
    """Note a box that leaves its image of `shape` (height, width); nothing where either is not known."""
    if shape is None or not is_box(box):
        return
    over = {"right of": box[0] + box[2] - shape[1], "below": box[1] + box[3] - shape[0]}
    beyond = [f"{pixels:g} pixels {side} it" for side, pixels in over.items() if pixels > BOX_TOLERANCE]
    if beyond:
        reason = f"leaves the image of {shape[1]} x {shape[0]}, ending {' and '.join(beyond)}"
        notes.add("box outside the image", key, box, reason, "cut it at the image's edge, or see whether it is this image's")


def check_index(notes: ErrorCollector, key: str, index: Any, images: Any) -> None:
    """Note an image index beyond a list of images; other faults of both are noted by their own checks."""
    whole = isinstance(index, int) and not isinstance(index, bool)
    if whole and isinstance(images, list) and index >= len(images) > 0:
        reason = f"is beyond the {len(images)} image{'s' * (len(images) > 1)} of the case"
        notes.add("bad image index", key, index, reason, "count the images from 0")
