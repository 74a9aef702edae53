"""One phantom case: film, report and ground truth, made from (seed, split, index) alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.phantoms.common.writing import write_png
from scripts.phantoms.cxr.anatomy import Body, Canvas
from scripts.phantoms.cxr.drawing import draw_chest
from scripts.phantoms.cxr.exposure import Technique, devices_layer, expose, match_histogram
from scripts.phantoms.cxr.findings import boxes_of, changed_body, paint
from scripts.phantoms.cxr.plan import LABELS, SPLITS, Plan, plan_film
from scripts.phantoms.cxr.reports import write_report
from scripts.phantoms.cxr.words import size_of


@dataclass(frozen=True)
class PhantomFinding:
    """A finding as drawn: plan, phrase, mask [H, W] bool, boxes [x, y, w, h] in pixels, tags."""

    plan: Plan
    text: str
    mask: np.ndarray
    boxes: list[list[int]]
    tags: list[str]


@dataclass(frozen=True)
class PhantomCase:
    """A film [H, W] uint8 with its report and ground truth; omitted holds labels that the report leaves out."""

    study_id: str
    patient_id: str
    film: np.ndarray
    report: str
    labels: dict[str, int]
    findings: list[PhantomFinding]
    omitted: frozenset[str]


def make_case(seed: int, split: str, index: int) -> PhantomCase:
    """Make one case. Films 2j and 2j + 1 of a split are now and then the same patient's."""
    number = SPLITS.index(split)
    pair = np.random.default_rng([seed, number, index // 2, 3])
    patient = index - index % 2 if pair.random() < 0.4 else index
    body = Body.draw(np.random.default_rng([seed, number, patient, 4]))
    rng = np.random.default_rng([seed, number, index, 5])
    plans = plan_film(seed, split, index)
    canvas = Canvas.draw(rng, body)
    technique = Technique.draw(rng)
    inner = [seed, number, index, 6]
    altered = changed_body(body, plans, rng)
    chest = draw_chest(altered, canvas, inner)
    reference = (chest if altered is body else draw_chest(body, canvas, inner)).attenuation()
    masks = [paint(chest, plan, rng) for plan in plans]
    image = match_histogram(chest.attenuation(), reference) + devices_layer(altered, canvas, technique, rng)
    film = expose(image, canvas, technique, rng)
    boxes = [boxes_of(mask, canvas, plan.side == "bilateral") for mask, plan in zip(masks, plans, strict=True)]
    shares = [sum(w * h for *_, w, h in some) / film.size for some in boxes]
    report = write_report(plans, technique, shares, rng)
    findings = [
        PhantomFinding(plan, text, mask, some, [size_of(share)] + ["unseen_pair"] * plan.unseen)
        for plan, text, mask, some, share in zip(plans, report.phrases, masks, boxes, shares, strict=True)
    ]
    present = {plan.label for plan in plans}
    return PhantomCase(
        study_id=f"film-{seed}-{number}{index:05d}",
        patient_id=f"patient-{seed}-{number}{patient:05d}",
        film=film,
        report=report.text,
        labels={label: int(label in present) for label in LABELS},
        findings=findings,
        omitted=report.omitted,
    )


def write_case(output: Path, seed: int, job: tuple[str, int]) -> dict:
    """Make the case of a job (split, index), write its film and masks as PNG, return its datalist record.

    Raises:
        OSError: a file cannot be written.
    """
    split, index = job
    case = make_case(seed, split, index)
    record = {
        "study_id": case.study_id,
        "patient_id": case.patient_id,
        "image": write_png(output, f"films/{case.study_id}.png", case.film),
        "report": case.report,
    }
    if split != "training":
        record |= {"labels": case.labels, "findings": _findings(output, case)}
    return record


def _findings(output: Path, case: PhantomCase) -> list[dict]:
    return [
        {
            "label": finding.plan.label,
            "text": finding.text,
            "boxes": finding.boxes,
            "mask": write_png(output, f"masks/{case.study_id}_{number}.png", finding.mask.astype(np.uint8) * 255),
            "tags": finding.tags,
        }
        for number, finding in enumerate(case.findings)
    ]
