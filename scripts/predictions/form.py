"""What a line of predictions.jsonl may hold, and everything that is wrong with one."""

import re
from collections.abc import Callable
from typing import Any

import nibabel as nib

from scripts.cases.forms import TASKS
from scripts.files.faults import MISSING
from scripts.files.form import (
    ErrorCollector,
    Form,
    check_box,
    check_image_index,
    check_index,
    check_inside,
    check_path,
    check_share,
    check_text,
    list_of,
    nullable,
    unknown,
)

ShapeOf = Callable[[ErrorCollector, str, Any], tuple[int, int] | None]
"""Height and width of the mask at a key, whatever it is stored as; notes what is wrong with it and then gives None."""


def _check_task(notes: ErrorCollector, key: str, value: Any) -> None:
    if not isinstance(value, str):
        notes.wrong_type(key, value, "text")
    elif value not in TASKS:
        notes.add("unknown task", key, value, *unknown(value, TASKS))


def _check_sha256(notes: ErrorCollector, key: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        reason = "is not 64 hexadecimal digits"
        notes.add("bad checksum", key, value, reason, "give scripts.files.atomic.sha256_of(checkpoint)")


def _check_model(notes: ErrorCollector, key: str, value: Any) -> None:
    if isinstance(value, dict):
        MODEL.check(notes, value, f"{key}.")
    else:
        notes.wrong_type(key, value, "an object that tells what predicted")


def _check_finding(notes: ErrorCollector, key: str, value: Any) -> None:
    if isinstance(value, dict):
        FINDING.check(notes, value, f"{key}.")
    else:
        notes.wrong_type(key, value, "an object")


def _check_key_slice(notes: ErrorCollector, key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        notes.add("bad key slice", key, value, "is no whole number from 0", "count slices along the volume's head-to-foot axis")


def _check_saliency(notes: ErrorCollector, key: str, value: Any) -> None:
    if isinstance(value, nib.Nifti1Image):
        if value.ndim != 3:
            notes.add("bad saliency", key, MISSING, f"has {value.ndim} dimensions", "give a volume in the image's own grid")
    else:
        check_path(notes, key, value)


def _leave(notes: ErrorCollector, key: str, value: Any) -> None:
    """Masks are looked at by `ShapeOf`."""


MODEL = Form(
    required={
        "bundle": check_text,
        "version": check_text,
        "checkpoint_sha256": _check_sha256,
        "mlflow_run_id": nullable(check_text),
    },
    optional={},
)
FINDING = Form(
    required={
        "label": check_text,
        "text": nullable(check_text),
        "anatomy": nullable(check_text),
        "probability": nullable(check_share),
        "confidence": nullable(check_share),
        "image_index": nullable(check_image_index),
        "box": nullable(check_box),
        "mask": _leave,
    },
    # Of volumes; image coordinates of boxes and masks are those of films.
    optional={"key_slice": nullable(_check_key_slice), "saliency": nullable(_check_saliency)},
)
RUN = Form(required={"task": _check_task, "model": _check_model}, optional={})
"""What is the same in every case of a run."""
CASE = Form(
    required={
        **RUN.required,
        "case_id": check_text,
        "images": list_of(check_path, "images", may_be_empty=False),
        "findings": list_of(_check_finding, "findings", may_be_empty=True),
    },
    optional={},
)


def check_case(notes: ErrorCollector, case: Any, shape_of: ShapeOf) -> None:
    """Note everything wrong with a case: its form, the images it points at, boxes against masks of the same image."""
    if not isinstance(case, dict):
        notes.wrong_type("", case, "an object")
        return
    CASE.check(notes, case)
    findings = case.get("findings")
    named = [(f"findings[{n}]", f) for n, f in enumerate(findings if isinstance(findings, list) else [])]
    named = [(key, finding) for key, finding in named if isinstance(finding, dict)]
    shapes: dict[str, tuple[int, int]] = {}
    for key, finding in named:
        image = str(finding.get("image_index"))
        check_index(notes, f"{key}.image_index", finding.get("image_index"), case.get("images"))
        _check_located(notes, key, finding)
        shape = None if finding.get("mask") is None else shape_of(notes, f"{key}.mask", finding["mask"])
        if shape and shapes.setdefault(image, shape) != shape:
            reason = f"has shape {shape}, another mask of the image {shapes[image]}"
            notes.add("mask of another shape", f"{key}.mask", MISSING, reason, "give all in the image's own pixels")
    for key, finding in named:
        check_inside(notes, f"{key}.box", finding.get("box"), shapes.get(str(finding.get("image_index"))))


def _check_located(notes: ErrorCollector, key: str, finding: dict) -> None:
    located = [name for name in ("box", "mask") if finding.get(name) is not None]
    if located and finding.get("image_index") is None:
        reason = f"is null although there is a {' and a '.join(located)}"
        notes.add("bad image index", f"{key}.image_index", None, reason, "tell which of the case's images it is, from 0")
