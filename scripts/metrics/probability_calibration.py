"""Do probabilities mean what they say? Reliability, expected calibration error, and the temperature that mends it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

# Temperatures looked at. Networks are off by a factor of a few; beyond twenty the fit says no more than that validation is answered
# without an error, or worse than by chance.
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0


class Reliability(NamedTuple):
    """A reliability diagram of K bins of equal width over [0, 1].

    edges: [K + 1]. confidence and accuracy: mean of each bin's probabilities, and share of right answers, [K], NaN where a bin is
    empty. counts: [K].
    """

    edges: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    counts: NDArray[np.int64]


def reliability(confidence: ArrayLike, right: ArrayLike, bins: int = 10) -> Reliability:
    """Bring answers into bins of their probability; the last bin holds 1.

    Args:
        confidence: probability of each answer, [N], in [0, 1]. For several classes, that of the most probable one; for a question
            of yes and no, that of yes.
        right: whether each answer is right (whether yes is), [N], 0 or 1.
        bins: K.

    Raises:
        ValueError: sizes that differ, no answer, or probabilities outside [0, 1].
    """
    confidence, right = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if confidence.ndim != 1 or confidence.shape != right.shape or not confidence.size:
        raise ValueError(f"expected probabilities [N] and answers [N], got {confidence.shape} and {right.shape}")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1]")
    edges = np.linspace(0, 1, bins + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    sums = (np.bincount(index, weights=values, minlength=bins) for values in (confidence, right))
    means = [np.divide(total, counts, out=np.full(bins, np.nan), where=counts > 0) for total in sums]
    return Reliability(edges, *means, counts)


def expected_calibration_error(diagram: Reliability) -> float:
    """Mean distance of accuracy from confidence, bins weighted by their answers (Guo et al., arXiv 1706.04599, equation 3), in
    [0, 1]."""
    distance = np.abs(diagram.accuracy - diagram.confidence)
    return float(np.nansum(distance * diagram.counts) / diagram.counts.sum())


def fit_temperature(logits: ArrayLike, truth: ArrayLike) -> float:
    """The temperature by which logits are divided so that validation cases are most likely (Guo et al., arXiv 1706.04599).

    Args:
        logits: [N, C] of validation cases.
        truth: their classes, [N], integers in 0..C-1.

    Returns:
        in [.05, 20]; near .05 where every case is answered rightly, near 20 where the logits mislead.

    Raises:
        ValueError: sizes that do not fit, no case, or logits that are not finite.
    """
    logits, truth = np.asarray(logits, dtype=np.float64), np.asarray(truth)
    if logits.ndim != 2 or truth.shape != logits.shape[:1] or not truth.size or not np.isfinite(logits).all():
        raise ValueError(f"expected finite logits [N, C] and classes [N], got {logits.shape} and {truth.shape}")

    def surprise(coldness: float) -> float:
        """Mean negative log-likelihood: convex in the inverse of the temperature."""
        scaled = logits * np.exp(coldness)
        return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(truth)), truth]).mean())

    found = minimize_scalar(
        surprise, bounds=(-np.log(MAX_TEMPERATURE), -np.log(MIN_TEMPERATURE)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(-found.x))


def scaled_probabilities(logits: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Softmax of logits [N, C] over a temperature."""
    return softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
