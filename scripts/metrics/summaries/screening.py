"""How well exams are screened: figures of one run or of several seeds, with intervals, and the difference of two.

A run is held as values [N, S, 2 + C]: for each of N exams and S seeds the true class, the class decided on, and the probabilities
of the C classes. The seeds are averaged within each resample of patients, so an interval is about patients; the seeds' own spread
shows in their separate figures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scripts.metrics.bootstrap import bootstrap_interval, weighted_auc

MEASURES = ("accuracy", "auc_macro", "sensitivity", "specificity", "f1_macro")


def screening_values(truth: ArrayLike, probabilities: ArrayLike, threshold: float | None = None) -> NDArray[np.float64]:
    """Decide on a class for each exam: one seed of a run, [N, 1, 2 + C]; `np.concatenate(..., axis=1)` joins seeds.

    Args:
        truth: class of each exam, [N], integers in 0..C-1.
        probabilities: [N, C]; of two classes the second is the one screened for.
        threshold: probability of the second of two classes from which it is decided on, chosen on validation exams
            (`scripts.metrics.classification.choose_threshold`); None decides on the most probable class.

    Raises:
        ValueError: sizes that do not fit, an unknown class, a NaN, or a threshold for other than two classes.
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2 or truth.shape != probabilities.shape[:1]:
        raise ValueError(f"expected truth [N] and probabilities [N, 2 or more], got {truth.shape} and {probabilities.shape}")
    classes = probabilities.shape[1]
    if not np.isin(truth, np.arange(classes)).all() or np.isnan(probabilities).any():
        raise ValueError(f"classes must be 0 to {classes - 1} and probabilities numbers, got classes {np.unique(truth).tolist()}")
    if threshold is not None and classes != 2:
        raise ValueError(f"a threshold decides between two classes, got {classes}")
    decision = probabilities.argmax(1) if threshold is None else probabilities[:, 1] >= threshold
    return np.column_stack([truth, decision, probabilities])[:, None]


def summarize_screening(values: NDArray, patients: Sequence[Any], seed: int = 0) -> dict[str, dict[str, float]]:
    """Figures with 95% intervals over patients.

    Args:
        values: see `screening_values`.
        patients: the patient of each exam, [N]; at least two different ones.
        seed: of the bootstrap.

    Returns:
        {measure of `MEASURES`: {"estimate", "lower", "upper"}}, see `screening_scores`.
    """
    estimate, lower, upper, _ = bootstrap_interval(values, patients, screening_scores, seed=seed)
    return {
        measure: {"estimate": float(e), "lower": float(low), "upper": float(high)}
        for measure, e, low, high in zip(MEASURES, estimate, lower, upper, strict=True)
    }


def confusion_matrix(values: NDArray) -> NDArray[np.float64]:
    """How many exams of each class (rows) were taken for each class (columns), mean over seeds: values [N, S, 2 + C] -> [C, C]."""
    return _confusion(values, np.ones((1, len(values))))[0].mean(0)


def screening_scores(values: NDArray, weights: NDArray) -> NDArray:
    """The `MEASURES` in every resample, mean over seeds: values [N, S, 2 + C], weights [R, N] -> [R, 5].

    Of two classes: sensitivity, specificity and AUC are the second's. Of more: their means over classes, each against the rest
    (mean sensitivity is balanced accuracy). Macro-F1 is the mean over all classes; one that nobody has and nobody was taken for
    does not count. NaN where a resample lacks a class whose figure is asked for.
    """
    classes = values.shape[2] - 2
    asked = [1] if classes == 2 else list(range(classes))
    confusion = _confusion(values, weights)
    hit = np.diagonal(confusion, axis1=2, axis2=3)
    true, called, everything = confusion.sum(3), confusion.sum(2), confusion.sum((2, 3))
    sensitivity = _ratio(hit, true)[..., asked].mean(-1)
    specificity = _ratio(everything[..., None] - true - called + hit, everything[..., None] - true)[..., asked].mean(-1)
    f1_macro = np.nanmean(_ratio(2 * hit, true + called), axis=-1)
    auc = np.stack([_auc(values[:, index], weights, asked) for index in range(values.shape[1])], axis=1)
    parts = [_ratio(hit.sum(-1), everything), auc, sensitivity, specificity, f1_macro]
    return np.stack([part.mean(1) for part in parts], axis=1)


def _auc(values: NDArray, weights: NDArray, asked: Sequence[int]) -> NDArray:
    """AUC of each asked class against the rest, their mean, in every resample: values [N, 2 + C] -> [R]."""
    pairs = [np.stack([values[:, 2 + index], values[:, 0] == index], axis=1) for index in asked]
    return np.mean([weighted_auc(pair, weights) for pair in pairs], axis=0)


def _confusion(values: NDArray, weights: NDArray) -> NDArray:
    """Weights of exams by true class and decision: [R, S, C, C]."""
    classes = np.arange(values.shape[2] - 2)
    truth, decision = values[..., 0, None] == classes, values[..., 1, None] == classes
    cells = truth[..., :, None] & decision[..., None, :]
    return np.tensordot(weights, cells.astype(np.float64), axes=1)


def _ratio(part: NDArray, whole: NDArray) -> NDArray:
    return np.divide(part, whole, out=np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan), where=whole > 0)
