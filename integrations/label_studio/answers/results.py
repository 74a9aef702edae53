"""Label Studio's result items and our findings, in both directions; geometry in pixels of the picture shown.

An item names the control it belongs to (`from_name`), and what it is drawn on (`to_name`); see
`integrations.label_studio.pages.parts` for the controls. Label Studio keeps boxes and polygons in percent of the
picture's width and height, and masks as run lengths of an RGBA picture whose alpha is the mask.
"""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import cv2
import numpy as np

from integrations.label_studio.errors import LabelStudioError
from integrations.review.record import DIAGNOSIS as DIAGNOSIS

IMAGE = "image"
REPORT = "report"
MASKS = "masks"
BOXES = "boxes"
POLYGONS = "polygons"
SENTENCES = "sentences"
FINDINGS = "findings"
"""Control of what is to be seen on an image."""
PHRASE = "phrase"
"""Control for words that the backend finds a region for."""
SHAPES = ("mask", "box", "polygon")
"""What a finding's place can be drawn as."""
LABELS_KEY = {"brushlabels": MASKS, "rectanglelabels": BOXES, "polygonlabels": POLYGONS}
"""Item types that mark a place, and the control of each."""

MIN_POLYGON = 3
FOUND = "phrase-"
"""Ids of regions that were found by words begin with this."""


def brush_item(
    mask: np.ndarray, label: str, *, region: str, score: float | None = None, image_index: int | None = None
) -> dict[str, Any]:
    """A mask, bool [H, W] at the picture's own size, as an item.

    Args:
        region: id of the region, unique within the task.
        score: confidence, [0, 1].
        image_index: of pictures shown as a list, from 0; None for a single picture.

    Raises:
        ValueError: an empty mask, which the page would scramble.
    """
    if mask.ndim != 2 or not mask.any():
        raise ValueError(f"a mask of shape {mask.shape} with {int(mask.sum())} pixels cannot be drawn")
    from label_studio_sdk.converter.brush import mask2rle  # loads NLTK, seconds that only masks need

    value = {"format": "rle", "rle": mask2rle(mask.astype(np.uint8) * 255), "brushlabels": [label]}
    return _region("brushlabels", value, mask.shape[::-1], region, score, image_index)


def rectangle_item(
    box: Sequence[float],
    size: tuple[int, int],
    label: str,
    *,
    region: str,
    score: float | None = None,
    image_index: int | None = None,
) -> dict[str, Any]:
    """A box [x, y, width, height] in pixels of a picture of `size` (width, height) as an item."""
    x, y, width, height = (100 * float(number) / side for number, side in zip(box, (*size, *size), strict=True))
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]}
    return _region("rectanglelabels", value, size, region, score, image_index)


def polygon_items(
    mask: np.ndarray, label: str, *, region: str, score: float | None = None, image_index: int | None = None
) -> list[dict[str, Any]]:
    """Outlines of a mask's parts, bool [H, W], as items; their ids are `region` with the part's number.

    Corners are pixel centres; parts of a line's width have no outline and are left out.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    height, width = mask.shape
    items = []
    for part, contour in enumerate(contours):
        if len(contour) < MIN_POLYGON:
            continue
        corners = (contour[:, 0].astype(float) + 0.5) * 100 / np.array([width, height])
        value = {"points": corners.tolist(), "closed": True, "polygonlabels": [label]}
        items.append(_region("polygonlabels", value, (width, height), f"{region}-{part}", score, image_index))
    return items


def choices_item(control: str, chosen: Sequence[str], score: float | None = None) -> dict[str, Any]:
    """What is chosen for the case as a whole."""
    item = {
        "id": control,
        "type": "choices",
        "from_name": control,
        "to_name": IMAGE,
        "value": {"choices": list(chosen)},
    }
    return item if score is None else item | {"score": float(score)}


def sentence_items(start: int, end: int, text: str, label: str, *, sentence: str, regions: Sequence[str]) -> list[dict[str, Any]]:
    """Words of the report, from character `start` up to `end`, and the arrows that link them to regions."""
    value = {"start": start, "end": end, "text": text, "labels": [label]}
    item = {"id": sentence, "type": "labels", "from_name": SENTENCES, "to_name": REPORT, "value": value}
    arrows = [{"type": "relation", "from_id": sentence, "to_id": region, "direction": "right", "labels": []} for region in regions]
    return [item, *arrows]


def is_region(item: dict[str, Any]) -> bool:
    """Whether an item marks a place of a picture."""
    return item.get("type") in LABELS_KEY


def found_item(
    mask: np.ndarray, label: str | None, words: str, *, score: float | None = None, image_index: int | None = None
) -> dict[str, Any]:
    """A mask that was found by words that the expert has typed; without label until the expert gives it one."""
    item = brush_item(mask, label or "", region=f"{FOUND}{uuid4().hex[:10]}", score=score, image_index=image_index)
    if label is None:
        item["value"].pop("brushlabels")
    return item | {"meta": {"text": [words]}}


def words_of(item: dict[str, Any]) -> str | None:
    """The words that a region was found by; None where it was drawn or predicted."""
    said = item.get("meta", {}).get("text") if str(item.get("id")).startswith(FOUND) else None
    return said[0] if said else None


def label_of(item: dict[str, Any]) -> str | None:
    """The label of a region, else the words that it was found by; None where it has neither."""
    labels = item["value"].get(item["type"])
    return labels[0] if labels else words_of(item)


def size_of(item: dict[str, Any]) -> tuple[int, int]:
    """Width and height of the picture that a region is drawn on."""
    return int(item["original_width"]), int(item["original_height"])


def box_of(item: dict[str, Any]) -> list[float]:
    """The box [x, y, width, height] around a region in pixels of the picture, cut at its edges.

    A rotated rectangle gives the upright box around it.

    Raises:
        LabelStudioError: a mask that is empty or cannot be read.
    """
    return place_of(item)[0] if item["type"] == "brushlabels" else _box_of_outline(item)


def place_of(item: dict[str, Any]) -> tuple[list[float], np.ndarray]:
    """The box around a region and its mask, as `box_of` and `mask_of` give them.

    Raises:
        LabelStudioError: a mask that is empty or cannot be read.
    """
    mask = mask_of(item)
    if item["type"] != "brushlabels":
        return _box_of_outline(item), mask
    if not mask.any():
        raise LabelStudioError(f"region {item.get('id')}: its mask marks no pixel; delete the region in Label Studio")
    return box_around(mask), mask


def box_around(mask: np.ndarray) -> list[int]:
    """The box [x, y, width, height] around a mask, bool [H, W], that marks something."""
    rows, columns = np.nonzero(mask)
    left, top = columns.min(), rows.min()
    return [int(left), int(top), int(columns.max() - left + 1), int(rows.max() - top + 1)]


def mask_of(item: dict[str, Any]) -> np.ndarray:
    """A region as a mask, bool [H, W] at the picture's own size; pixels that a brush covers by half or more count.

    Raises:
        LabelStudioError: run lengths that cannot be read, or of another size than the picture.
    """
    width, height = size_of(item)
    if item["type"] == "brushlabels":
        return _decoded(item, width, height)
    canvas = np.zeros((height, width), np.uint8)
    corners = np.round(_corners(item) - 0.5).astype(np.int32)
    if item["type"] == "rectanglelabels" and not item["value"].get("rotation"):
        x, y, wide, high = box_of(item)
        canvas[round(y) : round(y + high), round(x) : round(x + wide)] = 1
    else:
        cv2.fillPoly(canvas, [corners], 1)
    return canvas.astype(bool)


def same_place(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two regions mark the same: masks pixel by pixel, outlines within half a pixel."""
    if one["type"] != other["type"] or size_of(one) != size_of(other) or one.get("item_index") != other.get("item_index"):
        return False
    if one["type"] == "brushlabels":
        same = one["value"]["rle"] == other["value"]["rle"]
        return same or bool(np.array_equal(mask_of(one), mask_of(other)))
    corners, others = _corners(one), _corners(other)
    return corners.shape == others.shape and bool(np.abs(corners - others).max() <= 0.5)


def _region(
    kind: str, value: dict[str, Any], size: Sequence[int], region: str, score: float | None, image_index: int | None
) -> dict[str, Any]:
    item = {
        "id": region,
        "type": kind,
        "from_name": LABELS_KEY[kind],
        "to_name": IMAGE,
        "original_width": int(size[0]),
        "original_height": int(size[1]),
        "image_rotation": 0,
        "value": value,
    }
    if score is not None:
        item["score"] = float(score)
    if image_index is not None:
        item["item_index"] = int(image_index)
    return item


def _box_of_outline(item: dict[str, Any]) -> list[float]:
    width, height = size_of(item)
    corners = _corners(item)
    low = np.clip(corners.min(axis=0), 0, (width, height))
    high = np.clip(corners.max(axis=0), 0, (width, height))
    return [float(number) for number in (*low, *(high - low))]


def _corners(item: dict[str, Any]) -> np.ndarray:
    """Corners of a rectangle (turned as the expert has turned it) or polygon in pixels, [N, 2] as x, y."""
    size, value = np.array(size_of(item)), item["value"]
    if item["type"] == "polygonlabels":
        return np.array(value["points"], float) * size / 100
    x, y, width, height = (value[key] for key in ("x", "y", "width", "height"))
    origin = np.array([x, y]) * size / 100
    wide, high = width * size[0] / 100, height * size[1] / 100
    angle = np.deg2rad(value.get("rotation") or 0)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return origin + np.array([[0, 0], [wide, 0], [wide, high], [0, high]]) @ turn


def _decoded(item: dict[str, Any], width: int, height: int) -> np.ndarray:
    from label_studio_sdk.converter.brush import decode_rle  # loads NLTK, seconds that only masks need

    try:
        levels = decode_rle(item["value"]["rle"])
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise LabelStudioError(f"region {item.get('id')}: its mask cannot be read ({error}); draw it again") from error
    if levels.size != 4 * width * height:
        reason = f"has {levels.size // 4:,} pixels, the picture {width} x {height}"
        raise LabelStudioError(f"region {item.get('id')}: its mask {reason}; draw it again")
    return levels.reshape(height, width, 4)[..., 3] >= 128
