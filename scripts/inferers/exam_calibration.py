"""What validation teaches about findings of exams: probability, decision, and where a heat map becomes a region."""

from dataclasses import dataclass

from scripts.inferers.finding_calibration import FindingCalibration


@dataclass(frozen=True)
class ExamCalibration(FindingCalibration):
    """Calibration of findings told from prompts, and of their heat maps, learned on validation exams.

    Attributes:
        slopes, offsets, thresholds: see `FindingCalibration`.
        heat_cut: from which a heat map, stretched to [-1, 1] on its image, is a region: the cut of best mean IoU.
    """

    heat_cut: float = 0.3
