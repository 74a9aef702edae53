"""Evaluator of a classifier of exams."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.engines import Evaluator
from torch.utils.data import DataLoader

from scripts.files.errors import UserError
from scripts.inferers.exam_class_calibration import ExamClassCalibration
from scripts.loading.exam_batches import join_images
from scripts.loading.exam_classes import ScreeningTask
from scripts.networks import ExamClassifier


class ExamClassEvaluator(Evaluator):
    """Classify every exam; the output of a batch is {"exams": rows}.

    A row is a dict of case_id, patient_id, site (None if unknown), truth (position of the class) and logits (list, by class).

    Args:
        device: device of the network.
        val_data_loader: gives batches of `scripts.loading.PassThroughCollate`, of exams whose class is known.
        network: a trained classifier; it is put into eval mode.
        task: which class an exam's label is.
        val_handlers: Ignite or MONAI handlers.
    """

    def __init__(
        self,
        device: str | torch.device,
        val_data_loader: DataLoader,
        network: ExamClassifier,
        task: ScreeningTask,
        val_handlers: Sequence | None = None,
    ) -> None:
        super().__init__(device=device, val_data_loader=val_data_loader, val_handlers=val_handlers, decollate=False)
        self.network = network.eval()
        self.task = task

    def _iteration(self, engine: Evaluator, batchdata: dict[str, Any]) -> dict[str, list]:
        return {"exams": exam_rows(self.network, batchdata["cases"], self.task, engine.state.device)}


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
