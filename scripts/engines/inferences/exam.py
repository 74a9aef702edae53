"""Inference engine: any exams -> predictions.jsonl, masks, embeddings and pictures, in each image's own pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from scripts.cases.domain import Domain, read_domain
from scripts.engines.case_engine import CaseEngine
from scripts.engines.evaluators.exam import encode_case, native_heat
from scripts.engines.exam_rows import finding_regions
from scripts.inferers.exam_calibration import ExamCalibration
from scripts.inferers.exam_prompt_classifier import ExamPromptClassifier
from scripts.networks import ExamEmbeddings
from scripts.reports.phrases import judge_phrase


class ExamInference(CaseEngine):
    """Ask every exam for its diagnosis and for every finding, and write the answers as predictions.

    Each class gets its probability; each finding its probability and the image that shows most of it, and one that reaches its
    threshold an entry for each region of its heat map on that image.

    A record with `phrases` is asked for these alone, in a user's own words: each gets the image that it chooses, and the regions
    there. A phrase that points at nothing by the domain's lexicons, or that they cannot read, gets neither, but the reason.

    The output of a batch is {"embeddings": [(case, `ExamEmbeddings` of B = 1)], "pictures": [(case id, panels)]}.

    Args:
        findings: answers prompts.
        calibration: probabilities, thresholds, how heat maps are smoothed and where they are cut.
        domain: whose lexicons judge whether a phrase can be pointed at.
        frame: of `CaseEngine`.
    """

    outputs = ("embeddings", "pictures")

    def __init__(
        self, findings: ExamPromptClassifier, calibration: ExamCalibration, domain: str | Path | Domain, **frame: Any
    ) -> None:
        super().__init__(**frame)
        self.findings = findings
        self.calibration = calibration
        self.domain = read_domain(domain)

    def answer(self, case: dict[str, Any]) -> dict[str, list]:
        exam = encode_case(self.findings, case, self.state.device)
        asked = case["record"].get("phrases")
        located = self._located(case, exam) if asked is None else [self._grounded(case, exam, phrase) for phrase in asked]
        entries = [] if asked is not None else self._diagnoses(exam)
        entries += [entry for found in located for entry in found["entries"]]
        return {
            "embeddings": [(case, exam)],
            "pictures": [(case["case_id"], panels(case, exam, located))],
            "predictions": [(case["case_id"], case["record"]["images"], entries)],
        }

    def _diagnoses(self, exam: ExamEmbeddings) -> list[dict[str, Any]]:
        probabilities = self.findings.diagnosis(exam)[0].tolist()
        return [
            {"label": name, "probability": probability, "confidence": max(probabilities)}
            for name, probability in zip(self.findings.classes, probabilities, strict=True)
        ]

    def _located(self, case: dict[str, Any], exam: ExamEmbeddings) -> list[dict[str, Any]]:
        """Of each finding its entries of predictions.jsonl, the image's place among those seen, heat map and regions."""
        labels = self.findings.labels
        scores = self.findings.scores(exam)[0].tolist()
        probabilities, present = self.calibration.probability(labels, scores), self.calibration.present(labels, scores)
        found = []
        places = self.findings.images_of(exam)[0].tolist()
        for label, index, probability, shows in zip(labels, places, probabilities.tolist(), present, strict=True):
            shared = {
                "label": label,
                "text": self.findings.prompts[label]["positive"][0],
                "probability": probability,
                "confidence": max(probability, 1 - probability),
                "image_index": case["image_indices"][index],
            }
            answer = {
                "label": label,
                "position": index,
                "probability": probability,
                "heat": None,
                "regions": [],
                "entries": [shared],
            }
            if shows:
                heat = native_heat(self.findings, case, exam, index, label, self.calibration.smoothing)
                regions = finding_regions(heat, self.calibration)
                marked = [{**shared, "box": list(region.box), "mask": region.mask} for region in regions]
                answer |= {"heat": heat, "regions": regions, "entries": marked or [shared]}
            found.append(answer)
        return found

    def _grounded(self, case: dict[str, Any], exam: ExamEmbeddings, phrase: str) -> dict[str, Any]:
        """As `_located` of a phrase that no table knows: without the opposite's wording nothing says whether it is there."""
        answer = {"label": phrase, "position": None, "probability": 0.0, "heat": None, "regions": []}
        judged = judge_phrase(phrase, self.domain)
        if not judged.groundable:
            return {**answer, "entries": [{"label": phrase, "text": phrase, "reason": judged.reason}]}
        localizer = self.findings.localizer
        sentence = localizer.encode_sentences([phrase])
        index = int(localizer.images_of(exam, sentence)[0, 0].argmax())
        one = exam._replace(patches=exam.patches[:, [index]])
        heat = localizer.heat_maps(one, sentence, torch.zeros_like(sentence))[0, 0, 0].cpu().numpy()
        heat = case["views"][index].to_native(heat)
        regions = finding_regions(heat, self.calibration)
        shared = {"label": phrase, "text": phrase, "image_index": case["image_indices"][index]}
        marked = [{**shared, "box": list(region.box), "mask": region.mask} for region in regions]
        return {**answer, "position": index, "heat": heat, "regions": regions, "entries": marked or [shared]}


def panels(case: dict[str, Any], exam: ExamEmbeddings, located: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Arguments of `scripts.figures.exam_overlays.exam_picture` for each image: its attention, and its most probable finding."""
    shown = []
    for position, (index, weight) in enumerate(zip(case["image_indices"], exam.attention[0].tolist(), strict=True)):
        title = f"image {index}, attention {weight:.2f}"
        here = [answer for answer in located if answer["position"] == position and answer["heat"] is not None]
        best = max(here, key=lambda answer: answer["probability"], default=None)
        panel = {"path": case["record"]["images"][index], "heat": None, "title": title}
        if best is not None:
            title = f"{title}: {best['label']} ({best['probability']:.2f})"
            panel |= {"heat": best["heat"], "regions": best["regions"], "title": title}
        shown.append(panel)
    return shown
