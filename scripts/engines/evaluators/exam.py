"""Evaluator of NasVLM without any training on labels: retrieval, sentences' images, zero-shot answers, localization."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from scripts.engines.case_engine import CaseEngine
from scripts.engines.exam_rows import (
    PlacedFinding,
    diagnosis_row,
    label_rows,
    lesion_row,
    localization_row,
    selection_rows,
    sentence_rows,
    stated_findings,
    view_of,
)
from scripts.files.errors import UserError
from scripts.inferers.exam_calibration import SIGMAS, ExamCalibration, choose_smoothing
from scripts.inferers.exam_prompt_classifier import ExamPromptClassifier
from scripts.kinds.exam import finding_mask, has_place
from scripts.metrics.localization import HEAT_CUTS
from scripts.networks import ExamEmbeddings


class ExamEvaluator(CaseEngine):
    """Ask every exam for what its report and its truth speak of.

    The output of a batch is {"exams": [D] and "reports": [D] of each exam with a report, "patients": theirs, and lists of rows (see
    `scripts.engines.exam_rows`): "sentences", "phrases", "labels", "diagnoses"; "answers": [(case, finding, `PlacedFinding`)]}.
    Truth that a record lacks is passed over. Localization is scored in native pixels.

    Args:
        findings: answers prompts.
        calibration: what validation taught.
        frame: of `CaseEngine`.
    """

    outputs = ("exams", "reports", "patients", "sentences", "phrases", "labels", "diagnoses", "answers")

    def __init__(self, findings: ExamPromptClassifier, calibration: ExamCalibration, **frame: Any) -> None:
        super().__init__(**frame)
        self.findings = findings
        self.calibration = calibration

    def answer(self, case: dict[str, Any]) -> dict[str, list]:
        exam = encode_case(self.findings, case, self.state.device)
        output: dict[str, list] = {name: [] for name in self.outputs}
        record, findings = case["record"], self.findings
        who = {"case_id": case["case_id"], "patient_id": record["patient_id"]}
        told = [(sentence.text, sentence.region) for sentence in case["sentences"]]
        if told:
            output["exams"].append(exam.exam[0].cpu())
            output["reports"].append(findings.localizer.encode_report([text for text, _ in told]).cpu())
            output["patients"].append(record["patient_id"])
            if "regions" in record:
                shown = [record["regions"][index] for index in case["image_indices"]]
                output["sentences"] += sentence_rows(who, told, self._weights(exam, [text for text, _ in told]), shown)
        placed = list(placed_findings(findings, case, exam, self.calibration.smoothing))
        stated = stated_findings(record, case["image_indices"])
        if stated:
            shares = {found.number: float(found.truth.mean()) for found in placed}
            output["sentences"] += selection_rows(who, stated, self._weights(exam, [entry.text for entry in stated]), shares)
        scores = findings.scores(exam)[0].cpu().numpy()
        output["labels"] += label_rows(who, record, findings.labels, scores, self.calibration)
        output["diagnoses"].append(diagnosis_row(who, record, findings.classes, findings.diagnosis(exam)[0].cpu().numpy()))
        probabilities = dict(zip(findings.labels, self.calibration.probability(findings.labels, scores), strict=True))
        for found in placed:
            finding = record["findings"][found.number]
            probability = float(probabilities[finding["label"]])
            view = view_of(finding, told, record.get("regions", ()))
            output["phrases"].append(localization_row(who, finding, found, probability, self.calibration, view))
            output["answers"].append((case, finding, found))
        return output

    def _weights(self, exam: ExamEmbeddings, sentences: Sequence[str]) -> np.ndarray:
        localizer = self.findings.localizer
        return localizer.images_of(exam, localizer.encode_sentences(sentences))[0].cpu().numpy()


def encode_case(findings: ExamPromptClassifier, case: dict[str, Any], device: torch.device) -> ExamEmbeddings:
    """Embeddings of one prepared exam, B = 1."""
    images: Tensor = case["images"].to(device)
    return findings.localizer.encode_exams(images, torch.arange(len(images), device=device)[None])


def placed_findings(
    findings: ExamPromptClassifier, case: dict[str, Any], exam: ExamEmbeddings, smoothing: Mapping[str, float]
) -> Iterator[PlacedFinding]:
    """Findings of a record that have a place on an image that was seen, and a prompt, each with its heat map."""
    record = case["record"]
    for number, finding in enumerate(record.get("findings", ())):
        index, label = finding["image_index"], finding["label"]
        if not has_place(finding) or label not in findings.labels or index not in case["image_indices"]:
            continue
        position = case["image_indices"].index(index)
        heat = native_heat(findings, case, exam, position, label, smoothing)
        yield PlacedFinding(number, position, finding_mask(finding, heat.shape), heat)


def native_heat(
    findings: ExamPromptClassifier,
    case: dict[str, Any],
    exam: ExamEmbeddings,
    index: int,
    label: str,
    smoothing: Mapping[str, float],
) -> np.ndarray:
    """Heat map of a finding on one image of an exam, [H, W] in the image's own pixels; `smoothing` as in `ExamCalibration`."""
    one = exam._replace(patches=exam.patches[:, [index]])
    heat = findings.heat_maps(one, label, smoothing.get(label))[0, 0].cpu().numpy()
    return case["views"][index].to_native(heat)


def calibrate_exams(findings: ExamPromptClassifier, loader: DataLoader, device: torch.device) -> ExamCalibration:
    """Learn an `ExamCalibration` from validation exams with findings.

    Raises:
        UserError: no finding is both present and absent, or none has a place on an image.
    """
    plain, usual = ExamCalibration(), findings.localizer.sigma
    rows, lesions = [], []
    for batch in tqdm(loader, desc="calibrating", unit="batch"):
        for case in batch["cases"]:
            exam = encode_case(findings, case, device)
            who = {"case_id": case["case_id"], "patient_id": case["record"]["patient_id"]}
            rows += label_rows(who, case["record"], findings.labels, findings.scores(exam)[0].tolist(), plain)
            for found in placed_findings(findings, case, exam, plain.smoothing):
                label = case["record"]["findings"][found.number]["label"]
                for sigma in sorted({*SIGMAS, usual}):
                    heat = native_heat(findings, case, exam, found.position, label, {label: sigma})
                    lesions.append(lesion_row(label, sigma, found._replace(heat=heat)))
    if not lesions:
        raise UserError(
            "calibration needs validation exams whose findings have a box or mask: --calibrate False takes the calibration made "
            "before, --calibrate False --calibration False does without any"
        )
    fitted, table = ExamCalibration.fit(pd.DataFrame(rows)), pd.DataFrame(lesions)
    smoothing = choose_smoothing(table, usual)
    chosen = table[table["sigma"] == table["label"].map(smoothing).fillna(usual)]
    cut = np.nanmean(np.stack(chosen["ious"].to_list()), axis=0).argmax()
    return replace(fitted, smoothing=smoothing, heat_cut=float(HEAT_CUTS[int(cut)]))
