"""A report of a volume taken apart by anatomy: which sentences speak of which organ, and what each organ's text becomes."""

import functools
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from scripts.cases.domain import read_domain
from scripts.reports.by_anatomy.table import AnatomyTable, normal_template
from scripts.reports.by_anatomy.words import PartFinder, plain_words, read_vocabulary
from scripts.reports.matcher import WordMatcher
from scripts.reports.phrases import PhraseLexicon, phrase_polarity
from scripts.reports.sections import report_sections, split_sentences

Section = Literal["findings", "impression"]

_MAX_CLAUSES = 1 << 16

# Where one clause may end and another begin; a comma between digits is a decimal one.
_JOINING = "(?:and|but|while|however|whereas)"
_SEAM = re.compile(rf"(\s*[,:]\s+(?:{_JOINING}\s+)?|\s+{_JOINING}\s+)")
_DANGLING = re.compile(rf"^{_SEAM.pattern}|^{_JOINING}\s+|[\s;,]+{_JOINING}$")
# An item of a list that was written as one sentence.
_ITEM = re.compile("[^;·•]*[;·•]?")


class ReportSentence(NamedTuple):
    """A sentence as written, without its final mark, and the section that it stands in."""

    text: str
    section: Section


class Mention(NamedTuple):
    """What a sentence says on one anatomy: whether it is abnormal (asserted or suspected), and the clauses that say so."""

    anatomy: str
    abnormal: bool
    text: str


def anatomy_sentences(report: str) -> list[ReportSentence]:
    """All sentences of a report, findings first, then the impression.

    Sections are those of `report_sections`. Where a report has no heading for its impression, quoted items at its end are the
    impression: so are the findings and impressions of CT-RATE written when they are joined into one text.
    """
    sections = report_sections(report)
    # A report of one paragraph that begins "Comparison: ..." would be all comparison.
    findings, impression = sections["findings"] or sections["others"] * (not sections["impression"]), sections["impression"]
    if not impression:
        findings, quote, items = findings.partition('"')
        impression = quote + items
    found = [(findings, "findings"), (impression, "impression")]
    return [
        ReportSentence(sentence, section)
        for text, section in found
        for piece in re.split('"+', text)
        for sentence in (part.strip(" \t\n,") for part in split_sentences(piece))
        if re.search("[A-Za-z]", sentence)
    ]


def decompose_report(report: str, table: AnatomyTable) -> dict[str, str]:
    """A text for every anatomy of a table, in the form that fVLM learns from (arXiv 2501.14548, data preparation).

        texts = decompose_report(report, AnatomyTable.load("ct_rate", "ct"))
        texts["heart"]  # "heart shows no significant abnormalities. Heart contour, size are normal."

    Args:
        report: findings and impression, with or without headings, see `anatomy_sentences`.

    Returns:
        anatomy -> text, see `anatomy_texts`.
    """
    return anatomy_texts(anatomy_sentences(report), sentence_anatomies(report, table), table)


def anatomy_texts(
    sentences: Sequence[ReportSentence], mentions: Sequence[Sequence[Mention]], table: AnatomyTable
) -> dict[str, str]:
    """Assemble each anatomy's text from what the sentences say on it.

    Args:
        sentences: of one report, see `anatomy_sentences`.
        mentions: for each of them, what it says on which anatomies.

    Returns:
        anatomy -> text. If anything is abnormal: the impression's statements on it, then those of the findings. Else: the
        template, then the statements of the findings, if any. Each statement ends with a full stop.
    """
    said = [(mention, sentence.section) for sentence, found in zip(sentences, mentions, strict=True) for mention in found]
    texts = {}
    for name in table.names:
        of_name = [(mention, section) for mention, section in said if mention.anatomy == name]
        statements = [f"{mention.text}." for mention, section in of_name if section == "findings"]
        if any(mention.abnormal for mention, _ in of_name):
            opening = [f"{mention.text}." for mention, section in of_name if section == "impression"]
        else:
            opening = [normal_template(name)]
        texts[name] = " ".join(opening + statements)
    return texts


def sentence_anatomies(report: str, table: AnatomyTable) -> list[list[Mention]]:
    """What each sentence of a report says on which anatomies of a table, by words.

    A sentence is on the parts of the body that it names, or else those that its findings imply; one that names none goes on about
    the sentence before, within its section, unless it is a general remark. Where it has clauses on different parts, each is
    judged alone. A clause is abnormal if it asserts or suspects a finding, see `phrase_polarity`; one with no known word at all
    counts as abnormal, because reports leave unsaid what is normal.

    Returns:
        one list a sentence of `anatomy_sentences`, with at most one mention an anatomy, in the table's order.
    """
    reader = _reader(table)
    sentences = anatomy_sentences(report)
    found, before = [], frozenset()
    for sentence, last, following in zip(sentences, [None, *sentences], [*sentences[1:], None], strict=False):
        if last is None or last.section != sentence.section:
            before = frozenset()
        rest = following.text if following and "(" in sentence.text.rpartition(")")[2] else ""
        mentions, before = reader.read(sentence.text, before, rest)
        found.append(mentions)
    return found


class _Reader:
    """Reads sentences for one table.

    A sentence falls apart at its seams (commas, "and", ...) into pieces, pieces join to units that each name a part, and units to
    clauses that each say how a part is.
    """

    def __init__(self, table: AnatomyTable) -> None:
        own_words = {f"{anatomy.name}, in the table's words": anatomy.terms for anatomy in table.anatomies}
        self.finder = PartFinder(read_vocabulary(table.domain), own_words)
        self.judge = _clause_judge(table.domain)
        self.anatomies: dict[str, list[str]] = defaultdict(list)
        for anatomy, own in zip(table.anatomies, own_words, strict=True):
            for part in (*anatomy.parts, own):
                self.anatomies[part].append(anatomy.name)
        self.names = table.names

    def read(self, sentence: str, before: frozenset[str], rest: str = "") -> tuple[list[Mention], frozenset[str]]:
        """A sentence's mentions, and the parts that a sentence after it would go on about.

        Args:
            before: parts that the sentence before was on.
            rest: the sentence after it where a bracket still open joins both ("hypodense lesions (cyst" ") in the liver").
        """
        said: dict[str, list[str]] = {}
        abnormal = set()
        clauses = self._clauses(sentence)
        for clause in clauses:
            parts = self._parts(clause, before, rest)
            on = {name for part in parts for name in self.anatomies[part]}
            for name in on:
                said.setdefault(name, []).append(clause)
            if self.judge.is_abnormal(clause):
                abnormal |= on
            before = parts or before
        texts = {name: sentence if len(own) == len(clauses) else ", ".join(own) for name, own in said.items()}
        return [Mention(name, name in abnormal, texts[name]) for name in self.names if name in said], before

    def _parts(self, clause: str, before: frozenset[str], rest: str) -> frozenset[str]:
        named = self._named(clause) or self._named(rest)
        if named:
            return named
        implied = self.finder.parts(clause).implied
        if not implied and self.finder.is_general(clause):
            return frozenset()
        return before if before and self.finder.continues(clause) else implied or before

    def _named(self, clause: str) -> frozenset[str]:
        """The parts that a clause names; beside lymph nodes, others count only where a finding is said to be on them."""
        named = {piece: self.finder.parts(piece).named for piece in _SEAM.split(clause)[::2]}
        if any(parts & self.finder.claiming for parts in named.values()):
            named = {piece: parts for piece, parts in named.items() if parts & self.finder.claiming or self.judge.says_state(piece)}
        return frozenset().union(*named.values())

    def _clauses(self, sentence: str) -> list[str]:
        """Cut a sentence where one statement on a part ends and one on another begins; whole where that is not plain."""
        units = self._units(sentence)
        clauses, current = [], units[0]
        for unit in units[1:]:
            stands_alone = self._is_statement(unit) and (unit.spoken or not self.judge.denial_goes_on(current.text, unit.text))
            # "the heart" in "Aorta is wide, the heart and liver are normal"; not in "Plaques are seen in the aorta, the heart".
            awaits_predicate = not self.judge.says_state(unit.text) and not self.finder.ends_on_part(current.text)
            if self._is_statement(current) and (stands_alone or awaits_predicate):
                clauses.append(current)
                current = unit
            else:
                current = current.joined(unit)
        if clauses and not self._is_statement(current):
            current = clauses.pop().joined(current)
        return [_without_seams(clause.text) for clause in (*clauses, current)]

    def _units(self, sentence: str) -> list["_Unit"]:
        """Pieces of a sentence that each name a part, or imply one."""
        units, on_part = [], False
        for item in _ITEM.findall(sentence):
            spoken = self.finder.has_verb(item)
            pieces = ["", *_SEAM.split(item)]
            for seam, piece in zip(pieces[::2], pieces[1::2], strict=True):
                unit, names_part = _Unit(seam + piece, spoken), any(self.finder.parts(piece))
                if units and not (on_part and names_part):
                    units[-1] = units[-1].joined(unit)
                else:
                    units.append(unit)
                on_part = on_part or names_part
        return units

    def _is_statement(self, unit: "_Unit") -> bool:
        """Whether a unit says how things are; in an item with a verb it needs one of its own."""
        return self.judge.says_state(unit.text) and (not unit.spoken or self.finder.has_verb(unit.text))


class _Unit(NamedTuple):
    """A piece of a sentence, and whether the item that it stands in has a verb."""

    text: str
    spoken: bool

    def joined(self, other: "_Unit") -> "_Unit":
        return _Unit(self.text + other.text, self.spoken or other.spoken)


def _without_seams(clause: str) -> str:
    """A clause without the words and signs that joined it to its neighbours."""
    alone = _DANGLING.sub("", clause.strip(" ;·•")).strip(" ;")
    return alone if plain_words(alone) else clause


class _ClauseJudge:
    """What clauses are judged by: words that say how something is, that deny, that begin a new finding."""

    def __init__(self, lexicon: PhraseLexicon) -> None:
        states = [*lexicon.findings, *lexicon.normal, *lexicon.unchanged, *lexicon.negation_before, *lexicon.negation_after]
        self._states = WordMatcher(dict.fromkeys([*states, *lexicon.uncertain_before, *lexicon.uncertain_after]))
        self._denials = WordMatcher(dict.fromkeys(lexicon.negation_before))
        self._openings = lexicon.openings
        self._lexicon = lexicon
        self._abnormal: dict[str, bool] = {}

    def says_state(self, text: str) -> bool:
        return self._states.is_in(plain_words(text))

    def denial_goes_on(self, clause: str, unit: str) -> bool:
        """Whether a denial at a clause's start reaches into the next unit ("No pleural effusion, pericardial effusion")."""
        return self._denials.fits_at(plain_words(clause)) and not self._openings.fits_at(plain_words(unit))

    def is_abnormal(self, clause: str) -> bool:
        # Reports repeat their normal sentences word for word.
        if clause not in self._abnormal:
            if len(self._abnormal) == _MAX_CLAUSES:
                self._abnormal.clear()
            self._abnormal[clause] = phrase_polarity(clause, self._lexicon) in ("present", "uncertain")
        return self._abnormal[clause]


@functools.lru_cache(maxsize=8)
def _clause_judge(domain: str) -> _ClauseJudge:
    return _ClauseJudge(PhraseLexicon.load(read_domain(domain).lexicon()))


@functools.lru_cache(maxsize=8)
def _reader(table: AnatomyTable) -> _Reader:
    return _Reader(table)
