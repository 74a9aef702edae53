"""What is wrong with a prediction before it is sent: a server takes what its page then silently hides."""

from collections.abc import Sequence
from typing import Any

from label_studio_sdk.label_interface import LabelInterface

from integrations.label_studio.answers.results import MIN_POLYGON, is_region
from scripts.cases.values import is_number

SLACK = 0.01
"""Percent of the picture's side by which geometry may leave it: boxes scaled from another size carry rounding."""


class PredictionChecker:
    """Looks at predictions of one labeling configuration.

    checker = PredictionChecker(xml)
    reasons = checker.faults(prediction, [(1024, 1024)], report)
    """

    def __init__(self, configuration: str) -> None:
        self._interface = LabelInterface(configuration)

    def faults(self, prediction: dict[str, Any], sizes: Sequence[tuple[int, int]], report: str = "") -> list[str]:
        """Everything wrong with a prediction, each with the region it is about; an empty list when nothing is.

        Args:
            prediction: model_version, score and result.
            sizes: width and height of each picture shown.
            report: the text that sentences are marked in.
        """
        reasons = [] if _is_score(prediction.get("score")) else [f"score {prediction['score']!r} is not from 0 to 1"]
        for item in prediction["result"]:
            where = f"{item.get('type')} {item.get('id')}"
            reasons += [f"{where}: {reason}" for reason in _item_faults(item, sizes, report)]
        # Label Studio's own check stumbles over what is already known to be wrong.
        return reasons or list(self._interface.validate_prediction(prediction, return_errors=True))


def _item_faults(item: dict[str, Any], sizes: Sequence[tuple[int, int]], report: str) -> list[str]:
    if not _is_score(item.get("score")):
        return [f"score {item['score']!r} is not from 0 to 1"]
    if item.get("type") == "labels":
        return _span_faults(item["value"], report)
    if not is_region(item):
        return []
    index = item.get("item_index", 0)
    if not 0 <= index < len(sizes):
        return [f"image {index} is not among the {len(sizes)} shown"]
    size = (item["original_width"], item["original_height"])
    if size != tuple(sizes[index]):
        return ["is drawn on {} x {} pixels, the picture has {} x {}".format(*size, *sizes[index])]
    return _SHAPES[item["type"]](item["value"], size)


def _span_faults(value: dict[str, Any], report: str) -> list[str]:
    start, end = value["start"], value["end"]
    if not 0 <= start < end <= len(report):
        return [f"characters {start} to {end} are not within the report's {len(report)}"]
    return [] if report[start:end] == value["text"] else [f"characters {start} to {end} are not the text that is given"]


def _rectangle_faults(value: dict[str, Any], size: tuple[int, int]) -> list[str]:
    numbers = [value[key] for key in ("x", "y", "width", "height")]
    if not all(map(is_number, numbers)):
        return [f"{numbers} are not finite numbers"]
    x, y, width, height = numbers
    if min(width, height) <= 0:
        return ["has no area"]
    if min(x, y) < -SLACK or max(x + width, y + height) > 100 + SLACK:
        left, top, right, bottom = (
            round(share * side / 100, 1) for share, side in zip((x, y, x + width, y + height), (*size, *size), strict=True)
        )
        return [f"reaches from {left}, {top} to {right}, {bottom} of a picture of {size[0]} x {size[1]}"]
    return []


def _polygon_faults(value: dict[str, Any], size: tuple[int, int]) -> list[str]:
    points = value["points"]
    if len(points) < MIN_POLYGON:
        return [f"has {len(points)} corners; a polygon has {MIN_POLYGON}"]
    numbers = [number for point in points for number in point]
    if not all(map(is_number, numbers)) or min(numbers) < -SLACK or max(numbers) > 100 + SLACK:
        return ["has corners that are not in the picture"]
    return []


def _brush_faults(value: dict[str, Any], size: tuple[int, int]) -> list[str]:
    rle = value.get("rle")
    if not isinstance(rle, list) or len(rle) < 8 or not all(type(byte) is int and 0 <= byte <= 255 for byte in rle):
        return ["has no run lengths"]
    # The head tells how many values follow; a picture has four of each pixel.
    values = int.from_bytes(bytes(rle[:4]), "big")
    if values != 4 * size[0] * size[1]:
        return [f"is a mask of {values // 4:,} pixels on a picture of {size[0]} x {size[1]}"]
    return []


_SHAPES = {"rectanglelabels": _rectangle_faults, "polygonlabels": _polygon_faults, "brushlabels": _brush_faults}


def _is_score(value: Any) -> bool:
    return value is None or (is_number(value) and 0 <= value <= 1)
