"""Which parts of the body a clause of a CT report speaks of, by the words of scripts/domains/ct/parts.json."""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from scripts.cases.domain import DOMAINS
from scripts.reports.sections import fold_ascii

CT_PARTS = DOMAINS / "ct" / "parts.json"


class Parts(NamedTuple):
    """Parts that a clause names, and parts that it is likely to be on if it names none."""

    named: frozenset[str]
    implied: frozenset[str]


@functools.cache
def ct_vocabulary() -> dict:
    """The vocabulary. Words and phrases are lower-case; "*" stands for all endings of a word; the longest phrase wins.

    parts: for each part of the body its `terms`, words that name it or a finding that only it can have, and its `hints`, findings
        and places that are most often its own. Parts that no anatomy of a table has are there all the same, so that their
        sentences are not taken for another's.
    claiming: parts whose clauses name others only to say where ("lymph nodes beside the trachea").
    places: words after which a part is a landmark ("adjacent to the aorta").
    continuing: words that begin a sentence on what the sentence before was on.
    general: words of sentences on no part at all: advice, technique, comparison, signatures.
    verbs: forms that make a clause a sentence of its own.
    """
    return json.loads(CT_PARTS.read_text(encoding="utf-8"))


def part_names() -> tuple[str, ...]:
    """All parts of the vocabulary."""
    return tuple(ct_vocabulary()["parts"])


def plain_words(text: str) -> str:
    """Lower-case ASCII words with single spaces; what patterns of `cue_pattern` are searched in."""
    return " ".join(re.findall(r"[a-z0-9]+", fold_ascii(text).lower()))


def cue_pattern(cues: Iterable[str], start: bool = False) -> re.Pattern[str]:
    """A pattern that finds whole words and phrases, the longest at each place; "*" stands for all endings.

    Args:
        cues: at least one.
        start: only at the start of the text.
    """
    written = "|".join(re.escape(cue).replace(r"\*", r"\w*") for cue in sorted(cues, key=len, reverse=True))
    return re.compile(rf"{'^' if start else ''}\b(?:{written})\b")


class PartFinder:
    """Finds parts of the body in clauses.

    Args:
        further: words that name something else than the vocabulary's parts, by what they name.
    """

    def __init__(self, further: Mapping[str, Iterable[str]]) -> None:
        words = ct_vocabulary()
        self._terms = _Owners({name: part["terms"] for name, part in words["parts"].items()} | dict(further))
        self._hints = _Owners({name: part["hints"] for name, part in words["parts"].items()})
        self.claiming = frozenset(words["claiming"])
        # A landmark stands up to three words after its preposition ("adjacent to the left anterior pericardium").
        self._landmark = re.compile(f"{cue_pattern(words['places']).pattern}(?: [a-z0-9]+){{0,3}} $")
        self._continuing = cue_pattern(words["continuing"], start=True)
        self._general = cue_pattern(words["general"])
        self._verbs = cue_pattern(words["verbs"])

    def parts(self, piece: str) -> Parts:
        """The parts that a clause or a piece of one is on."""
        text = plain_words(piece)
        named, implied = set(), self._hints.of(text)
        for match, parts in self._terms.matches(text):
            (implied if self._landmark.search(text[: match.start()]) else named).update(parts)
        return Parts(frozenset(named & self.claiming or named), frozenset(implied))

    def ends_on_part(self, clause: str) -> bool:
        """Whether a part or a hint of one is the last that a clause says, as in an enumeration that goes on."""
        text = plain_words(clause)
        return any(match.end() == len(text) for owners in (self._terms, self._hints) for match, _ in owners.matches(text))

    def continues(self, sentence: str) -> bool:
        """Whether a sentence begins as one that goes on about what was said before ("Its contours ...")."""
        return bool(self._continuing.search(plain_words(sentence)))

    def is_general(self, sentence: str) -> bool:
        """Whether a sentence that names no part is on none, such as advice or remarks on technique."""
        return bool(self._general.search(plain_words(sentence)))

    def has_verb(self, clause: str) -> bool:
        return bool(self._verbs.search(plain_words(clause)))


class _Owners:
    """Words and whose they are; a word may be several parts' own."""

    def __init__(self, cues: Mapping[str, Iterable[str]]) -> None:
        owners: dict[str, set[str]] = {}
        for name, own in cues.items():
            for cue in own:
                words_of_cue = re.findall(r"[a-z0-9*]+", fold_ascii(cue).lower())
                owners.setdefault(" ".join(words_of_cue), set()).add(name)
        self._pattern = cue_pattern(owners)
        # One pattern with a group for each cue would name the owner at once, and is 25 times slower.
        self._cues = [(cue_pattern([cue]), owners[cue]) for cue in sorted(owners, key=len, reverse=True)]
        self._known: dict[str, set[str]] = {}

    def matches(self, text: str) -> list[tuple[re.Match[str], set[str]]]:
        return [(match, self._owners_of(match.group())) for match in self._pattern.finditer(text)]

    def of(self, text: str) -> set[str]:
        return set().union(*(parts for _, parts in self.matches(text)))

    def _owners_of(self, found: str) -> set[str]:
        if found not in self._known:
            self._known[found] = next(names for pattern, names in self._cues if pattern.fullmatch(found))
        return self._known[found]
