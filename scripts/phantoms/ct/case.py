"""One phantom CT case: volume, masks, report and ground truth, made from (seed, split, index) alone."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from scripts.phantoms.ct.acquisition import Acquisition, expose
from scripts.phantoms.ct.body import Body, changed_body
from scripts.phantoms.ct.drawing import Contrast, draw_body
from scripts.phantoms.ct.findings import paint_findings
from scripts.phantoms.ct.lung_findings import Scene
from scripts.phantoms.ct.plan import SPLITS, Plan, labels_of, plan_volume
from scripts.phantoms.ct.reports import write_report

_SAME_PATIENT = 0.4
_ENHANCED_BLOOD = 80.0


@dataclass(frozen=True)
class PhantomFinding:
    """A finding as drawn: plan, sentence that states it, mask [X, Y, Z] bool, whether the report leaves it out."""

    plan: Plan
    text: str
    mask: np.ndarray
    omitted: bool


@dataclass(frozen=True)
class PhantomVolume:
    """A volume with its report and ground truth.

    Attributes:
        hu: [X, Y, Z] int16, axes to the right, front and head; `acquisition.stored` turns arrays into the stored order.
        mask: [X, Y, Z] uint8, classes of TotalSegmentator v2.
        labels: 0 or 1 of each finding whose anatomy is in the field of view.
    """

    volume_id: str
    patient_id: str
    hu: np.ndarray
    mask: np.ndarray
    acquisition: Acquisition
    body: Body
    report: str
    labels: dict[str, int]
    findings: list[PhantomFinding]


def make_case(seed: int, split: str, index: int) -> PhantomVolume:
    """Make one case. Volumes 2j and 2j + 1 of a split are now and then the same patient's."""
    number = SPLITS.index(split)
    pair = np.random.default_rng([seed, number, index // 2, 3])
    patient = index - index % 2 if pair.random() < _SAME_PATIENT else index
    body = Body.draw(np.random.default_rng([seed, number, patient, 4]))
    rng = np.random.default_rng([seed, number, index, 5])
    plan = plan_volume(seed, split, index)
    acquisition = Acquisition.draw(rng, body, plan.field)
    contrast = Contrast.draw(rng)
    body = changed_body(body, plan.findings, rng)
    canvas = acquisition.canvas(rng, body)
    draw_body(canvas, body, contrast, rng)
    masks = paint_findings(Scene(canvas, body, contrast), plan.findings, rng)
    report = write_report(plan, contrast.blood > _ENHANCED_BLOOD, rng)
    return PhantomVolume(
        volume_id=f"volume-{seed}-{number}{index:05d}",
        patient_id=f"patient-{seed}-{number}{patient:05d}",
        hu=expose(canvas, rng),
        mask=canvas.mask,
        acquisition=acquisition,
        body=body,
        report=report.text,
        labels=labels_of(plan),
        findings=[
            PhantomFinding(finding, text, mask, finding.label in report.omitted)
            for finding, text, mask in zip(plan.findings, report.sentences, masks, strict=True)
        ],
    )


def write_case(output: Path, seed: int, job: tuple[str, int]) -> tuple[dict, dict | None]:
    """Make the case of a job (split, index) and write its volumes.

    Returns:
        Its datalist record, and its entry in lesions.json (None in training).

    Raises:
        OSError: a file cannot be written.
    """
    split, index = job
    case = make_case(seed, split, index)
    record = {
        "volume_id": case.volume_id,
        "patient_id": case.patient_id,
        "image": _write(output, "volumes", case, case.hu),
        "anatomy_mask": _write(output, "masks", case, case.mask),
        "report": case.report,
    }
    if split == "training":
        return record, None
    values = np.zeros(case.mask.shape, np.uint8)
    for value, finding in enumerate(case.findings, 1):
        values[finding.mask] = value
    lesions = {
        "mask": _write(output, "lesions", case, values),
        "findings": [
            {
                "value": value,
                "label": finding.plan.label,
                "anatomy": finding.plan.anatomy,
                "side": finding.plan.side,
                "part": finding.plan.part,
                "text": finding.text,
                "omitted": finding.omitted,
                "tags": ["unseen_pair"] * finding.plan.unseen,
            }
            for value, finding in enumerate(case.findings, 1)
        ],
    }
    return record | {"labels": case.labels}, lesions


def _write(output: Path, folder: str, case: PhantomVolume, array: np.ndarray) -> str:
    """Write an array as NIfTI in the stored order of axes; give back its name relative to the output."""
    name = f"{folder}/{case.volume_id}.nii.gz"
    nib.save(case.acquisition.stored(array), output / name)
    return name
