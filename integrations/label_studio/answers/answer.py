"""An expert's answer to a task, and what it says of each finding."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrations.label_studio.answers.results import box_of, is_region, label_of, place_of, size_of, words_of
from scripts.cases.finding import Finding


@dataclass(frozen=True)
class Labels:
    """What can be said in a project: of places, and of cases as a whole."""

    regions: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()

    def __or__(self, other: "Labels") -> "Labels":
        """Both, in order of first appearance."""
        return Labels(_united(self.regions, other.regions), _united(self.cases, other.cases))


@dataclass(frozen=True)
class Judgement:
    """What became of one finding.

    Args:
        label: the finding's label after the review, or before it where the expert has rejected it.
        action: accepted, edited, rejected or added.
        before: the finding as the model gave it, with its place; None where the model said nothing of it.
        after: as the expert left it, with its place; None where nothing is left.
        said: what the model had chosen for the case as a whole; None for a region, and where it had chosen nothing.
        choice: what the expert has chosen; None for a region, and where the expert has taken the answer back.
    """

    label: str
    action: str
    before: Finding | None = None
    after: Finding | None = None
    said: str | None = None
    choice: str | None = None

    @property
    def probability(self) -> float | None:
        """The model's; None for what the expert has added, or where the model gave none."""
        return None if self.before is None else self.before.probability


@dataclass(frozen=True)
class Answer:
    """One annotation of a task, the prediction that it began from, and what `push` has kept of the case.

    Args:
        items: the annotation's.
        predicted: the prediction's items; None where the expert began with an empty page, so that everything is added.
        findings: the prediction's findings, in the order in which its items count them; empty where they are not known.
        kept: of the case.
        labels: all labels of the project.
    """

    items: Sequence[dict[str, Any]]
    predicted: Sequence[dict[str, Any]] | None = None
    findings: Sequence[Finding] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)
    labels: Labels = Labels()
    _places: dict[str, tuple[list[float], Any]] = field(default_factory=dict, repr=False)

    def finding(self, item: dict[str, Any], probability: float | None = None) -> Finding:
        """A region as a finding, with its box and, unless it is a rectangle, its mask; each place is decoded once."""
        key = json.dumps([item["type"], size_of(item), item["value"]], sort_keys=True)
        if key not in self._places:
            self._places[key] = (box_of(item), None) if item["type"] == "rectanglelabels" else place_of(item)
        box, mask = self._places[key]
        index = item.get("item_index", 0)
        return Finding(str(label_of(item)), words_of(item), probability=probability, image_index=index, box=box, mask=mask)


def chosen(items: Iterable[dict[str, Any]], control: str) -> list[str]:
    """What is chosen for the case as a whole."""
    said = [item["value"]["choices"] for item in items if item.get("type") == "choices" and item.get("from_name") == control]
    return [choice for choices in said for choice in choices]


def regions_of(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items that mark a place and have a label."""
    return [item for item in items if is_region(item) and label_of(item)]


def _united(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
