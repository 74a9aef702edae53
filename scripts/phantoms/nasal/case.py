"""One phantom exam: images, report and ground truth, made from (seed, split, index) alone."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from scripts.phantoms.common.writing import write_png
from scripts.phantoms.nasal.anatomy import Nose
from scripts.phantoms.nasal.camera import Camera, match_colours
from scripts.phantoms.nasal.canvas import Pose, Scene
from scripts.phantoms.nasal.cavity import DRAW_CAVITY
from scripts.phantoms.nasal.pharynx import DRAW_PHARYNX
from scripts.phantoms.nasal.plan import ADENOID_OBSTRUCTION, CO_FINDINGS, IRRADIATED, OBLITERATED, SPLITS, ExamPlan, Plan, plan_exam
from scripts.phantoms.nasal.reports import write_report

_DRAW = DRAW_CAVITY | DRAW_PHARYNX
_MIN_SHARE = 0.004  # of the frame: what shows less of a finding does not show it


@dataclass(frozen=True)
class PhantomFinding:
    """A finding in one image: plan, sentence of the report (None if left out), mask [H, W] bool, box [x, y, w, h] in pixels."""

    plan: Plan
    image_index: int
    text: str | None
    mask: np.ndarray
    box: list[int]


@dataclass(frozen=True)
class PhantomExam:
    """Images [H, W, 3] uint8 RGB of an exam with its plan, report and ground truth."""

    exam_id: str
    patient_id: str
    plan: ExamPlan
    images: list[np.ndarray]
    report: str
    findings: list[PhantomFinding]


def make_case(seed: int, split: str, index: int) -> PhantomExam:
    """Make one exam. Exams 2j and 2j + 1 of a split are now and then the same patient's."""
    number = SPLITS.index(split)
    plan = plan_exam(seed, split, index)
    irradiated = any(finding.label == IRRADIATED for finding in plan.findings)
    nose = Nose.draw(np.random.default_rng([seed, number, plan.patient, 4]), irradiated)
    rng = np.random.default_rng([seed, number, index, 5])
    camera = Camera.draw(rng, plan.site)
    report = write_report(plan, rng)
    texts = {(f.label, f.region, f.side): text for f, text in zip(plan.findings, report.sentences, strict=True)}
    images, findings = [], []
    for position in range(len(plan.views)):
        frame, masks = _image(plan, position, nose, camera, [seed, number, index])
        images.append(frame)
        for finding in plan.seen_in(plan.views[position]):
            mask = masks.get(finding.label)
            if mask is not None and mask.mean() >= _MIN_SHARE:
                text = texts[finding.label, finding.region, finding.side]
                box = list(cv2.boundingRect(mask.astype(np.uint8)))
                findings.append(PhantomFinding(finding, position, text, mask, box))
    return PhantomExam(
        exam_id=f"exam-{seed}-{number}{index:05d}",
        patient_id=f"patient-{seed}-{number}{plan.patient:05d}",
        plan=plan,
        images=images,
        report=report.text,
        findings=findings,
    )


def _image(plan: ExamPlan, index: int, nose: Nose, camera: Camera, seed: list[int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Frame and masks by label of one view, its colours those of the same view without what makes the class (`_usual`)."""
    found = plan.seen_in(plan.views[index])
    view = camera.field_of_view() > 0.5
    picture, marks = _picture(plan, index, found, nose, camera, seed)
    usual = _usual(found, plan.views[index].region)
    if usual != found:
        picture = match_colours(picture, _picture(plan, index, usual, nose, camera, seed)[0], view)
    frame = camera.record(picture, np.random.default_rng([*seed, 8, index]))
    return frame, {label: camera.framed(mask & view) for label, mask in marks.items()}


def _usual(found: tuple[Plan, ...], region: str) -> tuple[Plan, ...]:
    """Findings of a view without what makes the class.

    What fills an opening that is large and dark stays, in the colour of the mucosa: a blunted fossa seen from near, adenoids in
    the choana. The dark pixels would have no other place.
    """
    near = region in ("torus tubarius", "fossa of rosenmueller")
    blunted = (replace(finding, form="blunted") for finding in found if near and finding.label == OBLITERATED)
    return (*blunted, *(finding for finding in found if finding.label in CO_FINDINGS or finding.label == ADENOID_OBSTRUCTION))


def _picture(
    plan: ExamPlan, index: int, found: tuple[Plan, ...], nose: Nose, camera: Camera, seed: list[int]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One view with these findings, not yet framed; a repeated view is drawn from the same numbers, from a pose nearby."""
    view = plan.views[index]
    first = index if view.repeats is None else view.repeats
    rng, own = np.random.default_rng([*seed, 6, first]), np.random.default_rng([*seed, 7, index])
    pose = Pose.draw(rng)
    canvas = camera.canvas(pose if view.repeats is None else pose.moved(own), view.side == "left")
    scene = Scene.empty(canvas, rng, nose.lumen)
    _DRAW[view.region](scene, nose, {finding.label: finding for finding in found})
    return camera.expose(scene, nose.vessels, nose.dryness, view.blurred, own), scene.marks


def write_case(output: Path, seed: int, job: tuple[str, int]) -> dict:
    """Make the exam of a job (split, index), write its images and masks as PNG, return its datalist record.

    Raises:
        OSError: a file cannot be written.
    """
    split, index = job
    case = make_case(seed, split, index)
    names = [f"images/{case.exam_id}_{position}.png" for position in range(len(case.images))]
    record = {
        "exam_id": case.exam_id,
        "patient_id": case.patient_id,
        "images": [write_png(output, n, cv2.cvtColor(i, cv2.COLOR_RGB2BGR)) for n, i in zip(names, case.images, strict=True)],
        "report": case.report,
        "site": case.plan.site,
        "label": case.plan.label,
    }
    if split != "training":
        record |= {"findings": _findings(output, case), "regions": [view.region for view in case.plan.views]}
    return record


def _findings(output: Path, case: PhantomExam) -> list[dict]:
    entries = []
    for number, finding in enumerate(case.findings):
        entry = {"image_index": finding.image_index, "label": finding.plan.label}
        if finding.text is not None:
            entry["text"] = finding.text
        name = f"masks/{case.exam_id}_{number}.png"
        entries.append(entry | {"box": finding.box, "mask": write_png(output, name, finding.mask.astype(np.uint8) * 255)})
    return entries
