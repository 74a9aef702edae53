"""What validation teaches about findings of exams: probability, decision, and where a heat map becomes a region."""

from dataclasses import dataclass, field

import pandas as pd

from scripts.inferers.volume_calibration import VolumeCalibration

SIGMAS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)  # cells of the patch map, among which calibration chooses
MIN_LESIONS = 10


@dataclass(frozen=True)
class ExamCalibration(VolumeCalibration):
    """Calibration of findings told from prompts, and of their heat maps, learned on validation exams.

    Attributes:
        slopes, offsets, thresholds: see `VolumeCalibration`.
        smoothing: of heat maps by finding, sigma in cells of the patch map; findings that are not in it have the localizer's.
        heat_cut: from which a heat map, stretched to [-1, 1] on its image, is a region: the cut of best mean IoU.
    """

    smoothing: dict[str, float] = field(default_factory=dict)
    heat_cut: float = 0.3


def choose_smoothing(lesions: pd.DataFrame, usual: float) -> dict[str, float]:
    """The sigma at which a finding's heat maps hit most of its lesions, by finding.

    Args:
        lesions: columns label, sigma and pointing (0 to 1), a row for each lesion and sigma; `usual` is one of the sigmas.
        usual: the sigma that a finding keeps unless another hits more.

    Returns:
        sigmas other than the usual one; findings with fewer than `MIN_LESIONS` lesions keep it.
    """
    chosen = {}
    for label, part in lesions.groupby("label"):
        hits = part.groupby("sigma")["pointing"].agg(["mean", "size"])
        if hits["size"].max() >= MIN_LESIONS and hits["mean"].max() > hits.loc[usual, "mean"]:
            chosen[str(label)] = float(hits["mean"].idxmax())
    return chosen
