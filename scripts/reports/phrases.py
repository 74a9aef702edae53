"""Which phrases of a report can be pointed at: those that say a finding is there, not those that say it is not."""

import functools
import itertools
import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple

from scripts.cases.domain import DOMAINS, Domain, read_domain
from scripts.reports.exams import ExamLexicon, exam_sentences
from scripts.reports.sections import fold_ascii

Polarity = Literal["present", "negated", "normal", "uncertain"]
Cue = tuple[str, ...]

CXR_LEXICON = DOMAINS / "cxr" / "lexicon.json"
_PUNCTUATION = frozenset(",.;()")


@dataclass(frozen=True)
class PhraseLexicon:
    """Words that decide a phrase's polarity; each field is a key of the JSON file, a list of words or phrases.

    A last word ending in "*" stands for all its endings. Where several entries fit, the longest wins ("no change in"
    over "no").

    Attributes:
        findings: what can be seen in an image when it is there.
        negation_before, negation_after: deny the findings that follow, or precede, in the same clause.
        not_negation: look like a negation and are none ("not only", "partially resolved").
        unchanged: say nothing but that all is as it was, unless a finding stands beside them.
        uncertain_before, uncertain_after: as the negations, for doubt.
        normal: statements of a normal anatomy; they do not reach a finding in the same clause.
        clause_breaks: end the reach of all of these.
        new_finding: words that begin a new finding after a comma, "and" or "with", and so end the reach too.
    """

    findings: tuple[Cue, ...]
    negation_before: tuple[Cue, ...]
    negation_after: tuple[Cue, ...]
    not_negation: tuple[Cue, ...]
    unchanged: tuple[Cue, ...]
    uncertain_before: tuple[Cue, ...]
    uncertain_after: tuple[Cue, ...]
    normal: tuple[Cue, ...]
    clause_breaks: tuple[Cue, ...]
    new_finding: tuple[Cue, ...]

    @classmethod
    def load(cls, path: str | Path) -> "PhraseLexicon":
        """Read a lexicon; `scripts/domains/cxr/lexicon.json` is the model for others.

        Raises:
            ValueError: keys missing or unknown, or a value that is not a list of non-empty strings (all faults are
                named).
        """
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        names = [field.name for field in fields(cls)]
        faults = [f"{key}: missing" for key in names if key not in data]
        faults += [f"{key}: unknown" for key in data if key not in names]
        faults += [
            f"{key}: must be a list of words, got {value!r:.60}"
            for key, value in data.items()
            if not isinstance(value, list) or not all(isinstance(word, str) and word.strip() for word in value)
        ]
        if faults:
            raise ValueError(f"lexicon {path}: {'; '.join(faults)}; the keys are {', '.join(names)}")
        return cls(**{key: tuple(tuple(cue.lower().split()) for cue in data[key]) for key in names})


class _Tag(NamedTuple):
    """A lexicon entry found in a phrase: words [start, end)."""

    start: int
    end: int
    kinds: frozenset[str]


def phrase_polarity(phrase: str, lexicon: str | Path = CXR_LEXICON) -> Polarity:
    """Judge whether a phrase says that a finding is there.

    Rules in the manner of NegEx (Chapman et al., J Biomed Inform 34:301-310, 2001): a negation or a doubt reaches the
    findings after it (or before it, for words such as "is not seen") up to the end of its clause: a full stop, "but",
    "except", or a comma, "and" or "with" that begins a new finding ("no effusion, small nodule"); an enumeration ("no
    effusion, nodule, or mass") goes on.

    Args:
        phrase: a phrase or sentence, in any case.
        lexicon: JSON file of words, see `PhraseLexicon`.

    Returns:
        "present" when any finding is stated, or the phrase holds nothing the lexicon knows; else "uncertain" when any
        is in doubt; else "negated" when any is denied; else "normal" (a normal or unchanged anatomy without a finding).

    Raises:
        ValueError: a phrase without a word, or a faulty lexicon.
    """
    words = re.findall(
        r"[a-z0-9_]+(?:\.\d+)?|[,.;()]", fold_ascii(phrase).lower().replace("can't", "cannot").replace("n't", " not")
    )
    if not any(word not in _PUNCTUATION for word in words):
        raise ValueError(f"a phrase without a word has no polarity: {phrase!r}")
    known = _load_cached(Path(lexicon))
    verdicts = {_clause_polarity(clause) for clause in _clauses(words, _find(words, known), known)}
    for verdict in ("present", "uncertain", "negated", "normal"):
        if verdict in verdicts:
            return verdict
    return "present"


def is_groundable(phrase: str, lexicon: str | Path = CXR_LEXICON) -> bool:
    """Whether the phrase can be pointed at: a finding stated or suspected, not one denied, nor a normal anatomy.

    Arguments and errors as for `phrase_polarity`.
    """
    return phrase_polarity(phrase, lexicon) in ("present", "uncertain")


@dataclass(frozen=True)
class Judgement:
    """Whether a phrase can be pointed at, and why.

    Attributes:
        groundable: whether it states or suspects a finding.
        polarity: what it says; None where it is not understood.
        reason: in words.
    """

    groundable: bool
    polarity: Polarity | None
    reason: str


def judge_phrase(phrase: str, domain: str | Path | Domain) -> Judgement:
    """Judge whether a phrase can be pointed at, by the lexicons of a domain in all its languages.

    Raises:
        DomainError: no such domain.
    """
    domain = read_domain(domain)
    files = [domain.lexicon(language) for language in domain.lexicons]
    strange = Judgement(
        False, None, f"not understood: no word in a language of domain {domain.name} ({', '.join(domain.lexicons)})"
    )
    if any(isinstance(json.loads(file.read_text(encoding="utf-8")).get("findings"), dict) for file in files):
        sentences = exam_sentences(phrase, ExamLexicon.load(files))
        if any(sentence.findings for sentence in sentences):
            return Judgement(True, "present", "states a finding")
        return (
            Judgement(False, "normal", "denies a finding, or describes a normal state")
            if any(s.normal for s in sentences)
            else strange
        )
    if not any(character.isascii() and character.isalnum() for character in fold_ascii(phrase)):
        return strange
    polarity = phrase_polarity(phrase, files[0])
    return Judgement(polarity in ("present", "uncertain"), polarity, f"the phrase is {polarity}")


@functools.lru_cache(maxsize=8)
def _load_cached(path: Path) -> PhraseLexicon:
    return PhraseLexicon.load(path)


def _fits(cue: Cue, words: list[str], start: int) -> bool:
    if start + len(cue) > len(words):
        return False
    return all(
        word.startswith(part[:-1]) if part.endswith("*") else word == part
        for part, word in zip(cue, words[start : start + len(cue)], strict=True)
    )


def _find(words: list[str], lexicon: PhraseLexicon) -> list[_Tag]:
    """All entries in the phrase from left to right, the longest at each place; `new_finding` words left out."""
    kinds = [field.name for field in fields(lexicon) if field.name != "new_finding"]
    tags, position = [], 0
    while position < len(words):
        found: dict[str, int] = {}
        for kind in kinds:
            lengths = [len(cue) for cue in getattr(lexicon, kind) if _fits(cue, words, position)]
            if lengths:
                found[kind] = max(lengths)
        if found:
            longest = max(found.values())
            tags.append(_Tag(position, position + longest, frozenset(k for k, size in found.items() if size == longest)))
        position += max(found.values(), default=1)
    return tags


def _clauses(words: list[str], tags: list[_Tag], lexicon: PhraseLexicon) -> list[list[_Tag]]:
    """The tags clause by clause."""
    breaks = {position for position, word in enumerate(words) if word in (".", ";") or _opens_finding(words, position, lexicon)}
    breaks |= {tag.start for tag in tags if "clause_breaks" in tag.kinds}
    edges = [0, *sorted(breaks), len(words)]
    return [[tag for tag in tags if start <= tag.start < end] for start, end in itertools.pairwise(edges)]


def _opens_finding(words: list[str], position: int, lexicon: PhraseLexicon) -> bool:
    """Whether the comma, "and" or "with" at a position ends one statement and begins a finding of its own."""
    if words[position] not in (",", "and", "with"):
        return False
    start = position + 1
    if words[position] == "," and words[start : start + 1] in (["and"], ["with"]):
        start += 1
    if not any(_fits(cue, words, start) for cue in lexicon.new_finding):
        return False
    rest = itertools.takewhile(lambda word: word not in (".", ";", "but", "except"), words[start:])
    return not {"or", "nor"} & set(rest)  # "no mass, large effusion, or edema" is one enumeration


def _clause_polarity(tags: list[_Tag]) -> Polarity | None:
    """One clause's verdict; None where it holds nothing that decides."""
    kinds = set().union(*(tag.kinds for tag in tags))
    findings = [tag for tag in tags if "findings" in tag.kinds]
    states = set()
    for finding in findings:
        if any(_reaches(tag, finding, "negation", findings) for tag in tags):
            states.add("negated")
        elif any(_reaches(tag, finding, "uncertain", findings) for tag in tags):
            states.add("uncertain")
        else:
            states.add("present")
    for state in ("present", "uncertain", "negated"):
        if state in states:
            return state
    if kinds & {"negation_before", "negation_after"} and "normal" not in kinds:
        return "negated"
    if kinds & {"normal", "unchanged"}:
        return "normal"
    return "uncertain" if kinds & {"uncertain_before", "uncertain_after"} else None


def _reaches(tag: _Tag, finding: _Tag, what: str, findings: list[_Tag]) -> bool:
    """Whether a negation or doubt (`what`) applies to a finding of its clause."""
    forward, backward = f"{what}_before" in tag.kinds, f"{what}_after" in tag.kinds
    if forward and backward:  # "resolved effusion", "effusion resolved": backward where there is a finding to reach
        backward = findings[0].start < tag.start
        forward = not backward
    return forward if tag.start < finding.start else backward
