"""Finding the words of a vocabulary in a text: the longest wins, "*" stands for all endings."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Match(NamedTuple):
    """Words of a vocabulary found in a text, at [start, end); `meanings` of all entries that fit them, longest entry first."""

    meanings: tuple[Any, ...]
    start: int
    end: int


class WordMatcher:
    """Finds words and phrases in texts, from left to right, the longest at each place.

        matcher = WordMatcher({"nodul*": "nodule", "lymph node": "lymph node"})
        [match.meanings for match in matcher.matches("nodular lymph node")]  # [("nodule",), ("lymph node",)]

    The longest entry is the one of most words, then of most characters as it is written. Entries of the alphabet fit whole words
    only; those of scripts that set no spaces (Chinese) fit anywhere.

    Args:
        meanings: what each entry means; entries and texts in the same form (lower case, folded). May be empty.
    """

    def __init__(self, meanings: Mapping[str, Any]) -> None:
        ordered = sorted(meanings, key=lambda entry: (len(entry.split()), len(entry)), reverse=True)
        self.pattern = _pattern(ordered)
        self._regex = re.compile(self.pattern)
        # One pattern with a group for each entry would name the meaning at once, and is 25 times slower.
        self._entries = [(re.compile(_pattern([entry])), meanings[entry]) for entry in ordered]
        self._known: dict[str, tuple[Any, ...]] = {}

    def matches(self, text: str) -> list[Match]:
        """Every match, in the order of the text."""
        return [Match(self._meanings(match.group()), *match.span()) for match in self._regex.finditer(text)]

    def is_in(self, text: str) -> bool:
        """Whether any entry is in a text."""
        return self._regex.search(text) is not None

    def fits_at(self, text: str, start: int = 0) -> bool:
        """Whether any entry begins at a position."""
        return self._regex.match(text, start) is not None

    def _meanings(self, found: str) -> tuple[Any, ...]:
        if found not in self._known:
            self._known[found] = tuple(meaning for regex, meaning in self._entries if regex.fullmatch(found))
        return self._known[found]


def _pattern(entries: Sequence[str]) -> str:
    """Matches the first of the entries that fits, nothing where there are none."""
    runs = []
    for alphabetic, run in itertools.groupby(entries, str.isascii):
        written = "|".join(re.escape(entry).replace(r"\*", r"\w*") for entry in run)
        runs.append(rf"(?<!\w)(?:{written})(?!\w)" if alphabetic else written)
    return "|".join(runs) or "(?!)"
