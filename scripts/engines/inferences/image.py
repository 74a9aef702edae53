"""Inference engine: any films, any phrases -> predictions.jsonl and masks."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from scripts.engines.case_engine import CaseEngine
from scripts.inferers.phrase_grounder import GroundedPhrase, PhraseGrounder


class ImageInference(CaseEngine):
    """Ask every film for every phrase and write the answers as predictions.

    A phrase with regions gives one finding a region; a phrase without any gives a finding without box and mask, so that a reader
    sees that it was asked, and the reason where the phrase points at nothing.

    The output of a batch is {"answers": [(record, answers)]}.

    Args:
        grounder: answers phrases with regions.
        phrases: asked of every film whose record has no `phrases` of its own.
        frame: of `CaseEngine`; batches are those of `scripts.loading.ImageRecordCollate`.

    Raises:
        ValueError: no phrase to ask for.
    """

    outputs = ("answers",)

    def __init__(self, grounder: PhraseGrounder, phrases: Sequence[str], **frame: Any) -> None:
        super().__init__(**frame)
        if not phrases:
            raise ValueError("no phrase to look for: set phrases, for example --phrases \"['left pleural effusion']\"")
        self.grounder = grounder
        self.phrases = list(phrases)

    def answers(self, batch: dict[str, Any]) -> Iterator[dict[str, list]]:
        films = self.grounder.localizer.encode_films(batch["images"].to(self.state.device))
        texts = [record.get("phrases", self.phrases) for record in batch["records"]]
        answers = self.grounder(films, batch["letterboxes"], texts)
        for case, record, answered in zip(batch["case_ids"], batch["records"], answers, strict=True):
            findings = [finding for answer in answered for finding in predicted_findings(answer)]
            yield {"answers": [(record, answered)], "predictions": [(case, [record["image"]], findings)]}


def predicted_findings(answer: GroundedPhrase) -> list[dict[str, Any]]:
    """Entries of predictions.jsonl for one phrase on one film; see `scripts.predictions.predictions`."""
    shared = {"label": answer.text, "text": answer.text, "image_index": 0}
    if np.isnan(answer.probability):
        return [{**shared, "reason": answer.reason}]
    shared["probability"] = answer.probability
    if not answer.regions:
        return [{**shared, "confidence": 1 - answer.probability, **({"reason": answer.reason} if answer.reason else {})}]
    return [
        {**shared, "confidence": answer.confidence(region), "box": list(region.box), "mask": region.mask}
        for region in answer.regions
    ]
