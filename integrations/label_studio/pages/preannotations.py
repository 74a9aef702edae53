"""A case's findings as Label Studio's prediction: what is drawn, chosen and linked before the expert looks."""

import re
from collections.abc import Sequence
from typing import Any

from integrations.label_studio.answers.results import (
    box_around,
    brush_item,
    choices_item,
    polygon_items,
    rectangle_item,
    sentence_items,
)
from integrations.label_studio.pages.configurations import DIAGNOSIS, FINDINGS, Labels
from scripts.predictions.masks import read_mask

LIKELY = 0.5
"""Probability from which a finding of the film or volume as a whole is ticked."""
NO_REPORT = "(no report)"
_SENTENCE_ENDS = re.compile(r"[.!?](?=\s|$)|\n\s*\n")


def labels_of(task: str, cases: Sequence[dict[str, Any]]) -> Labels:
    """What the cases' findings name: of films all labels, of exams places and classes apart."""
    findings = [finding for case in cases for finding in case["findings"]]
    places = tuple(dict.fromkeys(finding["label"] for finding in findings if finding["image_index"] is not None))
    if task == "cxr":
        every = tuple(dict.fromkeys(finding["label"] for finding in findings))
        return Labels(every, every)
    wholes = tuple(dict.fromkeys(finding["label"] for finding in findings if finding["image_index"] is None))
    # Where places are marked with the exam's class, an expert may have to mark another class.
    both = set(places) & set(wholes)
    return Labels(places, wholes) | (Labels(wholes) if both else Labels())


def confidence_of(case: dict[str, Any]) -> float:
    """The lowest confidence among a case's findings; 0 where none says how sure it is."""
    known = [finding["confidence"] for finding in case["findings"] if finding["confidence"] is not None]
    return float(min(known, default=0.0))


def result_of(case: dict[str, Any], sizes: Sequence[tuple[int, int]], report: str, shape: str) -> list[dict[str, Any]]:
    """Items of a film's or exam's findings.

    Args:
        case: as `scripts.data.read_predictions` gives it.
        sizes: width and height of each picture shown.
        report: text beside the pictures; a finding's phrase in it, or else its label, is linked to the finding's
            regions.
        shape: what places are drawn as, one of `results.SHAPES`. A finding without mask is drawn as its box.

    Raises:
        ReadError: a mask cannot be read.
    """
    as_list = case["task"] != "cxr"
    items: list[dict[str, Any]] = []
    regions: dict[tuple[str, str], list[str]] = {}
    for number, finding in enumerate(case["findings"]):
        drawn = _region_items(finding, sizes, shape, f"finding-{number}", as_list)
        items += drawn
        said = (finding["text"] or finding["label"], finding["label"])
        regions.setdefault(said, []).extend(item["id"] for item in drawn)
    for number, ((phrase, label), ids) in enumerate(regions.items()):
        span = sentence_with(report, phrase) or sentence_with(report, label)
        if span is not None and ids:
            items += sentence_items(*span, report[slice(*span)], label, sentence=f"sentence-{number}", regions=ids)
    return items + _of_the_whole(case)


def attention_of(case: dict[str, Any]) -> str:
    """A line that says which of an exam's images to look at first: the ones with the most probable findings."""
    best: dict[int, dict[str, Any]] = {}
    for finding in case["findings"]:
        index, probability = finding["image_index"], finding["probability"]
        if index is not None and probability is not None and probability > best.get(index, {"probability": -1})["probability"]:
            best[index] = finding
    ranked = sorted(best.items(), key=lambda entry: -entry[1]["probability"])
    said = [f"{index + 1} ({finding['label']} {finding['probability']:.2f})" for index, finding in ranked]
    return "Look first at image " + ", then ".join(said) if said else "The model points at no image"


def sentence_with(report: str, phrase: str) -> tuple[int, int] | None:
    """First and last character (exclusive) of the first sentence that holds a phrase, in whatever case; None without one."""
    found = re.search(r"(?<!\w)" + r"\s+".join(map(re.escape, phrase.split())) + r"(?!\w)", report, re.IGNORECASE)
    if found is None or not phrase.strip():
        return None
    ends = [end.end() for end in _SENTENCE_ENDS.finditer(report)]
    start = max((end for end in ends if end <= found.start()), default=0)
    stop = min((end for end in ends if end >= found.end()), default=len(report))
    sentence = report[start:stop]
    return start + len(sentence) - len(sentence.lstrip()), start + len(sentence.rstrip())


def _region_items(
    finding: dict[str, Any], sizes: Sequence[tuple[int, int]], shape: str, region: str, as_list: bool
) -> list[dict[str, Any]]:
    """Items of a finding's place; none where it has no place."""
    index = finding["image_index"]
    if index is None or (finding["mask"] is None and finding["box"] is None):
        return []
    about = {"region": region, "score": finding["confidence"], "image_index": index if as_list else None}
    mask = None if finding["mask"] is None or (shape == "box" and finding["box"] is not None) else read_mask(finding["mask"])
    if mask is None:
        return [rectangle_item(finding["box"], sizes[index], finding["label"], **about)]
    if shape == "mask":
        return [brush_item(mask, finding["label"], **about)]
    # A mask of single pixels has no outline.
    return (shape == "polygon" and polygon_items(mask, finding["label"], **about)) or [
        rectangle_item(box_around(mask), mask.shape[::-1], finding["label"], **about)
    ]


def _of_the_whole(case: dict[str, Any]) -> list[dict[str, Any]]:
    """What is chosen for the film or exam as a whole."""
    if case["task"] == "cxr":
        present = dict.fromkeys(finding["label"] for finding in case["findings"] if _is_present(finding))
        return [choices_item(FINDINGS, list(present))] if present else []
    classes = [finding for finding in case["findings"] if finding["image_index"] is None and finding["probability"] is not None]
    if not classes:
        return []
    likeliest = max(classes, key=lambda finding: finding["probability"])
    return [choices_item(DIAGNOSIS, [likeliest["label"]], likeliest["confidence"])]


def _is_present(finding: dict[str, Any]) -> bool:
    if finding["probability"] is None:
        return finding["mask"] is not None or finding["box"] is not None
    return finding["probability"] >= LIKELY
