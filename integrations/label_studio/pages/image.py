"""The page of an image: the findings that are to be seen on it are ticked, and marked where they are."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import SubElement

import numpy as np

from integrations.label_studio.answers.answer import Answer, Judgement, Labels, chosen, regions_of
from integrations.label_studio.answers.judgements import judge_regions
from integrations.label_studio.answers.results import FINDINGS, IMAGE, choices_item, label_of, mask_of
from integrations.label_studio.pages.drawing import LIKELY, draw_places
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
from integrations.review.record import ABSENT, ACCEPTED, ADDED, PRESENT, REJECTED
from scripts.cases.domain import Domain
from scripts.cases.finding import Finding
from scripts.predictions.masks import write_mask


class ImagePage:
    """Implements `integrations.label_studio.pages.page.Page` for the kind "image"."""

    left_out = ""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def labels_of(self, cases: Iterable[Mapping[str, Any]]) -> Labels:
        """All labels, of places and of images as a whole."""
        every = tuple(dict.fromkeys(finding.label for case in cases for finding in case["findings"]))
        return Labels(every, every)

    def configuration(self, labels: Labels) -> str:
        """Picture, report, what is to be seen, tools."""
        check_labels(labels)
        root, picture, words = two_columns(65)
        SubElement(picture, "Image", name=IMAGE, value="$image", **SEES_ALL)
        add_report(words, labels.regions)
        add_choices(words, FINDINGS, self.domain.page.whole, labels.cases, "multiple")
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
        """The picture, its findings' places, and what is ticked."""
        pictures = render_images(self.domain, case["images"], images, folder, kept.get("pictures", ()), keep_phi=keep_phi)
        sizes = [(picture["width"], picture["height"]) for picture in pictures]
        return Drawn(sizes, self.items(case, sizes, report, shape), {"image": url_of(pictures[0]["file"])}, {"pictures": pictures})

    def question(self, pictures: Sequence[Path], kept: Mapping[str, Any] | None) -> dict[str, Any]:
        """The image that the picture was rendered from, else the picture."""
        return {"image": str(pictures[0]) if kept is None else kept["images"][0]}

    def suggest(
        self, case: Mapping[str, Any], pictures: Sequence[Path], kept: Mapping[str, Any] | None, report: str
    ) -> tuple[list[tuple[int, int]], list[dict[str, Any]]]:
        """Places as masks, and what is ticked."""
        sizes = sizes_of(pictures)
        return sizes, self.items(case, sizes, report, "mask")

    def item_index(self, image_index: int | None) -> int | None:
        """None: there is one picture."""
        return None

    def items(self, case: Mapping[str, Any], sizes: Sequence[tuple[int, int]], report: str, shape: str) -> list[dict[str, Any]]:
        """Places, sentences and ticks; arguments as `drawing.draw_places` takes them."""
        present = dict.fromkeys(finding.label for finding in case["findings"] if _is_present(finding))
        ticked = [choices_item(FINDINGS, list(present))] if present else []
        return draw_places(case["findings"], sizes, report, shape, as_list=False) + ticked

    def judgements(self, answer: Answer) -> list[Judgement]:
        """Regions, then each label that the model was asked about or the expert has ticked, as present or absent."""
        judged, after = judge_regions(answer), dict.fromkeys(chosen(answer.items, FINDINGS))
        if answer.predicted is None:
            return judged + [Judgement(label, ADDED, after=Finding(label), choice=PRESENT) for label in after]
        before = set(chosen(answer.predicted, FINDINGS))
        probabilities: dict[str, float | None] = {}
        for finding in answer.findings:
            probabilities.setdefault(finding.label, finding.probability)
        for label in dict.fromkeys((*probabilities, *after)):
            is_after, was_before = label in after, label in before
            action = ACCEPTED if is_after == was_before else ADDED if is_after else REJECTED
            said = PRESENT if was_before else ABSENT if label in probabilities else None
            asked = None if said is None else Finding(label, probability=probabilities.get(label))
            judged.append(Judgement(label, action, asked, Finding(label), said, PRESENT if is_after else ABSENT))
        return judged

    def record(self, answer: Answer, save: SaveMask) -> dict[str, Any]:
        """Regions of one label become one finding, whose mask, where one has a mask, is all of them."""
        kept = answer.kept
        record = {"study_id": kept["case_id"], "patient_id": kept["patient_id"], "image": kept["images"][0]}
        if "report" in kept:
            record["report"] = kept["report"]
        by_label: dict[str, list[dict[str, Any]]] = {}
        for region in regions_of(answer.items):
            by_label.setdefault(str(label_of(region)), []).append(region)
        present = {*chosen(answer.items, FINDINGS), *by_label}
        record["labels"] = {label: int(label in present) for label in dict.fromkeys((*answer.labels.cases, *by_label))}
        sent = [finding for pushed in kept["pushed"].values() for finding in pushed["findings"]]
        texts = {finding["label"]: finding["text"] for finding in sent if finding.get("text")}
        record["findings"] = []
        for label, regions in by_label.items():
            marked = [answer.finding(region) for region in regions]
            words = next((one.text for one in marked if one.text), None)
            finding: dict[str, Any] = {"label": label, "text": words or texts.get(label, label)}
            if all(one.mask is None for one in marked):
                finding["boxes"] = [one.box for one in marked]
            else:
                alone = marked[0].mask if len(marked) == 1 else None
                finding["mask"] = save(np.logical_or.reduce(list(map(mask_of, regions))) if alone is None else alone)
            record["findings"].append(finding)
        return record

    def volume_masks(self, answer: Answer) -> dict[str, np.ndarray]:
        """None: an image is no volume."""
        return {}

    def write_mask(self, stem: Path, mask: np.ndarray, kept: Mapping[str, Any]) -> Path:
        """Write a mask, bool [H, W], as PNG."""
        write_mask(path := stem.with_name(f"{stem.name}.png"), mask)
        return path


def _is_present(finding: Finding) -> bool:
    if finding.probability is None:
        return finding.has_place
    return finding.probability >= LIKELY
