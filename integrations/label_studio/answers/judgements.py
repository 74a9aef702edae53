"""What an expert has done to the regions that a model drew on images: accepted, edited, rejected or added."""

import re
from collections.abc import Sequence
from typing import Any

from integrations.label_studio.answers.answer import Answer, Judgement, regions_of
from integrations.label_studio.answers.results import label_of, same_place
from integrations.review.record import ACCEPTED, ADDED, EDITED, REJECTED
from scripts.cases.finding import Finding


def judge_regions(answer: Answer) -> list[Judgement]:
    """Compare the regions of an answer with those of the prediction that it began from."""
    before = {item["id"]: item for item in regions_of(answer.predicted or ())}
    judged = []
    for item in regions_of(answer.items):
        after = answer.finding(item)
        # A page keeps a region's id through every change; only a region drawn anew has another.
        origin = before.pop(item["id"], None)
        if origin is None:
            judged.append(Judgement(after.label, ADDED, after=after))
            continue
        same = label_of(item) == label_of(origin) and same_place(item, origin)
        judged.append(Judgement(after.label, ACCEPTED if same else EDITED, _predicted(answer, origin), after))
    left = [_predicted(answer, item) for item in before.values()]
    return judged + [Judgement(finding.label, REJECTED, finding) for finding in left]


def _predicted(answer: Answer, item: dict[str, Any]) -> Finding:
    return answer.finding(item, _probability(item, answer.findings))


def _probability(item: dict[str, Any], findings: Sequence[Finding]) -> float | None:
    """Probability of the finding that a region was drawn for; its id begins with the finding's number."""
    number = re.match(r"finding-(\d+)", item["id"])
    return findings[int(number[1])].probability if number and int(number[1]) < len(findings) else None
