"""The words by which an exam's report is read: regions, findings, normality and negation, in any language, as data files.

A lexicon is a JSON object, see scripts/domains/nasal/lexicon.json and lexicon_zh.json. Words are lower-case; "*" stands for all
endings of an English word; the longest one wins at each place. All keys may be left out.

    regions         names of each region of the domain
    findings        for each finding `words`; `words_in`, words that mean it in one region only and there come first; `region`,
                    where it is if a sentence names none; `vague`: it counts only where a sentence states nothing more definite
    normal          words that call a region normal
    negations       deny what follows, up to a comma or one of `scope_ends`; `negations_after` deny what stands before. A list that
                    goes on to an "or" is denied as a whole, up to a part that opens with one of `tissues`: a statement of its own
    headings        headings of the sections "findings", "impression" and "others" beside those of `scripts.reports.sections`

The same finding has the same name in every language, so that what is said alike is numbered alike.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from scripts.cases.domain import Domain, read_domain
from scripts.files.validation import StrictModel, fault, unknown
from scripts.reports.matcher import WordMatcher
from scripts.reports.negation import Tag
from scripts.reports.tables import LexiconError, read_table

_KINDS = {
    "normal": "normal",
    "negations": "negation_before",
    "negations_after": "negation_after",
    "scope_ends": "scope_ends",
    "tissues": "tissues",
}
"""Key of a lexicon -> kind of its words, see `scripts.reports.negation.Tag`."""
_SECTIONS = ("findings", "impression", "others")


def fold(text: str) -> str:
    """Lower case without accents and full-width forms; Chinese stays. Words are looked for in texts of this form."""
    decomposed = unicodedata.normalize("NFKD", text).lower()
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _entry(word: str) -> str:
    if not word.strip(" *"):
        raise fault("no word", "holds no word", "give a word, or take it out")
    return fold(word)


def _region(name: str, info: ValidationInfo) -> str:
    return _known(name, info.context)


def _section(name: str) -> str:
    return _known(name, _SECTIONS)


def _known(name: str, names: Sequence[str]) -> str:
    if name not in names:
        raise fault("unknown name", *unknown(name, names))
    return name


_Entries = list[Annotated[str, AfterValidator(_entry)]]
_Region = Annotated[str, AfterValidator(_region)]
_Section = Annotated[str, AfterValidator(_section)]


class _Finding(StrictModel):
    words: _Entries = Field(default_factory=list)
    words_in: dict[_Region, _Entries] = Field(default_factory=dict)
    region: _Region | None = None
    vague: bool | None = None


class _LexiconFile(StrictModel):
    """What a lexicon file holds, see the module."""

    regions: dict[_Region, _Entries] = Field(default_factory=dict)
    findings: dict[str, _Finding] = Field(default_factory=dict)
    normal: _Entries = Field(default_factory=list)
    negations: _Entries = Field(default_factory=list)
    negations_after: _Entries = Field(default_factory=list)
    scope_ends: _Entries = Field(default_factory=list)
    tissues: _Entries = Field(default_factory=list)
    headings: dict[_Section, _Entries] = Field(default_factory=dict)


@dataclass
class ExamLexicon:
    """Vocabulary of one or several lexicon files, see the module.

        lexicon = ExamLexicon.load("en", "nasal")
        lexicon = ExamLexicon.load(["en", "zh", "our_words.json"], "nasal")

    A later file adds its words to the earlier ones'; a word that stood for something else then means what the later file says.

    Attributes:
        region_names: regions of the domain, in the order of their numbers.
        regions: region by word; so are `findings` by word, and `findings_in` by region and word.
        implied: region of a finding whose sentence names none.
        vague: findings that count only where a sentence states nothing more definite.
        cues: kind by word.
        headings: section by heading.
    """

    region_names: tuple[str, ...]
    regions: dict[str, str] = field(default_factory=dict)
    findings: dict[str, str] = field(default_factory=dict)
    findings_in: dict[str, dict[str, str]] = field(default_factory=dict)
    implied: dict[str, str] = field(default_factory=dict)
    vague: set[str] = field(default_factory=set)
    cues: dict[str, str] = field(default_factory=dict)
    headings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, lexicons: str | Path | Sequence[str | Path], domain: str | Path | Domain) -> "ExamLexicon":
        """Read lexicons and join them.

        Args:
            lexicons: a language of the domain ("en") or a JSON file, or several of these.
            domain: name or folder of the domain whose regions the lexicons speak of.

        Raises:
            DomainError: no such domain.
            LexiconError: no such lexicon, not JSON, unknown keys or regions, values of another type; all faults of a file at once.
        """
        domain = read_domain(domain)
        lexicon = cls(domain.regions)
        hint = f"give a language of domain {domain.name} ({', '.join(domain.lexicons)}), or a JSON file in the form of its lexicons"
        for name in [lexicons] if isinstance(lexicons, str | Path) else lexicons:
            path = domain.lexicon(str(name)) if str(name) in domain.lexicons else Path(name)
            lexicon._add(read_table(path, _LexiconFile, "lexicon", hint, LexiconError, context=domain.regions))
        lexicon._build()
        return lexicon

    def _add(self, file: _LexiconFile) -> None:
        self.regions |= _by_word(file.regions)
        self.headings |= _by_word(file.headings)
        for key, kind in _KINDS.items():
            self.cues |= dict.fromkeys(getattr(file, key), kind)
        for name, finding in file.findings.items():
            self.findings |= dict.fromkeys(finding.words, name)
            for region, words in finding.words_in.items():
                self.findings_in.setdefault(region, {}).update(dict.fromkeys(words, name))
            if finding.region is not None:
                self.implied[name] = finding.region
            if finding.vague is not None:
                (self.vague.add if finding.vague else self.vague.discard)(name)

    def _build(self) -> None:
        self._find_regions = WordMatcher(self.regions)
        cues = {word: (kind, "") for word, kind in self.cues.items()}
        self._words = {
            region: WordMatcher(
                cues | {word: ("findings", name) for word, name in (self.findings | self.findings_in.get(region, {})).items()}
            )
            for region in (None, *self.region_names)
        }
        words = "".join((*self.regions, *self.findings, *self.cues))
        self._scripts = {_script(letter) for letter in words if letter.isalpha()}

    def find_regions(self, text: str) -> list[str]:
        """The regions that a folded text names, in their order."""
        return [match.meanings[0] for match in self._find_regions.matches(text)]

    def find_words(self, text: str, region: str | None) -> list[Tag]:
        """Findings and cues of a folded text on a region, in their order."""
        found = [(*match.meanings[0], match) for match in self._words[region].matches(text)]
        return [Tag(match.start, match.end, frozenset((kind,)), name) for kind, name, match in found]

    def can_read(self, text: str) -> bool:
        """Whether a text has a letter of a script that the lexicon's words are written in."""
        return any(_script(letter) in self._scripts for letter in fold(text) if letter.isalpha())


def _script(letter: str) -> str:
    """The script of a letter, as the first word of its name in Unicode says it: LATIN, CJK, CYRILLIC."""
    return unicodedata.name(letter, "").partition(" ")[0]


def _by_word(names: Mapping[str, Iterable[str]]) -> dict[str, str]:
    return {word: name for name, words in names.items() for word in words}
