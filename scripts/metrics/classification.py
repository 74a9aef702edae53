"""Scores of a finding's presence, one finding at a time: labels 0/1 (NaN = unknown, left out) and scores, both [N]."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve


class ThresholdScores(NamedTuple):
    """Scores at one threshold, 0..1 each; NaN where the denominator is empty (sensitivity without positives, say)."""

    accuracy: float
    sensitivity: float
    specificity: float
    f1: float


class MacroMean(NamedTuple):
    """Mean over the findings that have a value, and how many those are."""

    mean: float
    findings: int


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, 0..1; NaN when one class is absent.

    Raises:
        ValueError: labels and scores of different length, labels other than 0, 1 and NaN, or a NaN score.
    """
    labels, scores = _known(labels, scores)
    return float(roc_auc_score(labels, scores)) if len(np.unique(labels)) == 2 else float("nan")


def scores_at_threshold(labels: ArrayLike, scores: ArrayLike, threshold: float) -> ThresholdScores:
    """Accuracy, sensitivity, specificity and F1 when `score >= threshold` means present.

    Raises:
        ValueError: as `auc`.
    """
    labels, scores = _known(labels, scores)
    (tn, fp), (fn, tp) = confusion_matrix(labels, scores >= threshold, labels=[0, 1]) if len(labels) else np.zeros((2, 2))
    return ThresholdScores(
        accuracy=_share(tp + tn, tp + tn + fp + fn),
        sensitivity=_share(tp, tp + fn),
        specificity=_share(tn, tn + fp),
        f1=_share(2 * tp, 2 * tp + fp + fn),
    )


def choose_threshold(labels: ArrayLike, scores: ArrayLike, criterion: Literal["youden", "accuracy"] = "youden") -> float:
    """The score from which a case counts as present, best by a criterion; chosen on validation cases, never the test's.

    Args:
        labels, scores: validation cases, [N].
        criterion: "youden" = sensitivity + specificity - 1 (Youden 1950); "accuracy" = share of right answers.

    Returns:
        one of the scores, the highest of equally good ones; infinity where calling every case absent is best.

    Raises:
        ValueError: as `auc`, one class absent, or an unknown criterion.
    """
    labels, scores = _known(labels, scores)
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    if positives == 0 or negatives == 0:
        raise ValueError(f"a threshold needs cases of both kinds: got {positives} present and {negatives} absent")
    false_share, true_share, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    if criterion == "youden":
        gain = true_share - false_share
    elif criterion == "accuracy":
        gain = true_share * positives - false_share * negatives
    else:
        raise ValueError(f"unknown criterion '{criterion}': choose 'youden' or 'accuracy'")
    # Shares are quotients: equally good thresholds differ in the last bits, and the first, highest one is wanted.
    return float(thresholds[np.argmax(np.round(gain, 12))])


def macro_over_findings(values: Mapping[str, float]) -> MacroMean:
    """Mean over findings; those whose value is NaN (a class absent) do not count, and their number shows it."""
    known = [value for value in values.values() if not np.isnan(value)]
    return MacroMean(float(np.mean(known)) if known else float("nan"), len(known))


def _known(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    labels, scores = np.asarray(labels, dtype=np.float64).ravel(), np.asarray(scores, dtype=np.float64).ravel()
    if labels.shape != scores.shape:
        raise ValueError(f"one score a label: got {labels.size} labels and {scores.size} scores")
    known = ~np.isnan(labels)
    labels, scores = labels[known], scores[known]
    strange = np.setdiff1d(labels, [0.0, 1.0])
    if strange.size:
        raise ValueError(f"labels must be 0, 1 or NaN, got {strange.tolist()}")
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} of {scores.size} scores are NaN")
    return labels.astype(np.int64), scores


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")
