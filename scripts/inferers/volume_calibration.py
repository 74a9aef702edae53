"""What validation teaches zero-shot classification: the probability that a score means, and from which one to say "present"."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from scripts.files.errors import UserError
from scripts.inferers.calibration_file import CalibrationFile
from scripts.metrics.classification import choose_threshold

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VolumeCalibration(CalibrationFile):
    """Logistic calibration (Platt 1999) and decision threshold of each finding, learned on validation cases.

    Attributes:
        slopes, offsets: probability of a score = sigmoid(slope * score + offset), by finding; findings without both answers in
            validation are not in them, and keep the network's own probability.
        thresholds: of the network's own probability, from which a finding counts as present (Youden's choice), by finding; 0.5 for
            others.
    """

    slopes: dict[str, float] = field(default_factory=dict)
    offsets: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, rows: pd.DataFrame) -> "VolumeCalibration":
        """Learn from rows of label, score and truth (0 or 1), one a case and finding; NaN scores are left out.

        Raises:
            UserError: no finding has both answers.
        """
        slopes, offsets, thresholds = {}, {}, {}
        for label, part in rows[rows["score"].notna()].groupby("label"):
            if part["truth"].nunique() < 2:
                logger.warning(
                    "calibration: validation has no %s cases with and without; its probability stays the network's", label
                )
                continue
            model = LogisticRegression().fit(part[["score"]].to_numpy(), part["truth"].astype(int))
            slopes[label], offsets[label] = float(model.coef_[0, 0]), float(model.intercept_[0])
            if slopes[label] < 0:  # a score that points the wrong way tells nothing: all that is known is how common the finding is
                share = part["truth"].mean()
                slopes[label], offsets[label] = 0.0, float(np.log(share / (1 - share)))
            # Where calling every case absent is best the threshold is infinite, which JSON does not have.
            thresholds[label] = min(choose_threshold(part["truth"], _sigmoid(part["score"].to_numpy())), 1.0)
        if not slopes:
            raise UserError("calibration needs validation cases with and without a finding, with labels: set calibrate to false")
        return cls(slopes, offsets, thresholds)

    def probability(self, labels: Sequence[str], scores: Sequence[float]) -> np.ndarray:
        """Calibrated probabilities of findings from their scores, NaN where a score is."""
        slope = np.array([self.slopes.get(label, 1.0) for label in labels])
        offset = np.array([self.offsets.get(label, 0.0) for label in labels])
        return _sigmoid(slope * np.asarray(scores, dtype=np.float64) + offset)

    def present(self, labels: Sequence[str], scores: Sequence[float]) -> np.ndarray:
        """Which findings count as present, [N] bool; one without score does not."""
        thresholds = np.array([self.thresholds.get(label, 0.5) for label in labels])
        return _sigmoid(np.asarray(scores, dtype=np.float64)) >= thresholds


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))
