"""fVLM's published evaluation, as it is: thresholds chosen on the very cases that they are judged by.

For numbers to compare with the paper's; `scripts.metrics.summaries.classification` is what to trust.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import f1_score, precision_score, roc_auc_score

STEPS = 100


class PublishedScores(NamedTuple):
    """Scores of one finding, 0..1 each, at the published threshold."""

    auc: float
    acc: float
    spec: float
    sens: float
    f1: float
    prec: float
    threshold: float


def published_scores(labels: ArrayLike, probabilities: ArrayLike) -> PublishedScores:
    """Score one finding by the protocol of fVLM's code: threshold nearest the ROC corner among 100 steps, F1 weighted by class.

    Args:
        labels: 0 or 1, [N].
        probabilities: [N]; a NaN (the anatomy is missing) counts as 0, as in the published code.

    Raises:
        ValueError: one class absent.
    """
    labels, probabilities = np.asarray(labels, dtype=int), np.nan_to_num(np.asarray(probabilities, dtype=float))
    threshold = published_threshold(labels, probabilities)
    says = probabilities >= threshold
    return PublishedScores(
        auc=float(roc_auc_score(labels, probabilities)),
        acc=float((says == labels).mean()),
        spec=float((~says)[labels == 0].mean()),
        sens=float(says[labels == 1].mean()),
        f1=float(f1_score(labels, says, average="weighted")),
        prec=float(precision_score(labels, says)),
        threshold=threshold,
    )


def published_threshold(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Of 100 thresholds between 0 and 1 the one whose (false, true) positive rates lie nearest (0, 1); of equals the highest."""
    steps = np.linspace(0, 1, STEPS)[::-1]
    says = probabilities[None] >= steps[:, None]
    true_rate, false_rate = says[:, labels == 1].mean(1), says[:, labels == 0].mean(1)
    return float(steps[np.argmin(false_rate**2 + (1 - true_rate) ** 2)])
