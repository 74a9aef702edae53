"""What validation teaches a screening: how sure its probabilities may be, and from which one to call an exam positive."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scripts.inferers.calibration_file import CalibrationFile
from scripts.metrics.classification import choose_threshold
from scripts.metrics.probability_calibration import fit_temperature, scaled_probabilities


@dataclass(frozen=True)
class ScreeningCalibration(CalibrationFile):
    """Temperature scaling and decision threshold, learned on validation exams.

    Attributes:
        temperature: by which logits are divided.
        threshold: calibrated probability of the second of two classes from which it is decided on; None: the most probable class.
    """

    temperature: float = 1.0
    threshold: float | None = None

    @classmethod
    def fit(cls, logits: ArrayLike, truth: ArrayLike) -> "ScreeningCalibration":
        """Learn from logits [N, C] of validation exams and their classes [N]; the threshold is Youden's, of two classes only.

        Raises:
            ValueError: what `fit_temperature` and `choose_threshold` raise: no exam, one class alone.
        """
        temperature = fit_temperature(logits, truth)
        probabilities = scaled_probabilities(logits, temperature)
        if probabilities.shape[1] > 2:
            return cls(temperature)
        return cls(temperature, min(choose_threshold(truth, probabilities[:, 1]), 1.0))

    def probabilities(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Calibrated probabilities [N, C] of logits [N, C]."""
        return scaled_probabilities(logits, self.temperature)

    def decisions(self, probabilities: NDArray) -> NDArray[np.int64]:
        """The class decided on for each exam, [N]."""
        if self.threshold is None:
            return probabilities.argmax(1)
        return (probabilities[:, 1] >= self.threshold).astype(np.int64)

    def confidence(self, probabilities: NDArray) -> NDArray[np.float64]:
        """How far each decision is from tipping over, [N] in [0, 1]: exams are best reviewed from the smallest up.

        The distance to the threshold as a share of the largest possible on that side; without a threshold the lead of the most
        probable class over the next.
        """
        if self.threshold is None:
            best = np.sort(probabilities, axis=1)
            return best[:, -1] - best[:, -2]
        positive, cut = probabilities[:, 1], self.threshold
        reach = np.where(positive >= cut, 1 - cut, cut)
        return np.divide(np.abs(positive - cut), reach, out=np.ones_like(positive), where=reach > 0)
