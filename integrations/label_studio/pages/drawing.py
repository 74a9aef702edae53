"""What is drawn on images before the expert looks: places of findings, linked to the sentences that name them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from integrations.label_studio.answers.results import box_around, brush_item, polygon_items, rectangle_item, sentence_items
from scripts.cases.finding import Finding
from scripts.predictions.masks import read_mask

LIKELY = 0.5
"""Probability from which a finding of the case as a whole is ticked."""
NO_REPORT = "(no report)"
_SENTENCE_ENDS = re.compile(r"[.!?](?=\s|$)|\n\s*\n")


def confidence_of(case: Mapping[str, Any]) -> float:
    """The lowest confidence among a case's findings; 0 where none says how sure it is."""
    known = [finding.confidence for finding in case["findings"] if finding.confidence is not None]
    return float(min(known, default=0.0))


def draw_places(
    findings: Sequence[Finding], sizes: Sequence[tuple[int, int]], report: str, shape: str, *, as_list: bool
) -> list[dict[str, Any]]:
    """Items of findings' places on images.

    Args:
        findings: a case's.
        sizes: width and height of each picture shown.
        report: text beside the pictures; a finding's phrase in it, or else its label, is linked to the finding's
            regions.
        shape: what places are drawn as, one of `results.SHAPES`. A finding without mask is drawn as its box.
        as_list: whether the page shows a list of pictures, of which an item names its own.

    Raises:
        ReadError: a mask cannot be read.
    """
    items: list[dict[str, Any]] = []
    regions: dict[tuple[str, str], list[str]] = {}
    for number, finding in enumerate(findings):
        drawn = _draw(finding, sizes, shape, f"finding-{number}", as_list)
        items += drawn
        said = (finding.text or finding.label, finding.label)
        regions.setdefault(said, []).extend(item["id"] for item in drawn)
    for number, ((phrase, label), ids) in enumerate(regions.items()):
        span = sentence_with(report, phrase) or sentence_with(report, label)
        if span is not None and ids:
            items += sentence_items(*span, report[slice(*span)], label, sentence=f"sentence-{number}", regions=ids)
    return items


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


def _draw(finding: Finding, sizes: Sequence[tuple[int, int]], shape: str, region: str, as_list: bool) -> list[dict[str, Any]]:
    """Items of a finding's place; none where it has no place."""
    index = finding.image_index
    if index is None or not finding.has_place:
        return []
    about = {"region": region, "score": finding.confidence, "image_index": index if as_list else None}
    mask = None if finding.mask is None or (shape == "box" and finding.box is not None) else read_mask(finding.mask)
    if mask is None:
        return [rectangle_item(finding.box, sizes[index], finding.label, **about)]
    if shape == "mask":
        return [brush_item(mask, finding.label, **about)]
    # A mask of single pixels has no outline.
    return (shape == "polygon" and polygon_items(mask, finding.label, **about)) or [
        rectangle_item(box_around(mask), mask.shape[::-1], finding.label, **about)
    ]
