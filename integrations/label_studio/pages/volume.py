"""The page of a volume: an answer for each finding, and where it is, on slices in three windows."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import SubElement

import numpy as np

from integrations.dicom.display import WINDOWS
from integrations.label_studio.answers.answer import Answer, Judgement, Labels, chosen
from integrations.label_studio.answers.results import IMAGE, choices_item, is_region, label_of
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages.drawing import LIKELY
from integrations.label_studio.pages.page import Drawn, SaveMask
from integrations.label_studio.pages.parts import BOX, BRUSH, SEES_ALL, add_report, add_tools, as_text, two_columns
from integrations.label_studio.pages.pictures import url_of
from integrations.label_studio.pages.slices import (
    Pictures,
    draw_saliency,
    mask_of_label,
    render_case,
    window_of,
    write_volume_mask,
)
from integrations.review.record import ABSENT, ACCEPTED, ADDED, EDITED, PRESENT, REJECTED, UNCERTAIN
from scripts.cases.domain import Domain
from scripts.cases.finding import Finding


class VolumePage:
    """Implements `integrations.label_studio.pages.page.Page` for the kind "volume"."""

    left_out = "volumes have no answer and no report"

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def labels_of(self, cases: Iterable[Mapping[str, Any]]) -> Labels:
        """All labels: each can be answered and marked."""
        return Labels(tuple(dict.fromkeys(finding.label for case in cases for finding in case["findings"])))

    def configuration(self, labels: Labels) -> str:
        """Pictures, brush and box, report, findings table, an answer for each finding."""
        names = list(dict.fromkeys((*labels.regions, *labels.cases)))
        if not names:
            raise LabelStudioError("there is no finding to judge: no volume has one; run the inference with other prompts or masks")
        root, left, right = two_columns(58)
        SubElement(left, "Header", value="$attention", size="6")
        SubElement(left, "Image", name=IMAGE, valueList="$images", **SEES_ALL)
        add_report(left)
        add_tools(left, (BRUSH, BOX), names)
        SubElement(right, "Header", value="What the model says", size="5")
        SubElement(right, "Table", name="table", value="$probabilities", valueType="csv")
        SubElement(right, "Header", value=self.domain.page.whole, size="5")
        for name in names:
            row = SubElement(right, "View", style="display: flex; justify-content: space-between; align-items: center")
            SubElement(row, "Header", value=name, size="6")
            answers = SubElement(row, "Choices", name=control_of(name), toName=IMAGE, choice="single-radio", layout="inline")
            for answer in (PRESENT, ABSENT, UNCERTAIN):
                SubElement(answers, "Choice", value=answer)
        return as_text(root)

    def draw(
        self,
        case: Mapping[str, Any],
        record: Mapping[str, Any],
        images: Path,
        folder: str,
        kept: Mapping[str, Any],
        *,
        report: str,
        shape: str,
        keep_phi: bool,
    ) -> Drawn:
        """The slices, what is where, the findings table, answers, and saliency as masks, whatever the shape."""
        rendered = render_case(case, record, images / folder, kept.get("volume"), keep_phi=keep_phi)
        pictures = Pictures.from_json(rendered)
        data = {"images": [url_of(f"{folder}/{file}") for file in pictures.files], **data_of(case, pictures)}
        return Drawn(pictures.sizes, result_of(case, pictures), data, {"volume": rendered})

    def question(self, pictures: Sequence[Path], kept: Mapping[str, Any] | None) -> dict[str, Any]:
        """The volume and its anatomies."""
        if kept is None:
            raise LabelStudioError("the volume of these pictures is not known here: push it from this working folder")
        return {"image": kept["images"][0], "anatomy_mask": kept["volume"]["anatomy_mask"]}

    def suggest(
        self, case: Mapping[str, Any], pictures: Sequence[Path], kept: Mapping[str, Any] | None, report: str
    ) -> tuple[list[tuple[int, int]], list[dict[str, Any]]]:
        """Answers, and saliency as masks."""
        self.question(pictures, kept)
        shown = Pictures.from_json(kept["volume"])
        return shown.sizes, result_of(case, shown)

    def item_index(self, image_index: int | None) -> int | None:
        """Words cannot be looked for in a volume's pictures.

        Raises:
            LabelStudioError: always.
        """
        raise LabelStudioError("no words can be looked for on the slices of a volume; mark the place by brush or box")

    def judgements(self, answer: Answer) -> list[Judgement]:
        """Each finding once, with its answer and all that is marked as it."""
        pictures = Pictures.from_json(answer.kept["volume"])
        predicted = answer.predicted or ()
        probabilities: dict[str, float] = {}
        for finding in answer.findings:  # of several of one label the most probable counts
            if finding.probability is not None:
                probabilities[finding.label] = max(finding.probability, probabilities.get(finding.label, 0.0))
        judged = []
        for label in dict.fromkeys((*answer.labels.regions, *_marked(answer.items))):
            was, choice = _answer(predicted, label), _answer(answer.items, label)
            before = mask_of_label(predicted, label, pictures)
            after = None if choice == ABSENT else mask_of_label(answer.items, label, pictures)
            if was is None and before is None and choice is None and after is None:
                continue
            probability = probabilities.get(label)
            known = before is not None or was is not None or probability is not None
            left = after is not None or choice is not None
            judged.append(
                Judgement(
                    label,
                    _action((was, before), (choice, after)),
                    Finding(label, probability=probability, mask=before) if known else None,
                    Finding(label, mask=after) if left else None,
                    was,
                    choice,
                )
            )
        return judged

    def record(self, answer: Answer, save: SaveMask) -> dict[str, Any] | None:
        """Labels and texts; a datalist of volumes holds no places."""
        kept, labels = answer.kept, labels_said(answer.items, answer.labels.regions)
        optional = {"anatomy_mask": kept["volume"]["anatomy_mask"], "report": kept.get("report"), "reports": kept.get("reports")}
        texts = {key: value for key, value in optional.items() if value}
        if not labels and texts.keys().isdisjoint(("report", "reports")):
            return None
        record = {"volume_id": kept["case_id"], "patient_id": kept["patient_id"], "image": kept["images"][0]}
        return record | texts | {"labels": labels}

    def volume_masks(self, answer: Answer) -> dict[str, np.ndarray]:
        """Each label marked, with its mask in the volume's own grid. What is said to be absent has none."""
        pictures = Pictures.from_json(answer.kept["volume"])
        named = [label for label in _marked(answer.items) if _answer(answer.items, label) != ABSENT]
        masks = {label: mask_of_label(answer.items, label, pictures) for label in named}
        return {label: mask for label, mask in masks.items() if mask is not None}

    def write_mask(self, stem: Path, mask: np.ndarray, kept: Mapping[str, Any]) -> Path:
        """Write a mask, bool [X, Y, Z], as NIfTI on the volume's own grid."""
        write_volume_mask(path := stem.with_name(f"{stem.name}.nii.gz"), mask, Pictures.from_json(kept["volume"]))
        return path


def control_of(label: str) -> str:
    """Name of a finding's answer: legal whatever the label holds, and different for every label."""
    readable = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40]
    return f"answer-{readable}-{sha256(label.encode()).hexdigest()[:6]}"


def data_of(case: Mapping[str, Any], pictures: Pictures) -> dict[str, str]:
    """What stands beside the pictures: `attention`, a line on what is where, and `probabilities`, the findings table as CSV."""
    first, count = len(pictures.keys) + 1, len(pictures.series.slices)
    ranges = [f"{window} {first + number * count}-{first + (number + 1) * count - 1}" for number, window in enumerate(WINDOWS)]
    opening = f"Images 1-{len(pictures.keys)}: key slices of what the model found. " if pictures.keys else ""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("Finding", "Anatomy", "Probability", "Image"))
    for finding in sorted(case["findings"], key=lambda finding: -(finding.probability or 0)):
        key = finding.key_slice
        number = "" if key is None else pictures.number_of(finding.label, window_of(finding), key) + 1
        probability = "" if finding.probability is None else f"{finding.probability:.2f}"
        writer.writerow((finding.label, finding.anatomy or "", probability, number))
    return {"attention": f"{opening}From head to foot: {', '.join(ranges)}", "probabilities": table.getvalue().rstrip("\n")}


def result_of(case: Mapping[str, Any], pictures: Pictures) -> list[dict[str, Any]]:
    """Items of a volume's findings: an answer each, and on every shown slice the heart of its saliency.

    Raises:
        ReadError: saliency that cannot be read or is of another grid than the volume.
    """
    items: list[dict[str, Any]] = []
    answers: dict[str, Finding] = {}
    for number, finding in enumerate(case["findings"]):
        if finding.saliency is not None:
            items += draw_saliency(finding, pictures, f"finding-{number}")
        earlier = answers.get(finding.label)
        # The same finding of two anatomies has one answer.
        if finding.probability is not None and (earlier is None or (_is_present(finding) and not _is_present(earlier))):
            answers[finding.label] = finding
    for label, finding in answers.items():
        items.append(choices_item(control_of(label), [PRESENT if _is_present(finding) else ABSENT], finding.confidence))
    return items


def labels_said(items: Sequence[dict[str, Any]], labels: Sequence[str]) -> dict[str, int]:
    """What a review says of each label, 1 present or 0 absent; uncertain and unanswered ones are left out.

    A label that is marked somewhere and has no answer is present.

    Args:
        items: the annotation's.
        labels: all labels of the project.
    """
    answers = {label: _answer(items, label) for label in labels}
    marked = _marked(items)
    return {
        label: int(answer != ABSENT)
        for label, answer in answers.items()
        if answer in (PRESENT, ABSENT) or (answer is None and label in marked)
    }


def _is_present(finding: Finding) -> bool:
    """Findings that reached their threshold have a place; where the model shows none, the probability has to do."""
    if finding.key_slice is not None or finding.saliency is not None:
        return True
    return finding.probability is not None and finding.probability >= LIKELY


def _marked(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Labels of what is marked, each once."""
    return list(dict.fromkeys(label for item in items if is_region(item) and (label := label_of(item)) is not None))


def _answer(items: Sequence[dict[str, Any]], label: str) -> str | None:
    return next(iter(chosen(items, control_of(label))), None)


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
