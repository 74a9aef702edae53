"""What each phantom film shows, and where, so that every split holds every finding equally often.

Films come in blocks of 50. In every block 10 films are normal, 13 hold one finding, 14 two and 13 three, 80 findings in
all, and each of the ten labels occurs in exactly eight films. A block's plan depends on (seed, split, block) alone.
"""

from dataclasses import dataclass

import numpy as np

from scripts.phantoms.common.words import choice

SPLITS = ("training", "validation", "test")
LABELS = (
    "consolidation",
    "pleural effusion",
    "pneumothorax",
    "atelectasis",
    "nodule",
    "mass",
    "cardiomegaly",
    "pulmonary edema",
    "reticular opacity",
    "hilar enlargement",
)
BLOCK = 50
COUNTS = (0,) * 10 + (1,) * 13 + (2,) * 14 + (3,) * 13

# Finding and place pairs that occur in the test split only: (side, zone) of each label.
UNSEEN_PAIRS = {
    "consolidation": ("left", "upper"),
    "nodule": ("right", "lower"),
    "atelectasis": ("right", "upper"),
    "mass": ("left", "middle"),
}
UNSEEN_SHARE = 0.35

_INCOMPATIBLE = (
    {"pulmonary edema", "hilar enlargement"},
    {"pulmonary edema", "reticular opacity"},
)
_ZONES = ("upper", "middle", "lower")
_BOTH = ("right", "left")
_CELLS = {
    "consolidation": [(side, zone) for side in _BOTH for zone in _ZONES],
    "pleural effusion": [
        ("right", "lower"),
        ("left", "lower"),
        ("right", "lower"),
        ("left", "lower"),
        ("bilateral", "lower"),
    ],
    "pneumothorax": [("right", "upper"), ("left", "upper")],
    "atelectasis": [(side, zone) for side in _BOTH for zone in ("upper", "middle", "lower", "lower")],
    "nodule": [(side, zone) for side in _BOTH for zone in _ZONES],
    "mass": [(side, zone) for side in _BOTH for zone in _ZONES],
    "cardiomegaly": [("", "")],
    "pulmonary edema": [("bilateral", "perihilar")],
    "reticular opacity": [(side, zone) for side in ("right", "left", "bilateral") for zone in ("upper", "lower", "lower")],
    "hilar enlargement": [
        ("right", "hilar"),
        ("left", "hilar"),
        ("right", "hilar"),
        ("left", "hilar"),
        ("bilateral", "hilar"),
    ],
}
# Box area over film area, drawn log-uniformly; pooled over labels this gives about the quartiles of the boxes of
# NIH ChestX-ray14: 1 %, 4 % and 6 %.
_AREAS = {
    "consolidation": (0.01, 0.1),
    "pleural effusion": (0.005, 0.07),
    "pneumothorax": (0.018, 0.075),
    "atelectasis": (0.006, 0.08),
    "nodule": (0.003, 0.0105),
    "mass": (0.016, 0.07),
    "cardiomegaly": (0.0, 0.0),
    "pulmonary edema": (0.06, 0.13),
    "reticular opacity": (0.03, 0.1),
    "hilar enlargement": (0.009, 0.04),
}


@dataclass(frozen=True)
class Plan:
    """One finding to be drawn.

    side is "right", "left", "bilateral" or "" (the patient's side: right is on the left of the film); zone is "upper",
    "middle", "lower", "hilar", "perihilar" or ""; area is the box area aimed at over the film's area; form names the
    kind of shape where a label has two.
    """

    label: str
    side: str
    zone: str
    area: float
    form: str = ""

    @property
    def unseen(self) -> bool:
        """Whether this finding at this place occurs in the test split only."""
        return UNSEEN_PAIRS.get(self.label) == (self.side, self.zone)

    @property
    def sides(self) -> tuple[str, ...]:
        return _BOTH if self.side == "bilateral" else (self.side,)


def plan_film(seed: int, split: str, index: int) -> list[Plan]:
    """Findings of film `index` of a split, none to three, each label at most once."""
    block, position = divmod(index, BLOCK)
    labels = _block_labels(np.random.default_rng([seed, SPLITS.index(split), block, 1]))[position]
    rng = np.random.default_rng([seed, SPLITS.index(split), index, 2])
    # A large heart hides the left lower lung.
    taken = {("left", "lower")} if "cardiomegaly" in labels else set()
    return [_place(rng, label, taken, split) for label in labels]


def _block_labels(rng: np.random.Generator) -> list[list[str]]:
    """Labels of a block's films, shuffled until no film holds a label twice or two that exclude each other."""
    counts = rng.permutation(COUNTS)
    deck = [label for label in LABELS for _ in range(sum(COUNTS) // len(LABELS))]
    while True:
        deck = list(rng.permutation(deck))
        films = _deal(rng, deck, counts)
        if films is not None:
            return films


def _deal(rng: np.random.Generator, deck: list[str], counts: np.ndarray) -> list[list[str]] | None:
    """Deal the deck to films, the fullest first, each taking the first cards that fit; None where one finds none."""
    films: list[list[str]] = [[] for _ in counts]
    for film in np.argsort(-counts, kind="stable"):
        for _ in range(counts[film]):
            position = next((i for i, label in enumerate(deck) if _fits(label, films[film])), None)
            if position is None:
                return None
            films[film].append(str(deck.pop(position)))
    return films


def _fits(label: str, others: list[str]) -> bool:
    return label not in others and not any(label in pair and pair & set(others) for pair in _INCOMPATIBLE)


def _place(rng: np.random.Generator, label: str, taken: set[tuple[str, str]], split: str) -> Plan:
    """Choose side, zone, size and form; a zone that another finding took is avoided while there is another."""
    pair = UNSEEN_PAIRS.get(label)
    cells = [cell for cell in _CELLS[label] if cell != pair]
    free = [cell for cell in cells if not _covered(cell) & taken] or cells
    side, zone = choice(free, rng)
    if split == "test" and pair and not _covered(pair) & taken and rng.random() < UNSEEN_SHARE:
        side, zone = pair
    taken |= _covered((side, zone))
    low, high = _AREAS[label]
    area = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if low else 0.0
    form = ""
    if label == "atelectasis":
        form = "wedge" if area > 0.018 else "plate"
    return Plan(label, side, zone, area, form)


def _covered(cell: tuple[str, str]) -> set[tuple[str, str]]:
    """The (side, zone) cells that a place covers; hila and heart leave the zones free."""
    side, zone = cell
    if zone not in _ZONES:
        return set()
    return {(name, zone) for name in (_BOTH if side == "bilateral" else (side,))}
