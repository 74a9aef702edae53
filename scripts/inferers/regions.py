"""From a heat map to findings that can be drawn, counted and reviewed."""

from dataclasses import dataclass

import numpy as np
from skimage.measure import label, regionprops


@dataclass(frozen=True, eq=False)
class Region:
    """One connected region of a heat map.

    Attributes:
        mask: the region's pixels, bool [H, W].
        box: x, y, width and height of the mask in whole pixels, origin top left; the last column is x + width - 1.
        score: the map's largest value inside.
        area_fraction: share of the map that the region covers, in (0, 1].
    """

    mask: np.ndarray
    box: tuple[int, int, int, int]
    score: float
    area_fraction: float


def regions_from_map(score_map: np.ndarray, threshold: float, min_area_fraction: float, max_regions: int) -> list[Region]:
    """Cut a map [H, W] into its connected regions above `threshold`: none, one or several, best score first.

    Pixels are connected along sides and corners. Nothing is smoothed, filled or joined. NaN (margins that the network
    did not see) is below every threshold. Regions of equal score are ordered by area, then from top to bottom.

    Args:
        score_map: scores, [H, W], in the units of `threshold`.
        threshold: a pixel belongs to a region where its score is greater (not equal).
        min_area_fraction: smaller regions are dropped; share of all pixels, in [0, 1].
        max_regions: only the best this many are kept, at least 1.

    Raises:
        ValueError: a map that is not [H, W], a NaN threshold, or a limit outside its range.
    """
    scores = np.asarray(score_map)
    if scores.ndim != 2:
        raise ValueError(f"regions are cut from a map [H, W], got shape {scores.shape}")
    if np.isnan(threshold) or not 0 <= min_area_fraction <= 1 or max_regions < 1:
        raise ValueError(f"{threshold=}, {min_area_fraction=}, {max_regions=}: want a number, [0, 1] and at least 1")
    labelled = label(scores > threshold, connectivity=2)
    found = []
    for part in regionprops(labelled, intensity_image=scores):
        if part.area < min_area_fraction * scores.size:
            continue
        top, left, bottom, right = part.bbox
        mask = np.zeros(scores.shape, bool)
        mask[part.slice] = part.image
        box = (left, top, right - left, bottom - top)
        found.append(Region(mask, box, float(part.intensity_max), float(part.area / scores.size)))
    found.sort(key=lambda region: (-region.score, -region.area_fraction))  # stable: labels run from top to bottom
    return found[:max_regions]
