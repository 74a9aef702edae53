"""Reviews as reviews.jsonl holds them: a line a finding of one expert's look at one case, whatever tool it was made with.

A line, broken here for reading:

    {"case_id": "s2", "patient_id": "p1", "domain": "cxr", "reviewer": "expert@hospital", "time": "2026-01-31T10:20:30.123456Z",
     "seconds": 41.2, "model_version": "cxr_localization 0.1.0 (9f86d081)", "label": "Pneumonia", "action": "edited",
     "before": {"label": "Pneumonia", "probability": 0.82, "box": [1310, 1205, 402, 377], "mask": "masks/1-3-0.png",
                "choice": null},
     "after": {"box": [1290, 1205, 430, 390], "mask": "masks/1-3-1.png", "choice": null},
     "image_index": 0, "drawn": "confidence"}

`before` is what the model said, null for what the expert has added; `after` is null for what the expert has rejected. `label` is
the expert's; the model's differs where the expert has given a region another. `choice` is what is said of the case as a whole;
`seconds` is the time that the page was open for the review, `drawn` how the case came to its place in the order of review. Boxes
are [x, y, width, height] in pixels of the stored image, masks PNG files of its size, of volumes NIfTI files on the volume's own
grid.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import nibabel as nib
import numpy as np
from pydantic import BeforeValidator, ValidationInfo

from scripts.cases.domain import DomainError, known_domains, read_domain
from scripts.cases.values import Box, ImageIndex, Share, Text, is_number
from scripts.files.errors import UserError
from scripts.files.faults import MISSING, describe_faults
from scripts.files.read_error import ReadError
from scripts.files.validation import ErrorCollector, StrictModel, fault, unknown
from scripts.predictions.masks import read_mask
from scripts.readers.nifti_faults import NIFTI_ENDINGS

REVIEWS = "reviews.jsonl"
ACCEPTED, EDITED, REJECTED, ADDED = "accepted", "edited", "rejected", "added"
"""What an expert does to a model's finding."""
PRESENT, ABSENT, UNCERTAIN = "present", "absent", "uncertain"
"""What is answered of a finding of the case as a whole."""
RANDOM, LEAST_CONFIDENT = "random", "confidence"
"""How a case came to its place in the order of review."""
DIAGNOSIS = "diagnosis"
"""The question for the class of a case."""


class ReviewError(UserError):
    """Reviews cannot be read or compared; says what to do."""


@dataclass(frozen=True)
class Questions:
    """What an expert is asked about a case as a whole.

    Args:
        one_class: one question, whose answer is the case's class; otherwise each finding is a question.
        unticked: what it means that a finding has no line; None where it means nothing.
    """

    one_class: bool = False
    unticked: str | None = None


QUESTIONS = {"image": Questions(unticked=ABSENT), "exam": Questions(one_class=True), "volume": Questions()}
"""By kind of case: findings of an image are ticked where they are there, those of a volume answered one by one."""


def _one_of(*words: str) -> BeforeValidator:
    def check(value: Any) -> str:
        if value not in words:
            raise fault("unknown word", *unknown(str(value), words))
        return value

    return BeforeValidator(check)


def _seconds(value: Any) -> float:
    if not is_number(value) or value < 0:
        raise fault("bad time", "is not a finite number of seconds from 0", "give seconds, or null")
    return value


def _domain(value: Any, info: ValidationInfo) -> str:
    """A name, or a folder relative to the reviews' (`context`), which becomes absolute."""
    folder = info.context
    if isinstance(value, str) and value not in known_domains() and folder is not None:
        value = os.path.normpath(os.path.join(os.path.abspath(folder), value))
    try:
        return read_domain(str(value)).reference
    except DomainError as error:
        raise fault("unknown domain", f"is not known ({error})", "put the domain's folder where it was, or pull again") from error


class Left(StrictModel):
    """What an expert has left of a finding; `box` and `mask`, a file below the folder of the reviews, may both be null."""

    box: Box | None
    mask: Text | None
    choice: Text | None


class Said(Left):
    """What a model said of a finding."""

    label: Text
    probability: Share | None


class ReviewLine(StrictModel):
    """One finding of one expert's look at one case."""

    case_id: Text
    patient_id: Text
    domain: Annotated[str, BeforeValidator(_domain)]
    reviewer: Text
    time: Text
    seconds: Annotated[float, BeforeValidator(_seconds)] | None
    model_version: Text | None
    label: Text
    action: Annotated[Literal["accepted", "edited", "rejected", "added"], _one_of(ACCEPTED, EDITED, REJECTED, ADDED)]
    before: Said | None
    after: Left | None
    image_index: ImageIndex | None
    drawn: Annotated[Literal["confidence", "random"], _one_of(LEAST_CONFIDENT, RANDOM)]


@dataclass(frozen=True)
class Review:
    """One expert's look at one case.

    Args:
        domain: name or folder.
        time: when it was submitted; later ones are greater.
        seconds: that the page was open; None where it is not known.
        model_version: of the prediction that the expert began from; None for an empty page.
        drawn: how the case came to its place in the order of review.
        lines: of reviews.jsonl, one a finding.
        folder: that the paths of masks are relative to.
    """

    case_id: str
    patient_id: str
    domain: str
    reviewer: str
    time: str
    seconds: float | None
    model_version: str | None
    drawn: str
    lines: tuple[ReviewLine, ...]
    folder: Path

    @property
    def questions(self) -> Questions:
        """What was asked of the case as a whole."""
        return QUESTIONS[read_domain(self.domain).kind]

    def answers(self, side: str) -> dict[str, str]:
        """What is said of the case as a whole, by question: a label, or the diagnosis.

        Args:
            side: "before" for the model, "after" for the expert.
        """
        said = [(line, getattr(line, side)) for line in self.lines]
        given = [(line, place.choice) for line, place in said if place and place.choice]
        return {DIAGNOSIS if self.questions.one_class else line.label: choice for line, choice in given}

    def places(self, side: str) -> dict[tuple[str, int | None], list[Left]]:
        """What is marked, by label and image."""
        found: dict[tuple[str, int | None], list[Left]] = {}
        for line in self.lines:
            place: Left | None = getattr(line, side)
            if place and (place.box or place.mask):
                label = place.label if isinstance(place, Said) else line.label
                found.setdefault((label, line.image_index), []).append(place)
        return found

    def mask_of(self, places: Sequence[Left]) -> np.ndarray:
        """Everything that places with masks, at least one, mark together, bool [H, W] or [X, Y, Z].

        Raises:
            ReadError: a mask that cannot be read, or of another shape than the first.
        """
        masks = [_read(self.folder / str(place.mask)) for place in places]
        for place, mask in zip(places, masks, strict=True):
            if mask.shape != masks[0].shape:
                reason = f"has shape {mask.shape}, another mask of the image {masks[0].shape}; pull again"
                raise ReadError(self.folder / str(place.mask), reason)
        return np.logical_or.reduce(masks)


def read_reviews(path: Path) -> list[Review]:
    """Read what a pull wrote.

    Args:
        path: reviews.jsonl.

    Raises:
        ReviewError: no such file, no line in it, or lines that are not as `pull` writes them; all are listed.
    """
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReviewError(f"{path}: cannot be read ({error}); give the {REVIEWS} that `pull` wrote") from error
    lines, faults = [], []
    for number, text in enumerate(texts, start=1):
        notes = ErrorCollector(str(path), record=f"line {number}")
        lines.append(_line(notes, path.parent, text))
        faults += notes.faults
    if faults:
        raise ReviewError(f"{describe_faults(faults)}\nLines of older versions of `pull` have other keys: pull again.")
    if not lines:
        raise ReviewError(f"{path}: holds no review; submit some tasks and pull again")
    grouped: dict[tuple, list[ReviewLine]] = {}
    for line in lines:
        grouped.setdefault((line.case_id, line.reviewer, line.time, line.model_version), []).append(line)
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


def _review(lines: Sequence[ReviewLine], folder: Path) -> Review:
    first = lines[0]
    about = ("case_id", "patient_id", "domain", "reviewer", "time", "seconds", "model_version", "drawn")
    return Review(**{key: getattr(first, key) for key in about}, lines=tuple(lines), folder=folder)


def _read(path: Path) -> np.ndarray:
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        return read_mask(path)
    try:
        return np.asarray(nib.load(path).dataobj) != 0
    except (OSError, ValueError, EOFError, nib.filebasedimages.ImageFileError) as error:
        raise ReadError(path, f"is no readable NIfTI ({error}); pull again") from error


def _line(notes: ErrorCollector, folder: Path, text: str) -> ReviewLine | None:
    """A line of reviews.jsonl; None where something is wrong with it, which is noted."""
    try:
        content = json.loads(text)
    except ValueError as error:
        notes.add("no JSON", "", MISSING, f"is no JSON ({error})", "see whether the file was cut off")
        return None
    if not isinstance(content, dict):
        notes.wrong_type("", content, "an object")
        return None
    if "task" in content and "domain" not in content:
        notes.add("old word", "task", content["task"], 'is called "domain" now', "pull again, or rename it")
        content = {key: value for key, value in content.items() if key != "task"} | {"domain": content["task"]}
    line = notes.check(ReviewLine, content, context=folder)
    for side in ("before", "after"):
        mask = content[side].get("mask") if isinstance(content.get(side), dict) else None
        if isinstance(mask, str) and not (folder / mask).is_file():
            notes.add("missing file", f"{side}.mask", mask, "does not exist", "masks stand beside the reviews; move both together")
    return line
