"""Evaluator of zero-shot classification on volumes with labels, anatomy by anatomy."""

from typing import Any

import pandas as pd
import torch
from torch.utils.data import DataLoader

from scripts.engines.case_engine import CaseEngine
from scripts.inferers.anatomy_classifier import AnatomyClassifier
from scripts.inferers.volume_calibration import VolumeCalibration
from scripts.loading.volume_batches import check_anatomies


class VolumeEvaluator(CaseEngine):
    """Ask every volume for every finding that its labels speak of.

    The output of a batch is {"labels": rows}; a row is a dict of case_id, patient_id, label, anatomy, score (logit; NaN where the
    anatomy is missing) and truth (0 or 1).

    Args:
        classifier: answers findings with scores.
        frame: of `CaseEngine`.
    """

    outputs = ("labels",)

    def __init__(self, classifier: AnatomyClassifier, **frame: Any) -> None:
        super().__init__(**frame)
        self.classifier = classifier

    def answer(self, case: dict[str, Any]) -> dict[str, list]:
        return {"labels": label_rows(self.classifier, case, self.state.device)}


def label_rows(classifier: AnatomyClassifier, case: dict[str, Any], device: torch.device) -> list[dict[str, Any]]:
    """Rows of one prepared volume, see `VolumeEvaluator`."""
    check_anatomies(case, classifier.network.anatomies)
    answer = classifier(case["image"].to(device), case["anatomy_mask"][0].to(device))
    record = case["record"]
    known = record.get("labels", {})
    return [
        {
            "case_id": case["case_id"],
            "patient_id": record["patient_id"],
            "label": finding.label,
            "anatomy": finding.anatomy,
            "score": float(score),
            "truth": known[finding.label],
        }
        for finding, score in zip(classifier.prompts, answer.scores, strict=True)
        if finding.label in known
    ]


def calibrate_volumes(classifier: AnatomyClassifier, loader: DataLoader, device: torch.device) -> VolumeCalibration:
    """Learn a `VolumeCalibration` from validation volumes with labels.

    Raises:
        UserError: no finding is both present and absent among them.
    """
    rows = [row for batch in loader for case in batch["cases"] for row in label_rows(classifier, case, device)]
    return VolumeCalibration.fit(pd.DataFrame(rows, columns=["case_id", "patient_id", "label", "anatomy", "score", "truth"]))
