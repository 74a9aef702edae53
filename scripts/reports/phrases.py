"""Which phrases can be pointed at: those that say a finding is there, not those that say it is not."""

import functools
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from scripts.cases.domain import Domain, read_domain
from scripts.cases.values import Text
from scripts.files.validation import StrictModel
from scripts.reports.exams.lexicon import ExamLexicon
from scripts.reports.exams.reports import text_statements
from scripts.reports.matcher import WordMatcher
from scripts.reports.negation import Scopes, Tag
from scripts.reports.sections import fold_ascii
from scripts.reports.statements import Polarity
from scripts.reports.tables import LexiconError, read_json, read_table

_HINT = "give the path of a JSON file in the form of scripts/domains/cxr/lexicon.json"
_PUNCTUATION = frozenset(",.;()")
_DECIDING: tuple[Polarity, ...] = ("present", "uncertain", "negated", "normal")
"""A phrase of several clauses says what the first of these says that any of them says."""
_REASONS = {
    "present": "states a finding",
    "uncertain": "suspects a finding",
    "negated": "denies a finding",
    "normal": "describes a normal or unchanged state",
}


def _in_plain_form(text: str) -> str:
    """Lower-case ASCII with single spaces; a decimal point is written "_", so that a number is one word."""
    return re.sub(r"(?<=\d)\.(?=\d)", "_", " ".join(fold_ascii(text).lower().split()))


_Entries = list[Annotated[Text, AfterValidator(_in_plain_form)]]


class PhraseLexicon(StrictModel):
    """Words that decide a phrase's polarity; each field is a key of the JSON file, a list of words or phrases.

    A word ending in "*" stands for all its endings. Where several entries fit, the longest wins ("no change in" over "no").

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

    findings: _Entries
    negation_before: _Entries
    negation_after: _Entries
    not_negation: _Entries
    unchanged: _Entries
    uncertain_before: _Entries
    uncertain_after: _Entries
    normal: _Entries
    clause_breaks: _Entries
    new_finding: _Entries

    @classmethod
    def load(cls, path: str | Path) -> "PhraseLexicon":
        """Read a lexicon; `scripts/domains/cxr/lexicon.json` is the model for others.

        Raises:
            LexiconError: no such file, keys missing or unknown, or a value that is not a list of words; all faults at once.
        """
        return read_table(Path(path), cls, "lexicon", _HINT, LexiconError)

    def can_read(self, text: str) -> bool:
        """Whether a text has a word, in letters of the alphabet or digits."""
        return any(word not in _PUNCTUATION for word in _words(text))

    @functools.cached_property
    def matcher(self) -> WordMatcher:
        """Finds all entries but those of `new_finding`; they mean their kind."""
        kinds: dict[str, set[str]] = {}
        for kind in type(self).model_fields:
            for entry in getattr(self, kind) if kind != "new_finding" else ():
                kinds.setdefault(entry, set()).add(kind)
        return WordMatcher(kinds)

    @functools.cached_property
    def openings(self) -> WordMatcher:
        """Finds the words of `new_finding`."""
        return WordMatcher(dict.fromkeys(self.new_finding))


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

        judge_phrase("Smooth nasopharynx.", "nasal")  # not groundable: describes a normal or unchanged state

    A phrase in the script of a lexicon that knows none of its words counts as a finding that the lexicon does not list. One that no
    lexicon can read is not understood, and not pointed at.

    Args:
        phrase: a phrase or sentence, in any case.
        domain: name or folder of the domain, or itself.

    Raises:
        DomainError: no such domain.
        LexiconError: a faulty lexicon.
    """
    domain = read_domain(domain)
    readable = False
    for lexicon in domain_lexicons(str(domain.folder)):
        polarity = polarity_by(phrase, lexicon)
        if polarity is not None:
            return Judgement(polarity in ("present", "uncertain"), polarity, _REASONS[polarity])
        readable = readable or lexicon.can_read(phrase)
    if readable:
        return Judgement(True, "present", "holds no word that the lexicon knows: taken for a finding that it does not list")
    languages = ", ".join(domain.lexicons)
    return Judgement(False, None, f"not understood: no word in a language of domain {domain.name} ({languages})")


@functools.lru_cache(maxsize=16)
def domain_lexicons(folder: str) -> tuple[PhraseLexicon | ExamLexicon, ...]:
    """The lexicons of the domain in a folder; those that name regions and findings are joined to one, which comes last.

    Raises:
        LexiconError: a faulty lexicon.
    """
    domain = read_domain(folder)
    named = [language for language in domain.lexicons if _names_findings(domain.lexicon(language))]
    others = [language for language in domain.lexicons if language not in named]
    found = tuple(PhraseLexicon.load(domain.lexicon(language)) for language in others)
    return (*found, ExamLexicon.load(named, domain)) if named else found


def phrase_polarity(phrase: str, lexicon: PhraseLexicon) -> Polarity:
    """Judge whether a phrase says that a finding is there.

    Rules in the manner of NegEx (Chapman et al., J Biomed Inform 34:301-310, 2001): a negation or a doubt reaches the
    findings after it (or before it, for words such as "is not seen") up to the end of its clause: a full stop, "but",
    "except", or a comma, "and" or "with" that begins a new finding ("no effusion, small nodule"); an enumeration ("no
    effusion, nodule, or mass") goes on.

    Args:
        phrase: a phrase or sentence, in any case.
        lexicon: words.

    Returns:
        "present" when any finding is stated, or the phrase holds nothing the lexicon knows; else "uncertain" when any
        is in doubt; else "negated" when any is denied; else "normal" (a normal or unchanged anatomy without a finding).

    Raises:
        ValueError: a phrase without a word.
    """
    if not lexicon.can_read(phrase):
        raise ValueError(
            f"the phrase {phrase!r} holds no word that can be read, so nothing says whether it states or denies a finding"
        )
    return polarity_by(phrase, lexicon) or "present"


def _names_findings(path: Path) -> bool:
    """Whether a lexicon is of the form that names its findings (`ExamLexicon`), not that of lists alone (`PhraseLexicon`)."""
    content = read_json(path, "lexicon", _HINT, LexiconError)
    return isinstance(content, dict) and not isinstance(content.get("findings"), list)


def polarity_by(phrase: str, lexicon: PhraseLexicon | ExamLexicon) -> Polarity | None:
    """What a phrase says by one lexicon, None where the lexicon knows nothing of it that decides."""
    if isinstance(lexicon, ExamLexicon):
        said = {statement.polarity for statement in text_statements(phrase, lexicon)}
    else:
        said = {_clause_polarity(clause) for clause in _clauses(_words(phrase), lexicon)}
    return next((polarity for polarity in _DECIDING if polarity in said), None)


def _words(phrase: str) -> list[str]:
    """Words and punctuation of a phrase, one by one, in the form of `_in_plain_form`."""
    written = re.findall(
        r"[a-z0-9_]+(?:\.\d+)?|[,.;()]", fold_ascii(phrase).lower().replace("can't", "cannot").replace("n't", " not")
    )
    return [word if len(word) == 1 else word.replace(".", "_") for word in written]


def _clauses(words: list[str], lexicon: PhraseLexicon) -> list[Scopes]:
    """The phrase's tags, clause by clause."""
    text = " ".join(words)
    tags = [Tag(m.start, m.end, frozenset().union(*m.meanings)) for m in lexicon.matcher.matches(text)]
    breaks = [tag.start for tag in tags if "clause_breaks" in tag.kinds]
    start = 0
    for position, word in enumerate(words):
        if word in (".", ";") or _opens_finding(words[position:], lexicon):
            breaks.append(start)
        start += len(word) + 1
    return [Scopes(clause, ()) for clause in Scopes(tags, breaks).clauses()]


def _opens_finding(words: list[str], lexicon: PhraseLexicon) -> bool:
    """Whether the comma, "and" or "with" that words begin with ends one statement and begins a finding of its own."""
    if words[0] not in (",", "and", "with"):
        return False
    start = 2 if words[0] == "," and words[1:2] in (["and"], ["with"]) else 1
    if not lexicon.openings.fits_at(" ".join(words[start:])):
        return False
    rest = itertools.takewhile(lambda word: word not in (".", ";", "but", "except"), words[start:])
    return not {"or", "nor"} & set(rest)  # "no mass, large effusion, or edema" is one enumeration


def _clause_polarity(clause: Scopes) -> Polarity | None:
    """One clause's verdict; None where it holds nothing that decides."""
    kinds = set().union(*(tag.kinds for tag in clause.tags))
    states = {clause.state(tag) for tag in clause.tags if "findings" in tag.kinds}
    for state in ("present", "uncertain", "negated"):
        if state in states:
            return state
    if kinds & {"negation_before", "negation_after"} and "normal" not in kinds:
        return "negated"
    if kinds & {"normal", "unchanged"}:
        return "normal"
    return "uncertain" if kinds & {"uncertain_before", "uncertain_after"} else None
