"""What a line of predictions.jsonl may hold, and everything that is wrong with one."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import nibabel as nib
from pydantic import BeforeValidator

from scripts.cases.domain import known_domains, read_domain
from scripts.cases.values import Box, FilePath, ImageIndex, Share, Text, check_index, check_inside, is_whole, not_empty
from scripts.files.errors import UserError
from scripts.files.faults import MISSING
from scripts.files.validation import ErrorCollector, StrictModel, fault, unknown, wrong_type

ShapeOf = Callable[[ErrorCollector, str, Any], tuple[int, int] | None]
"""Height and width of the mask at a key, whatever it is stored as; notes what is wrong with it and then gives None."""


def _domain(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "text")
    try:
        read_domain(value)
    except UserError as error:
        # A folder of one's own that is faulty says what is wrong with it.
        said = (str(error), "mend it") if Path(value).is_dir() else unknown(value, known_domains())
        raise fault("unknown domain", *said) from None
    return value


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        hint = "give scripts.files.atomic.sha256_of(checkpoint)"
        raise fault("bad checksum", "is not 64 hexadecimal digits", hint)
    return value


def _key_slice(value: Any) -> int:
    if not is_whole(value) or value < 0:
        raise fault("bad key slice", "is no whole number from 0", "count slices along the volume's head-to-foot axis")
    return value


def _saliency(value: Any) -> Any:
    if isinstance(value, nib.Nifti1Image) and value.ndim != 3:
        raise fault("bad saliency", f"has {value.ndim} dimensions", "give a volume in the image's own grid")
    return value


class ModelLine(StrictModel):
    """What predicted."""

    bundle: Text
    version: Text
    checkpoint_sha256: Annotated[str, BeforeValidator(_sha256)]
    mlflow_run_id: Text | None


class FindingLine(StrictModel):
    """A finding as it is written: `scripts.cases.Finding` with all its keys; those with a default are left out where unknown."""

    label: Text
    text: Text | None
    anatomy: Text | None
    probability: Share | None
    confidence: Share | None
    image_index: ImageIndex | None
    box: Box | None
    mask: Any
    """Looked at by `ShapeOf`."""
    key_slice: Annotated[int, BeforeValidator(_key_slice)] | None = None
    saliency: Annotated[FilePath | nib.Nifti1Image, BeforeValidator(_saliency)] | None = None
    reason: Text | None = None


class RunLine(StrictModel):
    """What is the same in every case of a run."""

    domain: Annotated[str, BeforeValidator(_domain)]
    model: ModelLine


class CaseLine(RunLine):
    """One case."""

    case_id: Text
    images: Annotated[list[FilePath], not_empty("images")]
    findings: list[FindingLine]


def check_case(notes: ErrorCollector, case: Any, shape_of: ShapeOf) -> None:
    """Note everything wrong with a case: its form, the images it points at, boxes against masks of the same image."""
    if not isinstance(case, dict):
        notes.wrong_type("", case, "an object")
        return
    if "task" in case and "domain" not in case:
        hint = "run the inference again, or rename the key"
        notes.add("unknown key", "task", case["task"], 'is called "domain" now', hint)
        return
    notes.check(CaseLine, case)
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
