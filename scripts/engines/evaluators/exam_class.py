"""Evaluator of a classifier of exams."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from scripts.engines.case_engine import CaseEngine
from scripts.files.errors import UserError
from scripts.inferers.exam_class_calibration import ExamClassCalibration
from scripts.loading.exam_batches import join_images
from scripts.loading.exam_classes import ScreeningTask
from scripts.networks import ExamClassifier


class ExamClassEvaluator(CaseEngine):
    """Classify every exam; the output of a batch is {"exams": rows}.

    A row is a dict of case_id, patient_id, site (None if unknown), truth (position of the class) and logits (list, by class).

    Args:
        network: a trained classifier; it is put into eval mode.
        task: which class an exam's label is.
        frame: of `CaseEngine`; of every exam the class is known.
    """

    outputs = ("exams",)

    def __init__(self, network: ExamClassifier, task: ScreeningTask, **frame: Any) -> None:
        super().__init__(**frame)
        self.network = network.eval()
        self.task = task

    def answers(self, batch: dict[str, Any]) -> list[dict[str, list]]:
        return [{"exams": exam_rows(self.network, batch["cases"], self.task, self.state.device)}]


@torch.inference_mode()
def exam_rows(network: ExamClassifier, cases: Sequence[dict], task: ScreeningTask, device: torch.device) -> list[dict[str, Any]]:
    """Rows of prepared exams, see `ExamClassEvaluator`.

    Raises:
        UserError: a network of other classes than the task's.
    """
    if list(task.classes) != network.classes:
        raise UserError(
            f"the checkpoint tells {network.classes} apart, not {list(task.classes)}: give the screening_task that it was "
            "trained for"
        )
    if not cases:
        return []
    images, image_index = join_images([case["images"] for case in cases])
    logits = network.classify(images.to(device), image_index.to(device)).logits.float().tolist()
    return [
        {
            "case_id": case["case_id"],
            "patient_id": case["record"]["patient_id"],
            "site": case["record"].get("site"),
            "truth": task.class_of[case["record"]["label"]],
            "logits": row,
        }
        for case, row in zip(cases, logits, strict=True)
    ]


def calibrate_exam_classes(
    network: ExamClassifier, loader: DataLoader, task: ScreeningTask, device: torch.device
) -> ExamClassCalibration:
    """Learn a `ExamClassCalibration` from validation exams. Raises what `exam_rows` and `ExamClassCalibration.fit` raise."""
    network.eval()
    rows = [row for batch in loader for row in exam_rows(network, batch["cases"], task, device)]
    return ExamClassCalibration.fit([row["logits"] for row in rows], np.array([row["truth"] for row in rows]))
