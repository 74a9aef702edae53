"""Which parts of the body a clause of a report speaks of, by the words of a domain's parts (scripts/domains/ct/parts.json)."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from scripts.cases.domain import read_domain
from scripts.cases.values import Text
from scripts.files.validation import StrictModel
from scripts.reports.matcher import WordMatcher
from scripts.reports.sections import fold_ascii
from scripts.reports.tables import LexiconError, read_table


class Parts(NamedTuple):
    """Parts that a clause names, and parts that it is likely to be on if it names none."""

    named: frozenset[str]
    implied: frozenset[str]


class Part(StrictModel):
    """Words that name a part of the body or a finding that only it can have; findings and places that are most often its own."""

    terms: list[Text]
    hints: list[Text]


class Vocabulary(StrictModel):
    """The words by which parts of the body are told. They are lower-case; "*" stands for all endings; the longest phrase wins.

    Attributes:
        parts: by name; those that no anatomy of a table has are there all the same, so that their sentences are not taken for
            another's.
        claiming: parts whose clauses name others only to say where ("lymph nodes beside the trachea").
        places: words after which a part is a landmark ("adjacent to the aorta").
        continuing: words that begin a sentence on what the sentence before was on.
        general: words of sentences on no part at all: advice, technique, comparison, signatures.
        verbs: forms that make a clause a sentence of its own.
    """

    parts: dict[str, Part]
    claiming: list[Text]
    places: list[Text]
    continuing: list[Text]
    general: list[Text]
    verbs: list[Text]


@functools.lru_cache(maxsize=8)
def read_vocabulary(domain: str) -> Vocabulary:
    """The vocabulary of a domain, by its name or folder.

    Raises:
        DomainError: no such domain, or one without parts.
        LexiconError: a faulty vocabulary; all faults at once.
    """
    path = read_domain(domain).table("parts")
    return read_table(path, Vocabulary, "vocabulary of parts", "copy the form of scripts/domains/ct/parts.json", LexiconError)


def plain_words(text: str) -> str:
    """Lower-case ASCII words with single spaces; the form in which texts and entries are compared."""
    return " ".join(re.findall(r"[a-z0-9]+", fold_ascii(text).lower()))


class PartFinder:
    """Finds parts of the body in clauses.

    Args:
        words: of the domain.
        further: words that name something else than the vocabulary's parts, by what they name.
    """

    def __init__(self, words: Vocabulary, further: Mapping[str, Iterable[str]]) -> None:
        self._terms = _owners({name: part.terms for name, part in words.parts.items()} | dict(further))
        self._hints = _owners({name: part.hints for name, part in words.parts.items()})
        self.claiming = frozenset(words.claiming)
        places = WordMatcher(dict.fromkeys(words.places))
        # A landmark stands up to three words after its preposition ("adjacent to the left anterior pericardium").
        self._landmark = re.compile(f"(?:{places.pattern})(?: [a-z0-9]+){{0,3}} $")
        self._continuing, self._general, self._verbs = (
            WordMatcher(dict.fromkeys(entries)) for entries in (words.continuing, words.general, words.verbs)
        )

    def parts(self, piece: str) -> Parts:
        """The parts that a clause or a piece of one is on."""
        text = plain_words(piece)
        named: set[str] = set()
        implied = set().union(*(match.meanings[0] for match in self._hints.matches(text)))
        for match in self._terms.matches(text):
            (implied if self._landmark.search(text[: match.start]) else named).update(match.meanings[0])
        return Parts(frozenset(named & self.claiming or named), frozenset(implied))

    def ends_on_part(self, clause: str) -> bool:
        """Whether a part or a hint of one is the last that a clause says, as in an enumeration that goes on."""
        text = plain_words(clause)
        return any(match.end == len(text) for owners in (self._terms, self._hints) for match in owners.matches(text))

    def continues(self, sentence: str) -> bool:
        """Whether a sentence begins as one that goes on about what was said before ("Its contours ...")."""
        return self._continuing.fits_at(plain_words(sentence))

    def is_general(self, sentence: str) -> bool:
        """Whether a sentence that names no part is on none, such as advice or remarks on technique."""
        return self._general.is_in(plain_words(sentence))

    def has_verb(self, clause: str) -> bool:
        return self._verbs.is_in(plain_words(clause))


def _owners(entries: Mapping[str, Iterable[str]]) -> WordMatcher:
    """Finds words and tells whose they are; a word may be several parts' own."""
    owners: dict[str, set[str]] = {}
    for name, own in entries.items():
        for entry in own:
            owners.setdefault(" ".join(re.findall(r"[a-z0-9*]+", fold_ascii(entry).lower())), set()).add(name)
    return WordMatcher(owners)
