"""Inference engine: any films, any phrases -> predictions.jsonl and masks."""

from collections.abc import Sequence
from typing import Any

import torch
from monai.engines import Evaluator
from torch.utils.data import DataLoader

from scripts.cases.finding import Finding
from scripts.inferers.phrase_grounder import GroundedPhrase, PhraseGrounder
from scripts.predictions.predictions import PredictionWriter


class ImageInference(Evaluator):
    """Ask every film for every phrase and write the answers as predictions.

    A phrase with regions gives one finding a region; a phrase without any gives a finding without box and mask, so that a reader
    sees that it was asked.

    Args:
        device: device of the network.
        val_data_loader: gives batches of `scripts.loading.ImageRecordCollate`.
        grounder: answers phrases with regions.
        phrases: asked of every film whose record has no `phrases` of its own.
        writer: receives the predictions; they stand in its folder when the run has ended well.
        val_handlers: Ignite or MONAI handlers.

    Raises:
        ValueError: no phrase to ask for.
    """

    def __init__(
        self,
        device: str | torch.device,
        val_data_loader: DataLoader,
        grounder: PhraseGrounder,
        phrases: Sequence[str],
        writer: PredictionWriter,
        val_handlers: Sequence | None = None,
    ) -> None:
        super().__init__(device=device, val_data_loader=val_data_loader, val_handlers=val_handlers, decollate=False)
        if not phrases:
            raise ValueError("no phrase to look for: set phrases, for example --phrases \"['left pleural effusion']\"")
        self.grounder = grounder
        self.phrases = list(phrases)
        self.writer = writer

    def run(self) -> None:
        """Run over all films; predictions are complete or absent."""
        with self.writer:
            super().run()

    def _iteration(self, engine: Evaluator, batchdata: dict[str, Any]) -> dict[str, list]:
        if not batchdata["case_ids"]:
            return {"answers": []}
        films = self.grounder.localizer.encode_films(batchdata["images"].to(engine.state.device))
        texts = [record.get("phrases", self.phrases) for record in batchdata["records"]]
        answers = self.grounder(films, batchdata["letterboxes"], texts)
        for case, record, answered in zip(batchdata["case_ids"], batchdata["records"], answers, strict=True):
            findings = [finding for answer in answered for finding in predicted_findings(answer)]
            self.writer.add(case, [record["image"]], [Finding(**entry) for entry in findings])
        return {"answers": list(zip(batchdata["records"], answers, strict=True))}


def predicted_findings(answer: GroundedPhrase) -> list[dict[str, Any]]:
    """Entries of predictions.jsonl for one phrase on one film; see `scripts.predictions.predictions`."""
    shared = {"label": answer.text, "text": answer.text, "probability": answer.probability, "image_index": 0}
    if not answer.regions:
        return [{**shared, "confidence": 1 - answer.probability}]
    return [
        {**shared, "confidence": answer.confidence(region), "box": list(region.box), "mask": region.mask}
        for region in answer.regions
    ]
