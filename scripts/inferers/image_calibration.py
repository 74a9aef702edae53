"""What validation teaches an inference: how sure to be that a phrase fits a film, and where its heat map ends."""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from scripts.inferers.calibration_file import CalibrationFile

FEATURES = ("similarity", "standing", "peak")


@dataclass(frozen=True)
class ImageCalibration(CalibrationFile):
    """Numbers learned on a validation split, kept in a file beside the checkpoint.

    reference: report embeddings of validation films, [R, D], unit length: what is usual for a phrase.
    weights, bias: logistic regression on `FEATURES`, giving the probability that the phrase fits the film.
    confidence_threshold: probability from which regions are shown.
    heat_threshold: cut of heat maps stretched to [-1, 1].
    label_thresholds: probability from which the zero-shot classifier calls a finding present; Youden's choice.
    """

    reference: Tensor
    weights: tuple[float, ...]
    bias: float
    confidence_threshold: float
    heat_threshold: float
    label_thresholds: dict[str, float]

    def probability(self, features: NDArray) -> NDArray:
        """Probability that phrases fit their films, [N], from features [N, len(FEATURES)]."""
        return 1 / (1 + np.exp(-(features @ np.array(self.weights) + self.bias)))


def similarity_zscore(similarity: Tensor, reference: Tensor, phrases: Tensor) -> Tensor:
    """How unusual a film's similarity to a phrase is among the reference films, in standard deviations.

    Phrases differ in how much every film resembles them; what a film shows is told by its place among others.

    Args:
        similarity: cosines of B films with P phrases, [B, P].
        reference: [R, D], unit length, R >= 2.
        phrases: [P, D].
    """
    usual = reference.to(phrases) @ F.normalize(phrases, dim=1).T
    return (similarity - usual.mean(0)) / usual.std(0).clamp_min(1e-6)


def fit_probability(features: NDArray, present: NDArray) -> tuple[tuple[float, ...], float]:
    """Logistic regression with balanced classes: weights and bias of `ImageCalibration`.

    Args:
        features: [N, len(FEATURES)].
        present: whether each phrase fits its film, [N], both values needed.

    Raises:
        ValueError: only one of the two values.
    """
    if len(np.unique(present)) < 2:
        raise ValueError("calibration needs phrases that fit and phrases that do not: give validation records labels")
    model = LogisticRegression(class_weight="balanced").fit(features, present)
    return tuple(float(weight) for weight in model.coef_[0]), float(model.intercept_[0])
