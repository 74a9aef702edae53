"""What each phantom volume shows, and where, so that every split holds every finding equally often.

Volumes come in blocks of 25. In every block each finding occurs in exactly four volumes (16 %), two volumes are normal
and the others hold one to ten findings. Three volumes of a block end below the lungs and two below the thyroid; findings
of what is cut off go to others. A block's plan depends on (seed, split, block) alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scripts.phantoms.common.words import choice

SPLITS = ("training", "validation", "test")
BLOCK = 25
REPEATS = 4
COUNTS = (0, 0, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 7, 7, 8, 8, 8, 9, 10, 10)
CHEST, BELOW_NECK, WHOLE = "chest", "below neck", "whole"
FIELDS = (CHEST,) * 3 + (BELOW_NECK,) * 2 + (WHOLE,) * 20

_BOTH = ("right", "left")
_LOBES = (("right", "upper"), ("right", "middle"), ("right", "lower"), ("left", "upper"), ("left", "lower"))
_BASES = (("right", "lower"), ("left", "lower"))
_SIDES = (("right", ""), ("left", ""))
_ANYWHERE = (("", ""),)
_LEVELS = tuple(("", f"T{n}") for n in range(5, 13))


class Finding(NamedTuple):
    """Anatomy of the wide table, (side, part) places that it may have, and its size in millimetres, least and most."""

    anatomy: str
    places: tuple[tuple[str, str], ...]
    size: tuple[float, float]


FINDINGS: dict[str, Finding] = {
    "Emphysema": Finding(
        "lung", (("bilateral", "upper"), ("bilateral", "diffuse"), ("right", "upper"), ("left", "upper")), (10, 16)
    ),
    "Mosaic attenuation pattern": Finding("lung", (("bilateral", ""),), (24, 32)),
    "Interlobular septal thickening": Finding("lung", (("bilateral", "lower"), *_BASES, ("right", "upper")), (15, 19)),
    "Ground-glass opacity": Finding("lung", _LOBES, (38, 54)),
    "Consolidation": Finding("lung", _LOBES, (34, 50)),
    "Atelectasis": Finding("lung", (*_BASES, ("right", "middle"), ("left", "upper"), ("bilateral", "lower")), (48, 70)),
    "Pulmonary fibrotic sequela": Finding("lung", (("right", "apex"), ("left", "apex"), ("bilateral", "apex")), (30, 44)),
    "Pleural effusion": Finding("lung", (*_SIDES, ("bilateral", "")), (12, 26)),
    "Peribronchial thickening": Finding("lung", (*_SIDES, ("bilateral", "")), (5, 6)),
    "Bronchiectasis": Finding("lung", _LOBES, (12, 16)),
    "Lung nodule": Finding("lung", _LOBES, (18, 28)),
    "Tracheal secretions": Finding("trachea", (("", "upper"), ("", "middle"), ("", "lower")), (10, 14)),
    "Cardiomegaly": Finding("heart", _ANYWHERE, (0, 0)),
    "Pericardial effusion": Finding("heart", _ANYWHERE, (8, 11)),
    "Coronary artery wall calcification": Finding(
        "heart", (("", "left anterior descending"), ("", "right coronary"), ("", "several")), (8, 11)
    ),
    "Aortic aneurysm": Finding("aorta", (("", "ascending"), ("", "descending")), (46, 56)),
    "Arterial wall calcification": Finding("aorta", (("", "arch"), ("", "descending"), ("", "several")), (8, 11)),
    "Hiatal hernia": Finding("esophagus", _ANYWHERE, (32, 44)),
    "Esophageal wall thickening": Finding("esophagus", (("", "middle"), ("", "distal")), (36, 56)),
    "Thyroid nodule": Finding("thyroid", _SIDES, (14, 18)),
    "Hepatic steatosis": Finding("liver", _ANYWHERE, (30, 40)),
    "Liver cyst": Finding("liver", _SIDES, (26, 40)),
    "Gallstones": Finding("gallbladder", _ANYWHERE, (9, 13)),
    "Splenic lesion": Finding("spleen", _ANYWHERE, (22, 32)),
    "Pancreatic cyst": Finding("pancreas", (("", "head"), ("", "body"), ("", "tail")), (17, 23)),
    "Adrenal nodule": Finding("adrenal gland", _SIDES, (18, 24)),
    "Kidney stone": Finding("kidney", _SIDES, (9, 12)),
    "Renal cyst": Finding("kidney", _SIDES, (26, 36)),
    "Gastric wall thickening": Finding("stomach", _ANYWHERE, (11, 14)),
    "Bowel wall thickening": Finding("bowel", (("", "transverse"), ("", "descending")), (45, 65)),
    "Vertebral compression fracture": Finding("spine", (*_LEVELS[2:], ("", "L1")), (0, 0)),
    "Sclerotic bone lesion": Finding("spine", _LEVELS, (16, 20)),
}
"""Findings by label, as the built-in wide prompt table spells them. Regional ones stand first: they are painted first,
so that a small lesion within one is not painted over."""

ANATOMIES = tuple(dict.fromkeys(finding.anatomy for finding in FINDINGS.values()))
ABDOMINAL = frozenset(("liver", "gallbladder", "spleen", "pancreas", "adrenal gland", "kidney", "stomach", "bowel"))
MISSING: dict[str, frozenset[str]] = {CHEST: ABDOMINAL, BELOW_NECK: frozenset({"thyroid"}), WHOLE: frozenset()}
"""Anatomies that a field of view leaves out, in whole or in part."""

# Finding and place pairs that occur in the test split only.
UNSEEN_PAIRS = {
    "Lung nodule": ("left", "lower"),
    "Consolidation": ("right", "upper"),
    "Bronchiectasis": ("left", "upper"),
    "Liver cyst": ("left", ""),
    "Renal cyst": ("right", ""),
}
UNSEEN_SHARE = 0.35

_MAX_IN_LUNG, _MAX_ELSEWHERE = 4, 2
# Each would hide the other, or could not be told from it.
_INCOMPATIBLE = (
    {"Emphysema", "Mosaic attenuation pattern"},
    {"Interlobular septal thickening", "Mosaic attenuation pattern"},
    {"Emphysema", "Pulmonary fibrotic sequela"},
    {"Peribronchial thickening", "Bronchiectasis"},
    {"Pericardial effusion", "Cardiomegaly"},
    {"Hepatic steatosis", "Liver cyst"},
)


@dataclass(frozen=True)
class Plan:
    """One finding to be drawn: its label, the patient's side ("right", "left", "bilateral" or ""), part and size in mm."""

    label: str
    side: str
    part: str
    size: float

    @property
    def anatomy(self) -> str:
        return FINDINGS[self.label].anatomy

    @property
    def unseen(self) -> bool:
        """Whether this finding at this place occurs in the test split only."""
        return UNSEEN_PAIRS.get(self.label) == (self.side, self.part)

    @property
    def sides(self) -> tuple[str, ...]:
        return _BOTH if self.side == "bilateral" else (self.side,)


@dataclass(frozen=True)
class VolumePlan:
    """A volume's field of view and its findings, regional ones first."""

    field: str
    findings: tuple[Plan, ...]

    @property
    def missing(self) -> frozenset[str]:
        """Anatomies that the field of view leaves out, in whole or in part."""
        return MISSING[self.field]


def plan_volume(seed: int, split: str, index: int) -> VolumePlan:
    """Field of view and findings of volume `index` of a split, each label at most once."""
    block, position = divmod(index, BLOCK)
    field, labels = _block(np.random.default_rng([seed, SPLITS.index(split), block, 1]))[position]
    rng = np.random.default_rng([seed, SPLITS.index(split), index, 2])
    taken: set[tuple[str, str]] = set()
    ordered = [label for label in FINDINGS if label in labels]
    return VolumePlan(field, tuple(_place(rng, label, taken, split) for label in ordered))


def labels_of(plan: VolumePlan) -> dict[str, int]:
    """Ground truth: 1 present, 0 absent; findings of anatomies that the field of view leaves out are not in it."""
    present = {finding.label for finding in plan.findings}
    return {label: int(label in present) for label, finding in FINDINGS.items() if finding.anatomy not in plan.missing}


def _block(rng: np.random.Generator) -> list[tuple[str, list[str]]]:
    """Fields and labels of a block's volumes, dealt anew until every volume gets its number of labels that fit."""
    while True:
        counts, fields = rng.permutation(COUNTS), [str(field) for field in rng.permutation(FIELDS)]
        deck = [str(label) for label in rng.permutation([label for label in FINDINGS for _ in range(REPEATS)])]
        volumes = _deal(deck, counts, fields)
        if volumes is not None:
            return list(zip(fields, volumes, strict=True))


def _deal(deck: list[str], counts: np.ndarray, fields: list[str]) -> list[list[str]] | None:
    """Deal the deck to volumes, the fullest first, each taking the first cards that fit; None where one finds none."""
    volumes: list[list[str]] = [[] for _ in counts]
    for volume in np.argsort(-counts, kind="stable"):
        for _ in range(counts[volume]):
            missing = MISSING[fields[volume]]
            position = next((i for i, label in enumerate(deck) if _fits(label, volumes[volume], missing)), None)
            if position is None:
                return None
            volumes[volume].append(deck.pop(position))
    return volumes


def _fits(label: str, others: list[str], missing: frozenset[str]) -> bool:
    anatomy = FINDINGS[label].anatomy
    beside = sum(FINDINGS[other].anatomy == anatomy for other in others)
    return (
        label not in others
        and anatomy not in missing
        and beside < (_MAX_IN_LUNG if anatomy == "lung" else _MAX_ELSEWHERE)
        and not any(label in pair and pair & set(others) for pair in _INCOMPATIBLE)
    )


def _place(rng: np.random.Generator, label: str, taken: set[tuple[str, str]], split: str) -> Plan:
    """Choose place and size; of the lung's lobes one that another finding took is avoided while there is another."""
    pair, finding = UNSEEN_PAIRS.get(label), FINDINGS[label]
    lobar = finding.places == _LOBES
    places = [place for place in finding.places if place != pair]
    free = [place for place in places if place not in taken] if lobar else places
    side, part = choice(free or places, rng)
    if split == "test" and pair and not (lobar and pair in taken) and rng.random() < UNSEEN_SHARE:
        side, part = pair
    if lobar:
        taken.add((side, part))
    return Plan(label, side, part, float(rng.uniform(*finding.size)))
