"""The page of an exam of several images: one class for the whole, findings marked on the images."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import SubElement

import numpy as np

from integrations.label_studio.answers.answer import Answer, Judgement, Labels, chosen, regions_of
from integrations.label_studio.answers.judgements import judge_regions
from integrations.label_studio.answers.results import DIAGNOSIS, IMAGE, choices_item
from integrations.label_studio.pages.drawing import draw_places
from integrations.label_studio.pages.page import Drawn, SaveMask
from integrations.label_studio.pages.parts import (
    BOX,
    BRUSH,
    POLYGON,
    SEES_ALL,
    add_choices,
    add_report,
    add_search,
    add_tools,
    as_text,
    check_labels,
    two_columns,
)
from integrations.label_studio.pages.pictures import render_images, sizes_of, url_of
from integrations.review.record import ACCEPTED, ADDED, EDITED, REJECTED
from scripts.cases.domain import Domain
from scripts.cases.finding import Finding
from scripts.predictions.masks import write_mask


class ExamPage:
    """Implements `integrations.label_studio.pages.page.Page` for the kind "exam"."""

    left_out = "exams have no report"

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def labels_of(self, cases: Iterable[Mapping[str, Any]]) -> Labels:
        """Labels of places and classes of exams, apart."""
        findings = [finding for case in cases for finding in case["findings"]]
        places = tuple(dict.fromkeys(finding.label for finding in findings if finding.image_index is not None))
        wholes = tuple(dict.fromkeys(finding.label for finding in findings if finding.image_index is None))
        # Where places are marked with the exam's class, an expert may have to mark another class.
        both = set(places) & set(wholes)
        return Labels(places, wholes) | (Labels(wholes) if both else Labels())

    def configuration(self, labels: Labels) -> str:
        """Pictures, the exam's class, report, tools."""
        check_labels(labels)
        root, picture, words = two_columns(65)
        SubElement(picture, "Header", value="$attention", size="5")
        SubElement(picture, "Image", name=IMAGE, valueList="$images", **SEES_ALL)
        add_choices(words, DIAGNOSIS, self.domain.page.whole, labels.cases, "single")
        add_report(words, labels.regions)
        if labels.regions:
            add_search(words)
            add_tools(words, (BRUSH, BOX, POLYGON), labels.regions)
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
        """The pictures, a line on which to look at first, findings' places, and the class."""
        pictures = render_images(self.domain, case["images"], images, folder, kept.get("pictures", ()), keep_phi=keep_phi)
        sizes = [(picture["width"], picture["height"]) for picture in pictures]
        data = {"images": [url_of(picture["file"]) for picture in pictures], "attention": attention_of(case)}
        return Drawn(sizes, self.items(case, sizes, report, shape), data, {"pictures": pictures})

    def question(self, pictures: Sequence[Path], kept: Mapping[str, Any] | None) -> dict[str, Any]:
        """The images that the pictures were rendered from, else the pictures."""
        return {"images": [str(picture) for picture in pictures] if kept is None else kept["images"]}

    def suggest(
        self, case: Mapping[str, Any], pictures: Sequence[Path], kept: Mapping[str, Any] | None, report: str
    ) -> tuple[list[tuple[int, int]], list[dict[str, Any]]]:
        """Places as masks, and the class."""
        sizes = sizes_of(pictures)
        return sizes, self.items(case, sizes, report, "mask")

    def item_index(self, image_index: int | None) -> int | None:
        """The image's own: pictures stand in the exam's order."""
        return image_index

    def items(self, case: Mapping[str, Any], sizes: Sequence[tuple[int, int]], report: str, shape: str) -> list[dict[str, Any]]:
        """Places, sentences and the likeliest class; arguments as `drawing.draw_places` takes them."""
        places = draw_places(case["findings"], sizes, report, shape, as_list=True)
        classes = [one for one in case["findings"] if one.image_index is None and one.probability is not None]
        if not classes:
            return places
        likeliest = max(classes, key=lambda finding: finding.probability)
        return [*places, choices_item(DIAGNOSIS, [likeliest.label], likeliest.confidence)]

    def judgements(self, answer: Answer) -> list[Judgement]:
        """Regions, then the exam's class."""
        judged = judge_regions(answer)
        before, after = chosen(answer.predicted or (), DIAGNOSIS), chosen(answer.items, DIAGNOSIS)
        if not before and not after:
            return judged
        said = before[0] if before else None
        probabilities = {finding.label: finding.probability for finding in answer.findings if finding.image_index is None}
        predicted = None if said is None else Finding(said, probability=probabilities.get(said))
        if not after:
            return [*judged, Judgement(str(said), REJECTED, predicted, said=said)]
        action = ADDED if said is None else ACCEPTED if said == after[0] else EDITED
        return [*judged, Judgement(said or after[0], action, predicted, Finding(after[0]), said, after[0])]

    def record(self, answer: Answer, save: SaveMask) -> dict[str, Any] | None:
        """Every region is a finding of its own."""
        kept = answer.kept
        if "report" not in kept:
            return None
        record = {"exam_id": kept["case_id"], "patient_id": kept["patient_id"], "images": kept["images"], "report": kept["report"]}
        if "site" in kept:
            record["site"] = kept["site"]
        diagnosis = chosen(answer.items, DIAGNOSIS)
        if diagnosis:
            record["label"] = diagnosis[0]
        record["findings"] = []
        for marked in map(answer.finding, regions_of(answer.items)):
            finding = {"image_index": marked.image_index, "label": marked.label, "box": marked.box}
            if marked.mask is not None:
                finding["mask"] = save(marked.mask)
            if marked.text:
                finding["text"] = marked.text
            record["findings"].append(finding)
        return record

    def volume_masks(self, answer: Answer) -> dict[str, np.ndarray]:
        """None: an exam is no volume."""
        return {}

    def write_mask(self, stem: Path, mask: np.ndarray, kept: Mapping[str, Any]) -> Path:
        """Write a mask, bool [H, W], as PNG."""
        write_mask(path := stem.with_name(f"{stem.name}.png"), mask)
        return path


def attention_of(case: Mapping[str, Any]) -> str:
    """A line that says which of an exam's images to look at first: the ones with the most probable findings."""
    best: dict[int, Finding] = {}
    for finding in case["findings"]:
        index, probability = finding.image_index, finding.probability
        if index is not None and probability is not None and (index not in best or probability > best[index].probability):
            best[index] = finding
    ranked = sorted(best.items(), key=lambda entry: -entry[1].probability)
    said = [f"{index + 1} ({finding.label} {finding.probability:.2f})" for index, finding in ranked]
    return "Look first at image " + ", then ".join(said) if said else "The model points at no image"
