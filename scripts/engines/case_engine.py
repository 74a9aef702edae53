"""The frame of every evaluation and inference: over the cases of all batches, from answers to tables or predictions."""

import logging
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from monai.engines import Evaluator
from torch.utils.data import DataLoader

from scripts.cases.finding import Finding
from scripts.predictions.predictions import PredictionWriter

logger = logging.getLogger(__name__)


class CaseEngine(Evaluator):
    """Answer every case; subclasses say how (`answer`, or `answers` where the cases of a batch go through the network together).

    The output of a batch is {name: list} for each of `outputs`; empty lists where all of its cases were set aside.

    Args:
        device: device of the network.
        val_data_loader: gives batches of `scripts.loading.PassThroughCollate`, or of what the subclass names.
        writer: receives what `answer` gives under "predictions"; they stand in its folder when the run has ended well, complete or
            not at all. None for an evaluation.
        val_handlers: Ignite or MONAI handlers.
    """

    outputs: tuple[str, ...] = ()

    def __init__(
        self,
        device: str | torch.device,
        val_data_loader: DataLoader,
        writer: PredictionWriter | None = None,
        val_handlers: Sequence | None = None,
    ) -> None:
        super().__init__(device=device, val_data_loader=val_data_loader, val_handlers=val_handlers, decollate=False)
        self.writer = writer

    def run(self) -> None:
        """Run over all cases."""
        with self.writer or nullcontext():
            super().run()

    def answer(self, case: dict[str, Any]) -> dict[str, list]:
        """Lists of a prepared case by name; "predictions" holds (case id, images, fields of each `Finding`)."""
        raise NotImplementedError

    def answers(self, batch: dict[str, Any]) -> Iterable[dict[str, list]]:
        """As `answer`, of all cases of a batch that has any."""
        return map(self.answer, batch["cases"])

    def _iteration(self, engine: Evaluator, batchdata: dict[str, Any]) -> dict[str, list]:
        output: dict[str, list] = {name: [] for name in self.outputs}
        for answer in self.answers(batchdata) if batchdata["case_ids"] else ():
            for case_id, images, entries in answer.pop("predictions", ()):
                findings = [Finding(**entry) for entry in entries]
                for finding in findings:
                    if finding.reason:
                        logger.info("no region for '%s': %s", finding.label, finding.reason)
                self.writer.add(case_id, images, findings)
            for name, part in answer.items():
                output[name] += part
        return output
