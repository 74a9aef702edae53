"""Where a probability becomes a decision."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_curve


def choose_threshold(labels: ArrayLike, scores: ArrayLike) -> float:
    """The score from which a case counts as present, chosen on validation cases, never the test's.

    It has the largest sensitivity + specificity - 1 (Youden, Cancer 1950).

    Args:
        labels: 0 or 1 of validation cases, NaN where unknown (left out), [N].
        scores: [N].

    Returns:
        one of the scores, the highest of equally good ones; infinity where calling every case absent is best.

    Raises:
        ValueError: labels and scores of different length, labels other than 0, 1 and NaN, a NaN score, or one class absent.
    """
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
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    if positives == 0 or negatives == 0:
        raise ValueError(f"a threshold needs cases of both kinds: got {positives} present and {negatives} absent")
    false_share, true_share, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    # Shares are quotients: equally good thresholds differ in the last bits, and the first, highest one is wanted.
    return float(thresholds[np.argmax(np.round(true_share - false_share, 12))])
