"""What values in documents may be: texts, paths, boxes, labels, indices; each raises a fault with a hint."""

import math
from typing import Annotated, Any

from pydantic import BeforeValidator

from scripts.files.validation import ErrorCollector, fault, wrong_type

BOX_TOLERANCE = 0.01
"""Pixels by which a box may leave its image: boxes scaled from another size carry rounding."""
EMPTY_REPORT = "fill it in, or leave out an optional report or else the record"


def is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number (true and false are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether a JSON value is a whole number (true and false are not)."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_box(value: Any) -> bool:
    """Whether a JSON value is [x, y, width, height] with x and y not negative and a positive size."""
    return _is_four_numbers(value) and min(value) >= 0 < min(value[2:])


def _is_four_numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "text")
    if not value.strip():
        raise fault("empty text", "is empty", "fill it in, or leave the key out if it is optional")
    return value


def _entry_name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise fault("empty text", "has an entry without a name", "name it or take it out")
    return value


def _report(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "text")
    if not value.strip():
        raise fault("empty report", "holds no text", EMPTY_REPORT)
    return value


def _path(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "the path of a file, relative to the datalist's folder or absolute")
    return _text(value)


def _box(value: Any) -> list[float]:
    hint = "give [x, y, width, height] in pixels of the image, from its top left corner"
    if not _is_four_numbers(value):
        raise fault("bad box", "is not four finite numbers", hint)
    if min(value[2:]) <= 0:
        raise fault("bad box", "has no area: width and height must be above 0", hint)
    if min(value[:2]) < 0:
        raise fault("box outside the image", "begins left of or above the image", "cut it at the image's edge")
    return value


def _zero_or_one(value: Any) -> int:
    if not is_whole(value) or value not in (0, 1):
        raise fault("bad label", "is neither 0 nor 1", "give 0 (absent) or 1 (present), leave uncertain labels out")
    return value


def _image_index(value: Any) -> int:
    if not is_whole(value):
        raise wrong_type(value, "a whole number, 0 for the case's first image")
    if value < 0:
        raise fault("bad image index", "is negative", "count the case's images from 0")
    return value


def _share(value: Any) -> float:
    if not is_number(value) or not 0 <= value <= 1:
        raise fault("bad probability", "is not a finite number from 0 to 1", "give a number from 0 to 1, or null")
    return value


def not_empty(what: str, kind: str = "empty list", hint: str = "fill it in, or leave the record out") -> BeforeValidator:
    """A list or object that holds something."""

    def check(value: Any) -> Any:
        if isinstance(value, list | dict) and not value:
            raise fault(kind, f"holds no {what}", hint)
        return value

    return BeforeValidator(check)


Text = Annotated[str, BeforeValidator(_text)]
EntryName = Annotated[str, BeforeValidator(_entry_name)]
Report = Annotated[str, BeforeValidator(_report)]
FilePath = Annotated[str, BeforeValidator(_path)]
Box = Annotated[list[float], BeforeValidator(_box)]
ZeroOrOne = Annotated[int, BeforeValidator(_zero_or_one)]
ImageIndex = Annotated[int, BeforeValidator(_image_index)]
Share = Annotated[float, BeforeValidator(_share)]
Labels = dict[EntryName, ZeroOrOne]


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
    if is_whole(index) and isinstance(images, list) and index >= len(images) > 0:
        reason = f"is beyond the {len(images)} image{'s' * (len(images) > 1)} of the case"
        notes.add("bad image index", key, index, reason, "count the images from 0")
