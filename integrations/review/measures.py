"""Measures of agreement: Cohen's kappa, overlap of masks and of boxes, the middle of times."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def weighted_kappa(values: NDArray, weights: NDArray) -> NDArray:
    """Cohen's kappa of two raters, for `scripts.metrics.bootstrap`; of several questions the mean over those where it exists.

    Not `sklearn.metrics.cohen_kappa_score`, which takes one resample at a time.

    Args:
        values: number of the question, first rater's answer, second rater's answer, as whole numbers, [N, 3].
        weights: how often each case counts, [R, N].

    Returns:
        [R]; NaN where each question got one and the same answer throughout, so that chance alone agrees.
    """
    parts = []
    for question in np.unique(values[:, 0]):
        asked = values[:, 0] == question
        first, second = values[asked, 1:].T
        drawn = weights[:, asked]
        total = np.maximum(drawn.sum(axis=1), 1)
        observed = drawn @ (first == second) / total
        answers = np.unique(values[asked, 1:])
        shares = [(drawn @ (rater[:, None] == answers)) / total[:, None] for rater in (first, second)]
        chance = (shares[0] * shares[1]).sum(axis=1)
        known = (drawn.sum(axis=1) > 0) & (chance < 1 - 1e-12)
        parts.append(np.divide(observed - chance, 1 - chance, out=np.full(len(weights), np.nan), where=known))
    stacked = np.stack(parts, axis=1)
    count = (~np.isnan(stacked)).sum(axis=1)
    return np.divide(np.nansum(stacked, axis=1), count, out=np.full(len(weights), np.nan), where=count > 0)


def weighted_median(values: NDArray, weights: NDArray) -> NDArray:
    """Median, for `scripts.metrics.bootstrap`: values [N] -> [R]; of an even number the mean of the two in the middle."""
    order = np.argsort(values, kind="stable")
    counted = weights[:, order].cumsum(axis=1)
    half = counted[:, -1:] / 2
    lower, upper = (counted >= half).argmax(axis=1), (counted > half).argmax(axis=1)
    return (values[order][lower] + values[order][upper]) / 2


def mask_overlap(one: NDArray, other: NDArray) -> tuple[float, float]:
    """Dice and IoU of two bool masks of one shape, not both empty."""
    both, either = int((one & other).sum()), int((one | other).sum())
    return 2 * both / (both + either), both / either


def box_iou(ones: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> float:
    """IoU of what two lists of boxes [x, y, width, height] cover, not both empty; exact, boxes of one list may overlap."""
    corners = np.array([*ones, *others], float)
    corners[:, 2:] += corners[:, :2]
    columns, rows = np.unique(corners[:, [0, 2]]), np.unique(corners[:, [1, 3]])
    covered = np.zeros((2, len(rows) - 1, len(columns) - 1), bool)
    for number, (left, top, right, bottom) in enumerate(corners):
        inside = np.outer((rows[:-1] >= top) & (rows[1:] <= bottom), (columns[:-1] >= left) & (columns[1:] <= right))
        covered[int(number >= len(ones))] |= inside
    areas = np.outer(np.diff(rows), np.diff(columns))
    return float(areas[covered.all(axis=0)].sum() / areas[covered.any(axis=0)].sum())
