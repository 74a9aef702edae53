"""Reviews read back from reviews.jsonl, one expert's look at one case each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from integrations.label_studio.answers.judgements import ACCEPTED, ADDED, EDITED, REJECTED
from integrations.label_studio.cases import LEAST_CONFIDENT, RANDOM
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages.configurations import DIAGNOSIS
from scripts.datalists.form import TASKS
from scripts.files.faults import MISSING, Fault, describe_faults
from scripts.files.form import (
    Check,
    ErrorCollector,
    Form,
    check_box,
    check_image_index,
    check_share,
    check_text,
    is_number,
    nullable,
    unknown,
)
from scripts.files.read_error import ReadError
from scripts.predictions.masks import read_mask
from scripts.readers.nifti_faults import NIFTI_ENDINGS

REVIEWS = "reviews.jsonl"

Place = dict[str, Any]
"""`box` [x, y, width, height] and `mask`, a file below the folder of the reviews; either may be None."""


@dataclass(frozen=True)
class Review:
    """One expert's look at one case.

    Args:
        task: "cxr", "nasal" or "ct".
        time: when it was submitted; later ones are greater.
        seconds: that the page was open; None where it is not known.
        model_version: of the prediction that the expert began from; None for an empty page.
        drawn: how the case came to its place in the order of review.
        lines: of reviews.jsonl, one a finding.
        folder: that the paths of masks are relative to.
    """

    case_id: str
    patient_id: str
    task: str
    reviewer: str
    time: str
    seconds: float | None
    model_version: str | None
    drawn: str
    lines: tuple[dict[str, Any], ...]
    folder: Path

    def answers(self, side: str) -> dict[str, str]:
        """What is said of the case as a whole, by question: a label, or the diagnosis.

        Args:
            side: "before" for the model, "after" for the expert.
        """
        said = [(line, line[side]["choice"]) for line in self.lines if line[side] and line[side]["choice"]]
        return {DIAGNOSIS if self.task == "nasal" else line["label"]: choice for line, choice in said}

    def places(self, side: str) -> dict[tuple[str, int | None], list[Place]]:
        """What is marked, by label and image."""
        found: dict[tuple[str, int | None], list[Place]] = {}
        for line in self.lines:
            place = line[side]
            if place and (place["box"] or place["mask"]):
                label = place["label"] if side == "before" else line["label"]
                found.setdefault((label, line["image_index"]), []).append(place)
        return found

    def mask_of(self, places: Sequence[Place]) -> np.ndarray:
        """Everything that places with masks, at least one, mark together, bool [H, W] or [X, Y, Z].

        Raises:
            ReadError: a mask that cannot be read, or of another shape than the first.
        """
        masks = [_read(self.folder / place["mask"]) for place in places]
        for place, mask in zip(places, masks, strict=True):
            if mask.shape != masks[0].shape:
                reason = f"has shape {mask.shape}, another mask of the image {masks[0].shape}; pull again"
                raise ReadError(self.folder / place["mask"], reason)
        return np.logical_or.reduce(masks)


def read_reviews(path: Path) -> list[Review]:
    """Read what a pull wrote.

    Args:
        path: reviews.jsonl.

    Raises:
        LabelStudioError: no such file, no line in it, or lines that are not as `pull` writes them; all are listed.
    """
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelStudioError(f"{path}: cannot be read ({error}); give the {REVIEWS} that `pull` wrote") from error
    lines, faults = [], []
    for number, text in enumerate(texts, start=1):
        line, wrong = _line(path, number, text)
        lines.append(line)
        faults += wrong
    if faults:
        raise LabelStudioError(f"{describe_faults(faults)}\nLines of older versions of `pull` have fewer keys: pull again.")
    if not lines:
        raise LabelStudioError(f"{path}: holds no review; submit some tasks and pull again")
    grouped: dict[tuple, list[dict[str, Any]]] = {}
    for line in lines:
        grouped.setdefault((line["case_id"], line["reviewer"], line["time"], line["model_version"]), []).append(line)
    return [_review(same, path.parent) for same in grouped.values()]


def latest(reviews: Sequence[Review], *, of_each_model: bool) -> list[Review]:
    """The last review of each case by each expert, where one has reviewed a case again.

    Args:
        of_each_model: the last for each model version instead of the last of all.
    """
    last: dict[tuple, Review] = {}
    for review in sorted(reviews, key=lambda review: review.time):
        last[(review.case_id, review.reviewer, review.model_version if of_each_model else None)] = review
    return list(last.values())


def _review(lines: Sequence[dict[str, Any]], folder: Path) -> Review:
    first = lines[0]
    about = ("case_id", "patient_id", "task", "reviewer", "time", "seconds", "model_version", "drawn")
    return Review(**{key: first[key] for key in about}, lines=tuple(lines), folder=folder)


def _read(path: Path) -> np.ndarray:
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        return read_mask(path)
    try:
        return np.asarray(nib.load(path).dataobj) != 0
    except (OSError, ValueError, EOFError, nib.filebasedimages.ImageFileError) as error:
        raise ReadError(path, f"is no readable NIfTI ({error}); pull again") from error


def _line(path: Path, number: int, text: str) -> tuple[dict[str, Any], list[Fault]]:
    notes = ErrorCollector(str(path), record=f"line {number}")
    try:
        line = json.loads(text)
    except ValueError as error:
        notes.add("no JSON", "", MISSING, f"is no JSON ({error})", "see whether the file was cut off")
        return {}, notes.faults
    if not isinstance(line, dict):
        notes.wrong_type("", line, "an object")
        return {}, notes.faults
    LINE.check(notes, line)
    for side in ("before", "after"):
        mask = line[side].get("mask") if isinstance(line.get(side), dict) else None
        if isinstance(mask, str) and not (path.parent / mask).is_file():
            notes.add("missing file", f"{side}.mask", mask, "does not exist", "masks stand beside the reviews; move both together")
    return line, notes.faults


def _one_of(*words: str) -> Check:
    def check(notes: ErrorCollector, key: str, value: Any) -> None:
        if value not in words:
            notes.add("unknown word", key, value, *unknown(str(value), words))

    return check


def _check_seconds(notes: ErrorCollector, key: str, value: Any) -> None:
    if not is_number(value) or value < 0:
        notes.add("bad time", key, value, "is not a finite number of seconds from 0", "give seconds, or null")


def _form(form: Form) -> Check:
    def check(notes: ErrorCollector, key: str, value: Any) -> None:
        if isinstance(value, dict):
            form.check(notes, value, f"{key}.")
        else:
            notes.wrong_type(key, value, "an object")

    return check


AFTER = Form(required={"box": nullable(check_box), "mask": nullable(check_text), "choice": nullable(check_text)}, optional={})
BEFORE = Form(required={"label": check_text, "probability": nullable(check_share), **AFTER.required}, optional={})
LINE = Form(
    required={
        "case_id": check_text,
        "patient_id": check_text,
        "task": _one_of(*TASKS),
        "reviewer": check_text,
        "time": check_text,
        "seconds": nullable(_check_seconds),
        "model_version": nullable(check_text),
        "label": check_text,
        "action": _one_of(ACCEPTED, EDITED, REJECTED, ADDED),
        "before": nullable(_form(BEFORE)),
        "after": nullable(_form(AFTER)),
        "image_index": nullable(check_image_index),
        "drawn": _one_of(LEAST_CONFIDENT, RANDOM),
    },
    optional={},
)
