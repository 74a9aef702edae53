"""Evaluator of phrase localization and zero-shot classification on films with truth."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from scripts.engines.case_engine import CaseEngine
from scripts.inferers.phrase_grounder import GroundedPhrase, PhraseGrounder
from scripts.inferers.queries import Query, film_queries
from scripts.inferers.zero_shot_classifier import ZeroShotClassifier
from scripts.kinds.image import finding_mask, has_place
from scripts.metrics.localization import THRESHOLDS, cnr, dice, iou_at_thresholds, pointing_game

SIZE_LIMITS = (0.015, 0.06)  # shares of a film's area that separate small, medium and large findings


class ImageEvaluator(CaseEngine):
    """Ask every film for what is there, for what is not, and for what cannot be pointed at.

    The output of a batch is {"phrases": rows, "labels": rows, "answers": [(record, queries, answers)]}; a row is a dict of
    plain values, and `scripts.handlers.reports.ImageReport` makes tables of them. Localization is scored in native
    pixels on the whole film.

    Args:
        grounder: answers phrases with regions; its domain says which statements are normal.
        pool: phrases for each label, see `scripts.inferers.queries.film_queries`.
        classifier: answers labels with probabilities; None leaves classification out.
        truth: "masks" scores against a finding's mask where it has one, "boxes" against its boxes, which is what NIH and RSNA
            give, and which forgives a peak just beside a thin lesion.
        frame: of `CaseEngine`; batches are those of `scripts.loading.ImageRecordCollate`.

    Raises:
        ValueError: unknown `truth`.
    """

    outputs = ("phrases", "labels", "answers")

    def __init__(
        self,
        grounder: PhraseGrounder,
        pool: dict[str, list[str]],
        classifier: ZeroShotClassifier | None = None,
        truth: str = "masks",
        **frame: Any,
    ) -> None:
        if truth not in ("masks", "boxes"):
            raise ValueError(f"truth must be masks or boxes, got '{truth}'")
        super().__init__(**frame)
        self.grounder = grounder
        self.classifier = classifier
        self.pool = pool
        self.truth = truth

    def answers(self, batch: dict[str, Any]) -> Iterator[dict[str, list]]:
        records = [without_masks(record) for record in batch["records"]] if self.truth == "boxes" else batch["records"]
        films = self.grounder.localizer.encode_films(batch["images"].to(self.state.device))
        queries = [film_queries(record, self.pool, self.grounder.domain) for record in records]
        answers = self.grounder(films, batch["letterboxes"], [[query.text for query in asked] for asked in queries])
        for case, record, asked, answered in zip(batch["case_ids"], records, queries, answers, strict=True):
            pairs = zip(asked, answered, strict=True)
            rows = [phrase_row(case, record, query, answer) for query, answer in pairs]
            yield {"phrases": rows, "answers": [(record, asked, answered)]}
        if self.classifier is not None:
            probabilities = self.classifier(films).cpu().numpy()
            for case, record, row in zip(batch["case_ids"], records, probabilities, strict=True):
                yield {"labels": label_rows(case, record, dict(zip(self.classifier.findings, row, strict=True)))}


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
