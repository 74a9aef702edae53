"""Reviews of volumes: what an expert says of each finding, and where, back in the volume's own grid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from integrations.label_studio.answers.judgements import ABSENT, ACCEPTED, ADDED, EDITED, PRESENT, REJECTED, chosen
from integrations.label_studio.answers.results import is_region, label_of, mask_of
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages.volume import UNCERTAIN, Pictures, control_of
from scripts.files.atomic import atomic_path


@dataclass(frozen=True, eq=False)
class VolumeJudgement:
    """What became of one finding of a volume.

    Args:
        label: its name.
        action: accepted, edited, rejected or added.
        probability: the model's; None where it gave none.
        before: where the model saw it, bool [X, Y, Z] in the volume's grid; None where it showed no place.
        after: where the expert sees it.
        choice: present, absent or uncertain; None where the expert has taken the answer back.
        said: as `choice`, of the model; None where it showed no answer.
    """

    label: str
    action: str
    probability: float | None
    before: np.ndarray | None
    after: np.ndarray | None
    choice: str | None
    said: str | None


def labels_said(items: Sequence[dict[str, Any]], labels: Sequence[str]) -> dict[str, int]:
    """What a review says of each label, 1 present or 0 absent; uncertain and unanswered ones are left out.

    A label that is marked somewhere and has no answer is present.

    Args:
        items: the annotation's.
        labels: all labels of the project.
    """
    answers = {label: _answer(items, label) for label in labels}
    marked = {label_of(item) for item in items if is_region(item)}
    return {
        label: int(answer != ABSENT)
        for label, answer in answers.items()
        if answer in (PRESENT, ABSENT) or (answer is None and label in marked)
    }


def masks_drawn(items: Sequence[dict[str, Any]], pictures: Pictures) -> Iterator[tuple[str, np.ndarray]]:
    """Each label marked, with its mask, bool [X, Y, Z] in the volume's own grid. What is said to be absent has none.

    Raises:
        LabelStudioError: a region that cannot be read, or on a picture that the volume does not have.
    """
    for label in dict.fromkeys(label_of(item) for item in items if is_region(item)):
        if label is not None and _answer(items, label) != ABSENT:
            mask = _mask_of_label(items, label, pictures)
            if mask is not None:
                yield label, mask


def judgements(
    result: Sequence[dict[str, Any]],
    predicted: Sequence[dict[str, Any]] | None,
    findings: Sequence[dict[str, Any]],
    pictures: Pictures,
    labels: Sequence[str],
) -> Iterator[VolumeJudgement]:
    """Compare a review with the prediction that it began from, finding by finding.

    Args:
        result: the annotation's items.
        predicted: the prediction's items; None where the expert began with an empty page, so that everything is added.
        findings: the prediction's findings; of several of one label the most probable counts.
        pictures: what the task shows.
        labels: all labels of the project.

    Raises:
        LabelStudioError: as `masks_drawn`.
    """
    probabilities: dict[str, float] = {}
    for finding in findings:
        if finding["probability"] is not None:
            probabilities[finding["label"]] = max(finding["probability"], probabilities.get(finding["label"], 0.0))
    for label in dict.fromkeys((*labels, *(label_of(item) for item in result if is_region(item)))):
        if label is None:
            continue
        was, choice = _answer(predicted or (), label), _answer(result, label)
        before = _mask_of_label(predicted or (), label, pictures)
        after = None if choice == ABSENT else _mask_of_label(result, label, pictures)
        if was is None and before is None and choice is None and after is None:
            continue
        action = _action((was, before), (choice, after))
        yield VolumeJudgement(label, action, probabilities.get(label), before, after, choice, was)


def write_volume_mask(path: Path, mask: np.ndarray, pictures: Pictures) -> None:
    """Write a mask, bool [X, Y, Z], as NIfTI of 0 and 1 on the volume's own grid."""
    with atomic_path(path) as temporary:
        nib.save(nib.Nifti1Image(mask.astype(np.uint8), pictures.series.affine), temporary)


def record_of(kept: Mapping[str, Any], labels: Mapping[str, int]) -> dict[str, Any]:
    """Record of a ct datalist.

    Args:
        kept: what the working folder keeps of the case; `volume` is what `render_case` gave, `report` and `reports` may be absent.
        labels: as `labels_said` gives them.
    """
    record = {"volume_id": kept["case_id"], "patient_id": kept["patient_id"], "image": kept["images"][0]}
    optional = {"anatomy_mask": kept["volume"]["anatomy_mask"], "report": kept.get("report"), "reports": kept.get("reports")}
    return record | {key: value for key, value in optional.items() if value} | {"labels": dict(labels)}


def _answer(items: Sequence[dict[str, Any]], label: str) -> str | None:
    return next(iter(chosen(items, control_of(label))), None)


def _mask_of_label(items: Sequence[dict[str, Any]], label: str, pictures: Pictures) -> np.ndarray | None:
    """Everything marked as a label, on whichever pictures, in the volume's grid; None where nothing is."""
    series = pictures.series
    stack: np.ndarray | None = None
    for item in items:
        if not is_region(item) or label_of(item) != label:
            continue
        number = item.get("item_index") or 0
        if not 0 <= number < len(pictures.shown):
            raise LabelStudioError(f"region {item.get('id')}: is on image {number + 1} of {len(pictures.shown)}; draw it again")
        mask = mask_of(item)
        if mask.shape != (series.height, series.width):
            raise LabelStudioError(f"region {item.get('id')}: was drawn on a picture of another size; draw it again")
        stack = np.zeros((len(series.slices), series.height, series.width), bool) if stack is None else stack
        stack[series.slices.index(pictures.shown[number][1])] |= mask
    return None if stack is None or not stack.any() else series.to_volume(stack)


def _action(before: tuple[str | None, np.ndarray | None], after: tuple[str | None, np.ndarray | None]) -> str:
    """What became of an answer and its place."""
    (was, seen), (choice, marked) = before, after
    was_there, is_there = was == PRESENT or seen is not None, choice == PRESENT or marked is not None
    if was is None and seen is None:
        return ADDED
    same_place = marked is None if seen is None else marked is not None and np.array_equal(seen, marked)
    if was == choice and same_place:
        return ACCEPTED
    if is_there and not was_there:
        return ADDED
    if was_there and not is_there and choice != UNCERTAIN:
        return REJECTED
    return EDITED
