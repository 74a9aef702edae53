"""Reports of phantom exams: findings and normal regions in any order, remarks, and an impression that names the class.

What is imaged and what is described differ, as in practice: normal regions are often left out, regions without an image are
described, and a co-finding is left out now and then (`OMITTED`). The sentence of what makes the class is always there.
"""

from dataclasses import dataclass

import numpy as np

from scripts.phantoms.common.words import choice
from scripts.phantoms.nasal.plan import CO_FINDINGS, REGIONS, ExamPlan
from scripts.phantoms.nasal.words import BESIDE, IMPRESSIONS, JOINED, UNSUSPICIOUS, describe_normal, describe_other_side, state

OMITTED = 0.06
WITH_IMPRESSION = 0.9
_DESCRIBED = {True: 0.6, False: 0.3}  # normal regions, with and without an image
_NASOPHARYNX = 0.9
_OTHER_SIDE = 0.5
_JOINED = 0.1
_BESIDE = 0.3
_CO_IMPRESSION = 0.4


@dataclass(frozen=True)
class Report:
    """A report, and for every finding of the plan the sentence that states it, None where the report leaves it out."""

    text: str
    sentences: tuple[str | None, ...]


def write_report(plan: ExamPlan, rng: np.random.Generator) -> Report:
    """Write the report of an exam."""
    stated = tuple(
        None if finding.label in CO_FINDINGS and rng.random() < OMITTED else state(finding, rng) for finding in plan.findings
    )
    body = [(REGIONS.index(f.region), sentence) for f, sentence in zip(plan.findings, stated, strict=True) if sentence]
    body += _other_sides(plan, rng) + _normal(plan, rng)
    # Only an exam without findings can come out empty, and its nasopharynx is normal.
    body = body or [(REGIONS.index("nasopharynx"), describe_normal("nasopharynx", rng))]
    if rng.random() < 0.5:
        body.sort(key=lambda entry: entry[0])
    else:
        body = [body[i] for i in rng.permutation(len(body))]
    sentences = list(dict.fromkeys(sentence for _, sentence in body))
    if rng.random() < _BESIDE:
        sentences.insert(int(rng.integers(len(sentences) + 1)), choice(BESIDE, rng))
    if rng.random() < WITH_IMPRESSION:
        sentences.append(f"Impression: {_impression(plan, stated, rng)}")
    return Report(" ".join(sentences), stated)


def _other_sides(plan: ExamPlan, rng: np.random.Generator) -> list[tuple[int, str]]:
    """Normal sentences of the side opposite a finding, where there is one in that region alone."""
    sided = [finding for finding in plan.findings if finding.side and rng.random() < _OTHER_SIDE]
    told = [(REGIONS.index(finding.region), describe_other_side(finding, rng)) for finding in sided]
    return [(place, sentence) for place, sentence in told if sentence]


def _normal(plan: ExamPlan, rng: np.random.Generator) -> list[tuple[int, str]]:
    """Normal sentences of regions without a finding, now and then two regions in one."""
    imaged = {view.region for view in plan.views}
    free = [region for region in REGIONS if region not in {finding.region for finding in plan.findings}]
    odds = {region: _NASOPHARYNX if region == "nasopharynx" else _DESCRIBED[region in imaged] for region in free}
    chosen = [region for region in free if rng.random() < odds[region]]
    sentences = []
    for pair, options in JOINED.items():
        if set(pair) <= set(chosen) and rng.random() < _JOINED:
            sentences.append((REGIONS.index(pair[0]), choice(options, rng)))
            chosen = [region for region in chosen if region not in pair]
    return sentences + [(REGIONS.index(region), describe_normal(region, rng)) for region in chosen]


def _impression(plan: ExamPlan, stated: tuple[str | None, ...], rng: np.random.Generator) -> str:
    """The class in words, and some of the co-findings that the report tells."""
    told = [f.label for f, sentence in zip(plan.findings, stated, strict=True) if sentence and f.label in CO_FINDINGS]
    named = [f"{label.capitalize()}." for label in told if rng.random() < _CO_IMPRESSION]
    changed = plan.label == "NOR" and any(finding.region == "nasopharynx" for finding in plan.findings)
    return " ".join([choice(UNSUSPICIOUS if changed else IMPRESSIONS[plan.label], rng), *named])
