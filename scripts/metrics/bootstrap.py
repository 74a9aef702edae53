"""Percentile bootstrap over patients: intervals of one run, and the difference of two runs on the same cases.

A resample draws as many patients as there are, with replacement, and takes all cases of each draw: cases of one
patient are not independent, and counting them as if they were makes intervals too narrow (Davison & Hinkley 1997,
section 3.8). A resample is held as how often each case was drawn, `weights [R, N]`, so that statistics are matrix
products instead of R loops. (`scipy.stats.bootstrap` draws single observations, gives NaN as soon as one resample is
NaN, and has no paired p-value.)
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# statistic(values [N, ...], weights [R, N]) -> [R] or [R, K]
Statistic = Callable[[NDArray, NDArray], NDArray]
_CHUNK_ELEMENTS = 1 << 22  # weights held at once, 32 MB


class Interval(NamedTuple):
    """Estimate on all cases and its percentile interval; floats, or [K] where the statistic has K parts.

    defined: share of the resamples in which the statistic exists; those where it does not are left out of the interval.
    """

    estimate: Any
    lower: Any
    upper: Any
    defined: Any


class PairedDifference(NamedTuple):
    """Statistic of run a minus that of run b, its percentile interval, and the two-sided p-value of no difference."""

    difference: Any
    lower: Any
    upper: Any
    p_value: Any


def weighted_mean(values: NDArray, weights: NDArray) -> NDArray:
    """Mean over cases, NaN left out: values [N] -> [R], values [N, F] -> [R, F]; NaN where no case counts."""
    counts = ~np.isnan(values)
    total = weights @ np.where(counts, values, 0.0)
    number = weights @ counts.astype(np.float64)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


def weighted_auc(values: NDArray, weights: NDArray) -> NDArray:
    """Area under the ROC curve: values [N, 2] of (score, label 0/1) -> [R]; values [N, F, 2] -> [R, F].

    A case counts only where score and label are not NaN; NaN where a resample lacks one class. Ties count half.
    """
    if values.ndim == 3:
        return np.stack([weighted_auc(values[:, f], weights) for f in range(values.shape[1])], axis=1)
    known = ~np.isnan(values).any(axis=1)
    scores, labels = values[known].T
    _, rank = np.unique(scores, return_inverse=True)
    order = np.argsort(rank, kind="stable")
    starts = np.flatnonzero(np.diff(rank[order], prepend=-1))
    if starts.size == 0:
        return np.full(len(weights), np.nan)
    drawn = weights[:, known][:, order]
    positive = np.add.reduceat(drawn * (labels[order] == 1), starts, axis=1)
    negative = np.add.reduceat(drawn * (labels[order] == 0), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(1) * negative.sum(1)
    return np.divide((positive * below).sum(1), pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def macro(statistic: Statistic) -> Statistic:
    """The mean over findings of a statistic that gives [R, F]; findings that are NaN in a resample do not count."""

    def mean_over_findings(values: NDArray, weights: NDArray) -> NDArray:
        parts = statistic(values, weights)
        counts = (~np.isnan(parts)).sum(axis=1)
        return np.divide(np.nansum(parts, axis=1), counts, out=np.full(len(parts), np.nan), where=counts > 0)

    return mean_over_findings


def by_finding(values: ArrayLike, findings: Sequence[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Spread one value a case into one column a finding, NaN elsewhere: [N] -> [N, F], and the names as first seen."""
    values = np.asarray(values, dtype=np.float64)
    names = list(dict.fromkeys(findings))
    columns = np.full((len(values), len(names)), np.nan)
    columns[np.arange(len(values)), [names.index(finding) for finding in findings]] = values
    return columns, names


def bootstrap_interval(
    values_by_case: ArrayLike,
    patients: Sequence[Any],
    statistic: Statistic = weighted_mean,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic, patients resampled.

    Example:
        >>> ious, findings = by_finding(iou_of_each_case, finding_of_each_case)
        >>> bootstrap_interval(ious, patient_of_each_case, macro(weighted_mean))

    Args:
        values_by_case: [N, ...], what the statistic takes.
        patients: the patient of each case, [N].
        statistic: `weighted_mean`, `weighted_auc`, `macro` of one of these, or any function of values and weights.
        n: number of resamples.
        seed: of the resamples; the same seed and patients give the same resamples whatever the values.
        level: share of the resamples' statistics inside the interval.

    Raises:
        ValueError: numbers of values and patients differ, fewer than two patients, or a level outside 0..1.
    """
    values = np.asarray(values_by_case, dtype=np.float64)
    resamples = [statistic(values, weights) for weights in _resamples(len(values), patients, n, seed, level)]
    spread = np.concatenate(resamples)
    estimate = statistic(values, np.ones((1, len(values))))[0]
    lower, upper = _percentiles(spread, level)
    return Interval(*map(_plain, (estimate, lower, upper, (~np.isnan(spread)).mean(axis=0))))


def patient_interval(
    values: ArrayLike, patients: Sequence[Any], statistic: Statistic = weighted_mean, n: int = 1000, seed: int = 0
) -> dict[str, float]:
    """A `bootstrap_interval` of one number as reports hold it: {"estimate", "lower", "upper"}.

    One patient alone cannot be resampled: the estimate stands without bounds (NaN) then.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(set(patients)) < 2:
        return {"estimate": float(statistic(values, np.ones((1, len(values))))[0]), "lower": float("nan"), "upper": float("nan")}
    estimate, lower, upper, _ = bootstrap_interval(values, patients, statistic, n, seed)
    return {"estimate": estimate, "lower": lower, "upper": upper}


def paired_bootstrap(
    values_a: ArrayLike,
    values_b: ArrayLike,
    patients: Sequence[Any],
    statistic: Statistic = weighted_mean,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedDifference:
    """Difference of two runs on the same cases: both see the same resamples of patients.

    A value that is NaN in one run counts in neither. The p-value is twice the smaller share of resamples in which the
    difference is at most, or at least, zero, with one added to both counts so that it is never 0 (Davison & Hinkley
    1997, chapter 4).

    Args and raises as `bootstrap_interval`; also ValueError when the runs' shapes differ.
    """
    a, b = np.array(values_a, dtype=np.float64), np.array(values_b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"the runs must hold the same cases: got values of shape {a.shape} and {b.shape}")
    a[np.isnan(b)] = np.nan
    b[np.isnan(a)] = np.nan
    resamples = [statistic(a, w) - statistic(b, w) for w in _resamples(len(a), patients, n, seed, level)]
    spread = np.concatenate(resamples)
    once = np.ones((1, len(a)))
    difference = (statistic(a, once) - statistic(b, once))[0]
    lower, upper = _percentiles(spread, level)
    defined = (~np.isnan(spread)).sum(axis=0)
    tail = np.minimum((spread <= 0).sum(axis=0), (spread >= 0).sum(axis=0))
    p_value = np.where(defined > 0, np.minimum(2 * (tail + 1) / (defined + 1), 1.0), np.nan)
    return PairedDifference(*map(_plain, (difference, lower, upper, p_value)))


def _resamples(cases: int, patients: Sequence[Any], n: int, seed: int, level: float) -> Iterator[NDArray[np.float64]]:
    """How often each case is drawn, in chunks [R, N] that together hold n resamples; chunks do not change the draws."""
    if len(patients) != cases:
        raise ValueError(f"one patient a case: got {cases} cases and {len(patients)} patients")
    names, patient_of_case = np.unique(np.asarray([str(p) for p in patients]), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"a bootstrap over patients needs at least two, got {len(names)}")
    if not 0 < level < 1 or n < 1:
        raise ValueError(f"expected 0 < level < 1 and n >= 1, got level {level} and n {n}")
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_ELEMENTS // max(cases, len(names)))
    for start in range(0, n, chunk):
        rows = min(chunk, n - start)
        draws = rng.integers(len(names), size=(rows, len(names))) + np.arange(rows)[:, None] * len(names)
        times = np.bincount(draws.ravel(), minlength=rows * len(names)).reshape(rows, len(names))
        yield times[:, patient_of_case].astype(np.float64)


def _percentiles(spread: NDArray, level: float) -> NDArray:
    """Lower and upper bound over axis 0 of the resamples that are not NaN; NaN where none is."""
    kept = np.ma.masked_invalid(spread).reshape(len(spread), -1)
    tails = [(1 - level) / 2, (1 + level) / 2]
    columns = [np.quantile(c.compressed(), tails) if c.count() else np.full(2, np.nan) for c in kept.T]
    return np.stack(columns, axis=1).reshape(2, *spread.shape[1:])


def _plain(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
