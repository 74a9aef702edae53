"""Whether the findings of a text are stated, in doubt or denied: which cue reaches which finding, whatever the lexicon.

Lexicons say by their words where a cue's reach ends; the readers hand that over as positions. What reaches is decided here alone.
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import Literal, NamedTuple

State = Literal["present", "uncertain", "negated"]


class Tag(NamedTuple):
    """Words of a lexicon in a text, at [start, end).

    Attributes:
        kinds: what they are: "findings", "negation_before" (denies what follows), "negation_after" (what stands before),
            "uncertain_before", "uncertain_after", and kinds that reach nothing.
        name: the finding that they mean, "" where the lexicon names none.
    """

    start: int
    end: int
    kinds: frozenset[str]
    name: str = ""


class Scopes:
    """The cues of a text and how far they reach.

    Args:
        tags: of the text, in order.
        ahead: positions at which the reach of cues that stand before a finding ends.
        behind: the same of cues that stand after it; those of `ahead` by default.
    """

    def __init__(self, tags: Iterable[Tag], ahead: Iterable[int], behind: Iterable[int] | None = None) -> None:
        self.tags = list(tags)
        self._ahead = sorted(ahead)
        self._behind = self._ahead if behind is None else sorted(behind)

    def clauses(self) -> list[list[Tag]]:
        """The tags between one end of reach and the next."""
        parts: dict[int, list[Tag]] = {}
        for tag in self.tags:
            parts.setdefault(bisect_right(self._ahead, tag.start), []).append(tag)
        return list(parts.values())

    def state(self, finding: Tag) -> State:
        """Whether a finding is stated, in doubt or denied; a denial outweighs a doubt."""
        if self.reached(finding, "negation"):
            return "negated"
        return "uncertain" if self.reached(finding, "uncertain") else "present"

    def reached(self, finding: Tag, what: Literal["negation", "uncertain"], *, only_from_behind: bool = False) -> bool:
        """Whether a denial or a doubt reaches a finding, from before it or from behind it."""
        tags = self.tags if not only_from_behind else [tag for tag in self.tags if tag.start >= finding.start]
        return any(self._reaches(tag, finding, what) for tag in tags)

    def follows(self, cue: Tag, tag: Tag, what: Literal["negation", "uncertain"]) -> bool:
        """Whether a tag stands in the reach of a cue before it that denies or doubts what follows."""
        return f"{what}_before" in cue.kinds and self._same_clause(cue, tag)

    def _reaches(self, tag: Tag, finding: Tag, what: str) -> bool:
        forward, backward = f"{what}_before" in tag.kinds, f"{what}_after" in tag.kinds
        if not (forward or backward) or not self._same_clause(tag, finding):
            return False
        if forward and backward:  # "resolved effusion", "effusion resolved": backward where there is a finding to reach
            first = next(one for one in self.tags if "findings" in one.kinds and self._same_clause(tag, one))
            backward = first.start < tag.start
            forward = not backward
        return forward if tag.start < finding.start else backward

    def _same_clause(self, tag: Tag, other: Tag) -> bool:
        ends = self._ahead if tag.start < other.start else self._behind
        return bisect_right(ends, tag.start) == bisect_right(ends, other.start)
