"""Evaluator of phrase localization and zero-shot classification on films with truth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.engines import Evaluator
from torch.utils.data import DataLoader

from scripts.inferers.phrase_grounder import GroundedPhrase, PhraseGrounder
from scripts.inferers.queries import Query, film_queries
from scripts.inferers.zero_shot_classifier import ZeroShotClassifier
from scripts.kinds.image import finding_mask, has_place
from scripts.metrics.localization import THRESHOLDS, cnr, dice, iou_at_thresholds, pointing_game

SIZE_LIMITS = (0.015, 0.06)  # shares of a film's area that separate small, medium and large findings


class ImageEvaluator(Evaluator):
    """Ask every film for what is there, for what is not, and for what cannot be pointed at.

    The output of a batch is {"phrases": rows, "labels": rows, "answers": [(record, queries, answers)]}; a row is a dict of
    plain values, and `scripts.handlers.reports.ImageReport` makes tables of them. Localization is scored in native
    pixels on the whole film.

    Args:
        device: device of the network.
        val_data_loader: gives batches of `scripts.loading.ImageRecordCollate`.
        grounder: answers phrases with regions.
        classifier: answers labels with probabilities; None leaves classification out.
        truth: "masks" scores against a finding's mask where it has one, "boxes" against its boxes, which is what NIH and RSNA
            give, and which forgives a peak just beside a thin lesion.
        pool: phrases for each label, see `scripts.inferers.queries.film_queries`.
        val_handlers: Ignite or MONAI handlers.

    Raises:
        ValueError: unknown `truth`.
    """

    def __init__(
        self,
        device: str | torch.device,
        val_data_loader: DataLoader,
        grounder: PhraseGrounder,
        pool: dict[str, list[str]],
        classifier: ZeroShotClassifier | None = None,
        truth: str = "masks",
        val_handlers: Sequence | None = None,
    ) -> None:
        if truth not in ("masks", "boxes"):
            raise ValueError(f"truth must be masks or boxes, got '{truth}'")
        super().__init__(device=device, val_data_loader=val_data_loader, val_handlers=val_handlers, decollate=False)
        self.grounder = grounder
        self.classifier = classifier
        self.pool = pool
        self.truth = truth

    def _iteration(self, engine: Evaluator, batchdata: dict[str, Any]) -> dict[str, list]:
        output: dict[str, list] = {"phrases": [], "labels": [], "answers": []}
        if not batchdata["case_ids"]:
            return output
        records = batchdata["records"]
        if self.truth == "boxes":
            records = [without_masks(record) for record in records]
        films = self.grounder.localizer.encode_films(batchdata["images"].to(engine.state.device))
        queries = [film_queries(record, self.pool) for record in records]
        texts = [[query.text for query in asked] for asked in queries]
        answers = self.grounder(films, batchdata["letterboxes"], texts)
        cases = zip(batchdata["case_ids"], records, queries, answers, strict=True)
        for case, record, asked, answered in cases:
            output["answers"].append((record, asked, answered))
            for query, answer in zip(asked, answered, strict=True):
                output["phrases"].append(phrase_row(case, record, query, answer))
        if self.classifier is not None:
            probabilities = self.classifier(films).cpu().numpy()
            for case, record, row in zip(batchdata["case_ids"], records, probabilities, strict=True):
                output["labels"] += label_rows(case, record, dict(zip(self.classifier.findings, row, strict=True)))
        return output


def without_masks(record: dict) -> dict:
    """A record whose findings with boxes have lost their masks."""
    findings = [
        {key: value for key, value in finding.items() if key != "mask" or not finding.get("boxes")}
        for finding in record.get("findings", ())
    ]
    return {**record, "findings": findings}


def phrase_row(case: str, record: dict, query: Query, answer: GroundedPhrase) -> dict[str, Any]:
    """One line of per_case.csv: what was asked, what was answered and, for a finding that is there, how well."""
    row: dict[str, Any] = {
        "case_id": case,
        "patient_id": record["patient_id"],
        "kind": query.kind,
        "label": query.label,
        "text": query.text,
        "probability": answer.probability,
        "regions": len(answer.regions),
    }
    if query.finding is None:
        return row
    finding = record["findings"][query.finding]
    if not has_place(finding):
        return row
    truth = finding_mask(finding, answer.heat.shape)
    share = float(truth.mean())
    shown = np.zeros_like(truth)
    for region in answer.regions:
        shown |= region.mask
    ious, dices = iou_at_thresholds(answer.heat, truth), dice(answer.heat, truth)
    return {
        **row,
        "tags": " ".join(finding.get("tags", ())),
        "size": ("small", "medium", "large")[int(np.searchsorted(SIZE_LIMITS, share))],
        "area_fraction": share,
        "pointing": pointing_game(answer.heat, truth),
        "cnr": cnr(answer.heat, truth),
        "miou": float(ious.mean()),
        "mdice": float(dices.mean()),
        **{f"iou_{threshold}": float(value) for threshold, value in zip(THRESHOLDS, ious, strict=True)},
        **{f"dice_{threshold}": float(value) for threshold, value in zip(THRESHOLDS, dices, strict=True)},
        "region_iou": float((shown & truth).sum() / (shown | truth).sum()),
    }


def label_rows(case: str, record: dict, probabilities: dict[str, float]) -> list[dict[str, Any]]:
    """Lines of per_label.csv: each label that the record knows and the classifier has prompts for."""
    return [
        {
            "case_id": case,
            "patient_id": record["patient_id"],
            "label": label,
            "truth": value,
            "probability": float(probabilities[label]),
        }
        for label, value in record.get("labels", {}).items()
        if label in probabilities
    ]
