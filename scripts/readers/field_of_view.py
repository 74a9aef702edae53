"""Where an endoscope looks: the field of view in its picture."""

import cv2
import numpy as np

_DARK = 14  # of 255, above the corners' level
_DARK_CORNERS = 40
_CORNER = 0.03  # share of a side
_WORKING_SIDE = 256
_TEXT = 0.03  # share of a side: thicker than the strokes of burnt-in text
_PART = 0.005  # of the largest lit part
_MIN_VIEW, _WHOLE_FRAME = 0.05, 0.97
_ROUND, _ON_RIM = 0.8, 0.5  # share of the circle that is lit, and of the rim that lies on it


def find_field_of_view(frame: np.ndarray) -> np.ndarray:
    """Where an endoscope looks, bool [H, W], as against the dark surroundings with their burnt-in text.

    Fields of view (circles, ellipses, octagons, rectangles, cut by the frame or not) have no dent: the lit parts are taken and
    all that lies between them, so that no dark lumen inside is cut. Where the rim is mostly a circle's, it is the whole circle:
    a lumen may lie at the rim. Without dark surroundings it is the whole frame.

    Args:
        frame: RGB uint8 [H, W, 3].
    """
    height, width = frame.shape[:2]
    scale = min(1, _WORKING_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    light = cv2.medianBlur(cv2.resize(frame.max(axis=2), size, interpolation=cv2.INTER_AREA), 3)
    surroundings = _level_of_corners(light)
    if surroundings > _DARK_CORNERS:
        return np.ones((height, width), bool)
    hull = _lit_hull(light > surroundings + _DARK)
    if hull is None:
        return np.ones((height, width), bool)
    inside = _filled(hull, light.shape)
    circle = _circle(hull, inside)
    inside = inside if circle is None else circle
    if not _MIN_VIEW <= inside.mean() <= _WHOLE_FRAME:
        return np.ones((height, width), bool)
    return cv2.resize(inside.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR) > 0


def _level_of_corners(light: np.ndarray) -> float:
    """The second darkest corner's brightness: one may hold text, one may be lit where the circle is cut."""
    rows, columns = (max(2, round(side * _CORNER)) for side in light.shape)
    corners = [light[y, x] for y in (slice(rows), slice(-rows, None)) for x in (slice(columns), slice(-columns, None))]
    return sorted(float(np.median(corner)) for corner in corners)[1]


def _lit_hull(lit: np.ndarray) -> np.ndarray | None:
    """Outline of the largest lit part, [K, 1, 2], without dents; None where nothing is lit. Text is too thin to count."""
    side = max(3, round(_TEXT * max(lit.shape)) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx(lit.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    # A dark lumen may part the picture; parts of some size are of the same view, what is left of text is not.
    parts = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] >= _PART * stats[largest, cv2.CC_STAT_AREA]]
    seen = np.isin(labels, parts)
    rows = np.flatnonzero(seen.any(axis=1))
    # The first and last of each row have the same hull as all, and are few.
    first, last = seen[rows].argmax(axis=1), seen.shape[1] - 1 - seen[rows, ::-1].argmax(axis=1)
    return cv2.convexHull(np.concatenate([np.stack([ends, rows], axis=1) for ends in (first, last)]).astype(np.int32))


def _filled(hull: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return cv2.fillConvexPoly(np.zeros(shape, np.uint8), hull, 1).astype(bool)


def _circle(hull: np.ndarray, inside: np.ndarray) -> np.ndarray | None:
    """The circle around the hull, as far as it lies in the frame, where the hull is most of it and its rim most of the hull's."""
    (x, y), radius = cv2.minEnclosingCircle(hull)
    rows, columns = np.indices(inside.shape)
    circle = np.hypot(columns - x, rows - y) <= radius + 0.5
    if inside.sum() < _ROUND * circle.sum():
        return None
    rim = inside & ~cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    rim[[0, -1]] = rim[:, [0, -1]] = False
    distance = np.abs(np.hypot(columns - x, rows - y) - radius)[rim]
    return circle if len(distance) and (distance <= 0.02 * radius + 1).mean() >= _ON_RIM else None
