"""What an expert has done to a model's findings: accepted, edited, rejected or added, finding by finding."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from integrations.label_studio.answers.results import is_region, label_of, same_place
from integrations.label_studio.pages.configurations import DIAGNOSIS, FINDINGS

ACCEPTED, EDITED, REJECTED, ADDED = "accepted", "edited", "rejected", "added"
PRESENT, ABSENT = "present", "absent"


@dataclass(frozen=True)
class Judgement:
    """What became of one finding.

    Args:
        label: the finding's label after the review, or before it where the expert has rejected it.
        action: accepted, edited, rejected or added.
        probability: the model's; None for what the expert has added, or where the model gave none.
        before: the region as the model drew it; None where it drew none.
        after: the region as the expert left it; None where there is none.
        choice: what is chosen for the case as a whole; None for a region.
        said: what the model had chosen; None for a region, and where it had chosen nothing.
    """

    label: str
    action: str
    probability: float | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    choice: str | None = None
    said: str | None = None


def judgements(
    result: Sequence[dict[str, Any]], predicted: Sequence[dict[str, Any]] | None, findings: Sequence[dict[str, Any]], task: str
) -> list[Judgement]:
    """Compare a review with the prediction that it began from.

    Args:
        result: the annotation's items.
        predicted: the prediction's items; None where the expert began with an empty page, so that everything is added.
        findings: the prediction's findings, in the order in which the items count them; empty where they are not known.
        task: "cxr" or "nasal".
    """
    judged = _of_regions(result, predicted or [], findings)
    if task == "cxr":
        return judged + _of_films(result, predicted, findings)
    return judged + _of_exams(result, predicted, findings)


def chosen(items: Sequence[dict[str, Any]], control: str) -> list[str]:
    """What is chosen for the case as a whole."""
    said = [item["value"]["choices"] for item in items if item.get("type") == "choices" and item.get("from_name") == control]
    return [choice for choices in said for choice in choices]


def regions_of(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items that mark a place and have a label."""
    return [item for item in items if is_region(item) and label_of(item)]


def _of_regions(
    result: Sequence[dict[str, Any]], predicted: Sequence[dict[str, Any]], findings: Sequence[dict[str, Any]]
) -> list[Judgement]:
    before = {item["id"]: item for item in regions_of(predicted)}
    judged = []
    for item in regions_of(result):
        # A page keeps a region's id through every change; only a region drawn anew has another.
        origin = before.pop(item["id"], None)
        if origin is None:
            judged.append(Judgement(label_of(item), ADDED, after=item))
            continue
        same = label_of(item) == label_of(origin) and same_place(item, origin)
        judged.append(Judgement(label_of(item), ACCEPTED if same else EDITED, _probability(origin, findings), origin, item))
    return judged + [Judgement(label_of(item), REJECTED, _probability(item, findings), item) for item in before.values()]


def _probability(item: dict[str, Any], findings: Sequence[dict[str, Any]]) -> float | None:
    """Probability of the finding that a region was drawn for; its id begins with the finding's number."""
    number = re.match(r"finding-(\d+)", item["id"])
    return findings[int(number[1])]["probability"] if number and int(number[1]) < len(findings) else None


def _of_films(
    result: Sequence[dict[str, Any]], predicted: Sequence[dict[str, Any]] | None, findings: Sequence[dict[str, Any]]
) -> list[Judgement]:
    """Each label that the model was asked about or the expert has ticked, as present or absent on the film."""
    after = dict.fromkeys(chosen(result, FINDINGS))
    if predicted is None:
        return [Judgement(label, ADDED, choice=PRESENT) for label in after]
    before = set(chosen(predicted, FINDINGS))
    probabilities: dict[str, float | None] = {}
    for finding in findings:
        probabilities.setdefault(finding["label"], finding["probability"])
    judged = []
    for label in dict.fromkeys((*probabilities, *after)):
        is_after, was_before = label in after, label in before
        action = ACCEPTED if is_after == was_before else ADDED if is_after else REJECTED
        said = PRESENT if was_before else ABSENT if label in probabilities else None
        choice = PRESENT if is_after else ABSENT
        judged.append(Judgement(label, action, probabilities.get(label), choice=choice, said=said))
    return judged


def _of_exams(
    result: Sequence[dict[str, Any]], predicted: Sequence[dict[str, Any]] | None, findings: Sequence[dict[str, Any]]
) -> list[Judgement]:
    """The exam's class."""
    before, after = chosen(predicted or [], DIAGNOSIS), chosen(result, DIAGNOSIS)
    if not before and not after:
        return []
    probabilities = {finding["label"]: finding["probability"] for finding in findings if finding["image_index"] is None}
    said = before[0] if before else None
    if not after:
        return [Judgement(said, REJECTED, probabilities.get(said), said=said)]
    action = ADDED if said is None else ACCEPTED if said == after[0] else EDITED
    return [Judgement(said or after[0], action, probabilities.get(said), choice=after[0], said=said)]
