"""How well a heat map points at a lesion: pure functions of one heat map [H, W] and one truth mask [H, W].

The default protocol scores at the image's native resolution and leaves nothing out. NaN pixels of a heat map (a
margin, or what the network never saw) count neither as predicted nor as truth. `scripts.metrics.published.afloc`
holds the published protocol.
"""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

HEAT_CUTS = tuple(np.linspace(-0.5, 0.9, 15).round(2).tolist())  # of maps in [-1, 1], among which calibration chooses
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)  # of maps in [-1, 1], AFLoc's evaluation


class FalseRegionRate(NamedTuple):
    """threshold: score from which a region counts. rate: share of absent cases in which one does, 0..1."""

    threshold: float
    rate: float


def min_max(heat: ArrayLike, margin: int = 0) -> NDArray[np.floating]:
    """Stretch a heat map so that its smallest value is -1 and its largest 1.

    Args:
        heat: [H, W]; NaN pixels stay NaN and do not count.
        margin: pixels at each edge that are set to NaN before.

    Returns:
        [H, W], float32 if heat was, else float64. In a constant map nothing stands out: -1 everywhere.

    Raises:
        ValueError: not a map, an infinite value, or a margin that leaves nothing.
    """
    heat = np.array(heat)
    if heat.dtype != np.float32:
        heat = heat.astype(np.float64)
    if heat.ndim != 2 or np.isinf(heat).any():
        raise ValueError(f"expected a heat map [H, W] without infinities, got shape {heat.shape}")
    if margin < 0 or 2 * margin >= min(heat.shape):
        raise ValueError(f"a margin of {margin} px does not fit a heat map of {heat.shape}")
    if margin:
        inner = heat[margin:-margin, margin:-margin].copy()
        heat[:] = np.nan
        heat[margin:-margin, margin:-margin] = inner
    seen = ~np.isnan(heat)
    values = heat[seen]
    if values.size == 0:
        return heat
    span = values.max() - values.min()
    heat[seen] = (values - values.min()) / span * 2 - 1 if span > 0 else -1
    return heat


def iou_at_thresholds(heat: ArrayLike, truth: ArrayLike, thresholds: Sequence[float] = THRESHOLDS) -> NDArray[np.float64]:
    """Intersection over union of `heat > threshold` and the truth, [T], 0..1.

    A miss is 0, not NaN: NaN only where nothing is there and nothing is predicted. A constant map, normalised by
    `min_max`, predicts nothing and misses.

    Args:
        heat: [H, W], as `min_max` gives it; NaN pixels are left out of the truth as well.
        truth: [H, W], nonzero = lesion.
        thresholds: T values.

    Raises:
        ValueError: heat and truth of different shape.
    """
    both, predicted, true = _overlaps(heat, truth, thresholds)
    return _ratio(both, predicted + true - both)


def dice(heat: ArrayLike, truth: ArrayLike, thresholds: Sequence[float] = THRESHOLDS) -> NDArray[np.float64]:
    """Dice 2I / (P + T) of `heat > threshold` and the truth, [T], 0..1; arguments and NaN as `iou_at_thresholds`."""
    both, predicted, true = _overlaps(heat, truth, thresholds)
    return _ratio(2 * both, predicted + true)


def cnr(heat: ArrayLike, truth: ArrayLike) -> float:
    """Contrast-to-noise ratio (mean inside - mean outside) / sqrt(variance inside + variance outside), signed.

    BioViL's measure (Boecking et al., ECCV 2022) with AFLoc's sign: negative where the lesion is colder than the
    rest. It does not change when the map is scaled or shifted.

    Args:
        heat: [H, W]; NaN pixels are left out.
        truth: [H, W], nonzero = lesion.

    Returns:
        NaN where no contrast is defined: no lesion or nothing but lesion among the pixels seen, or no variance on
        either side.

    Raises:
        ValueError: heat and truth of different shape.
    """
    heat, truth = _pair(heat, truth)
    heat = heat.astype(np.float64)
    seen = ~np.isnan(heat)
    inside, outside = heat[seen & truth], heat[seen & ~truth]
    # The range tells exactly whether values vary; the variance of equal values may differ from 0 in the last bits.
    if inside.size == 0 or outside.size == 0 or np.ptp(inside) == np.ptp(outside) == 0:
        return float("nan")
    return float((inside.mean() - outside.mean()) / np.sqrt(inside.var() + outside.var()))


def pointing_game(heat: ArrayLike, truth: ArrayLike, tolerance: float = 0.0) -> float:
    """1 if the hottest pixel lies in the lesion, 0 if not (Zhang et al., ECCV 2016).

    When several pixels share the maximum, the share of them that hits: what choosing among them by chance gives on
    average.

    Args:
        heat: [H, W]; NaN pixels are left out.
        truth: [H, W], nonzero = lesion.
        tolerance: pixels (between centres) by which the maximum may miss the lesion and still hit.

    Returns:
        0..1; NaN where there is no lesion, or no pixel seen.

    Raises:
        ValueError: heat and truth of different shape.
    """
    heat, truth = _pair(heat, truth)
    if not truth.any() or np.isnan(heat).all():
        return float("nan")
    hottest = heat == np.nanmax(heat)
    near = distance_transform_edt(~truth) <= tolerance if tolerance > 0 else truth
    return float(near[hottest].mean())


def false_region_rate_at_recall(present_scores: ArrayLike, absent_scores: ArrayLike, recall: float = 0.8) -> FalseRegionRate:
    """How often a region is shown where the finding is absent, at the threshold that keeps `recall` of the present.

    The threshold is the highest score such that at least `recall` of the present cases reach it.

    Args:
        present_scores: score of each case that has the finding (that of the region hitting it), [P].
        absent_scores: highest region score of each case that does not have it, [A].
        recall: share of present cases to keep, 0 < recall <= 1.

    Raises:
        ValueError: no present or no absent case, a NaN score, or a recall outside 0..1.
    """
    present = np.sort(np.asarray(present_scores, dtype=np.float64).ravel())[::-1]
    absent = np.asarray(absent_scores, dtype=np.float64).ravel()
    if present.size == 0 or absent.size == 0 or np.isnan(present).any() or np.isnan(absent).any():
        raise ValueError(f"needs present and absent cases with scores: got {present.size} and {absent.size}, NaN counts as none")
    if not 0 < recall <= 1:
        raise ValueError(f"recall must lie in (0, 1], got {recall}")
    # 0.07 * 100 is 7.000000000000001 in floating point; eight cases are not meant.
    threshold = present[max(ceil(recall * present.size - 1e-9), 1) - 1]
    return FalseRegionRate(float(threshold), float((absent >= threshold).mean()))


def _pair(heat: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    heat, truth = np.asarray(heat), np.asarray(truth) != 0
    if heat.ndim != 2 or heat.shape != truth.shape:
        raise ValueError(f"heat map {heat.shape} and truth mask {truth.shape} must have the same shape [H, W]")
    return heat, truth


def _overlaps(heat: ArrayLike, truth: ArrayLike, thresholds: Sequence[float]) -> tuple[NDArray, NDArray, int]:
    """Pixels predicted and true [T], predicted [T], and true, among the pixels seen."""
    heat, truth = _pair(heat, truth)
    true = heat[truth & ~np.isnan(heat)]
    # Comparisons with NaN are false, so unseen pixels are never predicted.
    both = np.array([np.count_nonzero(true > t) for t in thresholds])
    predicted = np.array([np.count_nonzero(heat > t) for t in thresholds])
    return both, predicted, true.size


def _ratio(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
