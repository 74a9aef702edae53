"""What validation teaches a screening: how sure its probabilities may be, and from which one to call an exam positive."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from scripts.inferers.calibration_file import CalibrationFile
from scripts.metrics.classification import choose_threshold
from scripts.metrics.probability_calibration import fit_temperature, scaled_probabilities


@dataclass(frozen=True)
class ExamClassCalibration(CalibrationFile):
    """Temperature scaling and decision threshold, learned on validation exams.

    Attributes:
        temperature: by which logits are divided.
        threshold: calibrated probability of the second of two classes from which it is decided on; None: the most probable class.
    """

    temperature: float = 1.0
    threshold: float | None = None

    @classmethod
    def fit(cls, logits: ArrayLike, truth: ArrayLike) -> "ExamClassCalibration":
        """Learn from logits [N, C] of validation exams and their classes [N].

        Of two classes the threshold is Youden's (`choose_threshold`), on the difference of the logits and midway to the next lower
        exam, so that it lies between the classes where they fall apart. It decides for every figure, accuracy too.

        Raises:
            ValueError: what `fit_temperature` and `choose_threshold` raise: no exam, one class alone.
        """
        temperature = fit_temperature(logits, truth)
        logits = np.asarray(logits, dtype=np.float64)
        if logits.shape[1] > 2:
            return cls(temperature)
        # Probabilities so near 1 that they are equal would leave no middle: the logits still differ.
        return cls(temperature, float(expit(_cut(truth, logits[:, 1] - logits[:, 0]) / temperature)))

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


def _cut(truth: ArrayLike, differences: NDArray) -> float:
    """Where the second class begins: midway between the lowest exam that is called and the next below it; infinity: nowhere."""
    lowest = choose_threshold(truth, differences)
    return lowest if np.isinf(lowest) else float((lowest + differences[differences < lowest].max()) / 2)
