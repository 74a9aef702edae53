"""What each phantom exam shows: its class, its co-findings, which regions are imaged, and by which hospital.

Exams come in blocks of 30, ten of each class. Exams 2j and 2j + 1 share class and hospital, because now and then they are the
same patient's. A block's decks depend on (seed, split, block) alone, the rest on (seed, split, index).

One exam in five is half of a hard pair: a hyperplasia without furrows against a submucosal carcinoma (both smooth mounds), a
one-sided hyperplasia, and an early carcinoma that shows by nothing but a blunted fossa of Rosenmueller.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from scripts.phantoms.common.words import choice

SPLITS = ("training", "validation", "test")
CLASSES = ("NOR", "BH", "NPC")
SITES = ("centre A", "centre B", "centre C")
"""Hospitals; the last one occurs in the test split only, in about half of its exams."""

REGIONS = (
    "septum",
    "inferior turbinate",
    "middle turbinate",
    "middle meatus",
    "olfactory cleft",
    "inferior meatus",
    "choana",
    "nasopharynx",
    "torus tubarius",
    "fossa of rosenmueller",
)
BLOCK = 30
FORMS: dict[str, tuple[str, ...]] = {
    "NOR": ("normal",) * 10,
    "BH": ("furrowed",) * 7 + ("furrowless",) * 2 + ("unilateral",),
    "NPC": ("nodular",) * 3 + ("ulcerated",) * 2 + ("fungating",) * 2 + ("submucosal",) * 2 + ("early",),
}
"""How the nasopharynx looks, by class: one entry for every exam of a block."""
HARD = frozenset(("furrowless", "unilateral", "submucosal", "early"))

HYPERPLASIA, ADENOID_OBSTRUCTION = "adenoid hyperplasia", "adenoid obstruction"
MASS, OBLITERATED, SWOLLEN_TORUS = "nasopharyngeal mass", "obliterated fossa", "swollen torus"
IRRADIATED = "post-radiotherapy change"


class CoFinding(NamedTuple):
    """Regions of which one shows the finding, share of the exams that have it, whether it has a side."""

    regions: tuple[str, ...]
    share: float
    sided: bool = True


CO_FINDINGS: dict[str, CoFinding] = {
    "septal deviation": CoFinding(("septum",), 0.1),
    "septal spur": CoFinding(("septum",), 0.05),
    "septal perforation": CoFinding(("septum",), 0.04, sided=False),
    "bleeding point": CoFinding(("septum",), 0.04),
    "turbinate hypertrophy": CoFinding(("inferior turbinate",), 0.07, sided=False),
    "allergic rhinitis": CoFinding(("inferior turbinate",), 0.08, sided=False),
    "rhinitis": CoFinding(("inferior turbinate",), 0.08, sided=False),
    "mulberry turbinate": CoFinding(("inferior turbinate",), 0.05),
    "polypoid middle turbinate": CoFinding(("middle turbinate",), 0.05),
    "paradoxical middle turbinate": CoFinding(("middle turbinate",), 0.05),
    "concha bullosa": CoFinding(("middle turbinate",), 0.05),
    "nasal polyp": CoFinding(("middle meatus", "middle meatus", "olfactory cleft"), 0.1),
    "sinusitis": CoFinding(("middle meatus",), 0.09),
    "mucosal oedema": CoFinding(("middle meatus", "olfactory cleft"), 0.08),
    "secretions": CoFinding(("inferior meatus", "nasopharynx"), 0.1, sided=False),
    "crusts": CoFinding(("inferior meatus",), 0.07),
    "choanal polyp": CoFinding(("choana",), 0.05),
    IRRADIATED: CoFinding(("nasopharynx",), 0.06, sided=False),
}
"""Findings that occur beside any class; changes after radiotherapy beside NOR and NPC."""
FINDINGS: dict[str, tuple[str, ...]] = {
    HYPERPLASIA: ("nasopharynx",),
    ADENOID_OBSTRUCTION: ("choana",),
    MASS: ("nasopharynx",),
    OBLITERATED: ("fossa of rosenmueller",),
    SWOLLEN_TORUS: ("torus tubarius",),
    **{label: tuple(dict.fromkeys(kind.regions)) for label, kind in CO_FINDINGS.items()},
}
"""Every finding and the regions that may show it."""

# Share of the exams that image a region; the nasopharynx is in every exam. What makes the class changes nothing in it, so that
# what is imaged does not tell the class; a co-finding brings its region along.
_IMAGED = dict.fromkeys(REGIONS, 0.25) | {"torus tubarius": 0.5, "fossa of rosenmueller": 0.85}
_IMAGED_CO_FINDING = 0.85
_REPEATED, _BLURRED = 0.12, 0.08
_SAME_PATIENT = 0.3
_MAX_CO_FINDINGS = 3
_MIN_IMAGES, _MAX_IMAGES = 3, 8


@dataclass(frozen=True)
class Plan:
    """A finding in one region.

    side is the patient's: "right", "left" or "" (both, or the midline); form tells how it looks where there are several ways;
    size is relative, 1 in the middle.
    """

    label: str
    region: str
    side: str
    form: str = ""
    size: float = 1.0


@dataclass(frozen=True)
class View:
    """One image: the region it shows, from which side, of which quality; `repeats` is the place of the view it repeats."""

    region: str
    side: str
    blurred: bool = False
    repeats: int | None = None


@dataclass(frozen=True)
class ExamPlan:
    """An exam: class, form of its nasopharynx, hospital, number of its patient, findings and images."""

    label: str
    form: str
    site: str
    patient: int
    findings: tuple[Plan, ...]
    views: tuple[View, ...]

    @property
    def hard(self) -> bool:
        """Whether this exam is half of a hard pair."""
        return self.form in HARD

    def seen_in(self, view: View) -> tuple[Plan, ...]:
        """Findings within a view: those of its region on its side, in the nasopharynx those of both fossae and tori."""
        return tuple(finding for finding in self.findings if _shows(view, finding))


def plan_exam(seed: int, split: str, index: int) -> ExamPlan:
    """Plan of exam `index` of a split."""
    block, position = divmod(index, BLOCK)
    number = SPLITS.index(split)
    label, form = _deal(np.random.default_rng([seed, number, block, 1]))[position]
    pair = np.random.default_rng([seed, number, index // 2, 2])
    patient = index - index % 2 if pair.random() < _SAME_PATIENT else index
    held_out = split == "test" and pair.random() < 0.5
    site = SITES[-1] if held_out else SITES[pair.integers(len(SITES) - 1)]
    rng = np.random.default_rng([seed, number, index, 3])
    main = _main_findings(rng, label, form)
    findings = (*main, *_co_findings(rng, label, {finding.region for finding in main} - {"nasopharynx"}))
    return ExamPlan(label, form, site, patient, findings, _views(rng, findings))


def _deal(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Class and form of a block's exams; exams 2j and 2j + 1 share the class."""
    decks = {label: [str(form) for form in rng.permutation(FORMS[label])] for label in CLASSES}
    pairs = [label for label in CLASSES for _ in range(len(FORMS[label]) // 2)]
    return [(str(label), decks[str(label)].pop()) for label in rng.permutation(pairs) for _ in range(2)]


def _main_findings(rng: np.random.Generator, label: str, form: str) -> tuple[Plan, ...]:
    """What makes the class: nothing for NOR, a mound for BH, a mass with what it does to its side for NPC."""
    side, size = _side(rng), float(rng.uniform(0.85, 1.2))
    if label == "NOR":
        return ()
    if label == "BH":
        mound = Plan(HYPERPLASIA, "nasopharynx", side if form == "unilateral" else "", form, size)
        blocked = (Plan(ADENOID_OBSTRUCTION, "choana", ""),) if form == "furrowed" and rng.random() < 0.3 else ()
        return (mound, *blocked)
    filled = Plan(OBLITERATED, "fossa of rosenmueller", side, "blunted" if form == "early" else form, size)
    if form == "early":
        return (filled,)
    swollen = (Plan(SWOLLEN_TORUS, "torus tubarius", side),) if rng.random() < 0.6 else ()
    return (Plan(MASS, "nasopharynx", side, form, size), filled, *swollen)


def _co_findings(rng: np.random.Generator, label: str, taken: set[str]) -> tuple[Plan, ...]:
    """Co-findings, alike for every class but for radiotherapy: no more than three, one a region, none in a region taken."""
    found: dict[str, Plan] = {}
    for name in rng.permutation(list(CO_FINDINGS)):
        kind = CO_FINDINGS[str(name)]
        region, side = choice(kind.regions, rng), _side(rng)
        excluded = name == IRRADIATED and label == "BH"
        if rng.random() < kind.share and not excluded and region not in taken | found.keys() and len(found) < _MAX_CO_FINDINGS:
            found[region] = Plan(str(name), region, side if kind.sided else "", size=float(rng.uniform(0.85, 1.2)))
    return tuple(found.values())


def _views(rng: np.random.Generator, findings: tuple[Plan, ...]) -> tuple[View, ...]:
    """Images of an exam in random order, then repeats: the nasopharynx, regions with findings, some others."""
    wanted = [View("nasopharynx", "")]
    for finding in findings:
        odds = _IMAGED_CO_FINDING if finding.label in CO_FINDINGS else _IMAGED[finding.region]
        imaged = rng.random() < odds or finding.form == "blunted"
        if finding.region != "nasopharynx" and imaged:
            wanted.append(View(finding.region, finding.side or _side(rng)))
    with_finding = {finding.region for finding in findings} | {"nasopharynx"}
    others = [region for region in REGIONS if region not in with_finding]
    wanted += [View(str(r), _side(rng)) for r in rng.permutation(others) if rng.random() < _IMAGED[str(r)]]
    while len(wanted) < _MIN_IMAGES:
        wanted.append(View(choice(others, rng), _side(rng)))
    views = [wanted[i] for i in rng.permutation(min(len(wanted), _MAX_IMAGES))]
    for index in range(len(views)):
        if len(views) < _MAX_IMAGES and rng.random() < _REPEATED:
            views.append(replace(views[index], repeats=index))
    # A blurred frame most often has a sharp twin, as in a video.
    odds = [_BLURRED * (3 if view.repeats is not None else 1) for view in views]
    return tuple(replace(view, blurred=bool(rng.random() < odd)) for view, odd in zip(views, odds, strict=True))


def _shows(view: View, finding: Plan) -> bool:
    if view.region == "nasopharynx":
        return finding.region == "nasopharynx" or finding.label in (OBLITERATED, SWOLLEN_TORUS)
    beside = view.region == "torus tubarius" and finding.label == OBLITERATED
    return (finding.region == view.region or beside) and finding.side in ("", view.side)


def _side(rng: np.random.Generator) -> str:
    return ("right", "left")[rng.integers(2)]
