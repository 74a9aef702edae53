"""The words by which a nasal endoscopy report is read: regions, findings, normality and negation, in any language, as data files.

A lexicon is a JSON object, see scripts/domains/nasal/lexicon.json and lexicon_zh.json.
Words are lower-case; "*" stands for all endings of an
English word; the longest one wins at each place. All keys may be left out.

    regions         names of each region of `REGIONS`
    findings        for each finding `words`; `words_in`, words that mean it in one region only and there come first; `region`,
                    where it is if a sentence names none; `vague`: it counts only where a sentence states nothing more definite
    normal          words that call a region normal
    negations       deny what follows, up to a comma or one of `scope_ends`; `negations_after` deny what stands before. A list that
                    goes on to an "or" is denied as a whole, up to a part that opens with one of `tissues`: a statement of its own
    headings        headings of the sections "findings", "impression" and "others" beside those of `scripts.reports.sections`

The same finding has the same name in every language, so that what is said alike is numbered alike.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.cases.domain import DOMAINS, read_domain
from scripts.files.errors import UserError

_LEXICONS = {"nasal_en": DOMAINS / "nasal" / "lexicon.json", "nasal_zh": DOMAINS / "nasal" / "lexicon_zh.json"}
REGIONS = read_domain("nasal").regions
_LISTS = ("normal", "negations", "negations_after", "scope_ends", "tissues")
_NAMED_LISTS = ("regions", "headings")
_FINDING_KEYS = {"words": list, "words_in": dict, "region": str, "vague": bool}


class LexiconError(UserError):
    """A lexicon cannot be used; names the file, the entry and the way out."""


@dataclass(frozen=True)
class Word:
    """A word found in a text: its kind ("finding", "normal", "negations", "negations_after", "scope_ends", "tissues"), the finding
    that it means, and where it stands."""

    kind: str
    name: str
    start: int
    end: int


class WordFinder:
    """Finds the words of a vocabulary in texts, the longest at each place.

    Args:
        meanings: what each word means; "*" stands for all endings.
    """

    def __init__(self, meanings: Mapping[str, Any]) -> None:
        # Each word keeps its own group: an ending may make the match longer than another word's.
        ordered = sorted(meanings, key=len, reverse=True)
        self._values = [meanings[word] for word in ordered]
        self._regex = re.compile("|".join(f"({_pattern(word)})" for word in ordered)) if ordered else None

    def __call__(self, text: str) -> list[tuple[Any, int, int]]:
        """Meaning, start and end of every word, in their order; `text` as `fold` writes it."""
        if self._regex is None:
            return []
        return [(self._values[match.lastindex - 1], *match.span()) for match in self._regex.finditer(text)]


@dataclass
class ExamLexicon:
    """Vocabulary of one or several lexicon files, see the module.

        lexicon = ExamLexicon.load("nasal_en")
        lexicon = ExamLexicon.load(["nasal_en", "nasal_zh", "our_words.json"])

    A later file adds its words to the earlier ones'; a word that stood for something else then means what the later file says.
    """

    regions: dict[str, str] = field(default_factory=dict)
    """Region by word; so are findings by word, and by region and word."""
    findings: dict[str, str] = field(default_factory=dict)
    findings_in: dict[str, dict[str, str]] = field(default_factory=dict)
    implied: dict[str, str] = field(default_factory=dict)
    vague: set[str] = field(default_factory=set)
    cues: dict[str, str] = field(default_factory=dict)
    """Kind by word: normal, negations, negations_after, scope_ends, tissues."""
    headings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, names: str | Path | Sequence[str | Path]) -> "ExamLexicon":
        """Read lexicons and join them.

        Args:
            names: "nasal_en", "nasal_zh" or a file (.json), or several of these.

        Raises:
            LexiconError: no such lexicon, not JSON, unknown keys or regions, values of another type; all faults of a file at once.
        """
        lexicon = cls()
        for name in [names] if isinstance(names, str | Path) else names:
            lexicon._add(_read(name))
        lexicon._build()
        return lexicon

    def _add(self, content: Mapping[str, Any]) -> None:
        self.regions |= _by_word(content.get("regions", {}))
        self.headings |= _by_word(content.get("headings", {}))
        for kind in _LISTS:
            self.cues |= {fold(word): kind for word in content.get(kind, ())}
        for name, finding in content.get("findings", {}).items():
            self.findings |= {fold(word): name for word in finding.get("words", ())}
            for region, words in finding.get("words_in", {}).items():
                self.findings_in.setdefault(region, {}).update({fold(word): name for word in words})
            if "region" in finding:
                self.implied[name] = finding["region"]
            if "vague" in finding:
                (self.vague.add if finding["vague"] else self.vague.discard)(name)

    def _build(self) -> None:
        self.find_regions = WordFinder(self.regions)
        cues = {word: (kind, "") for word, kind in self.cues.items()}
        self._words = {
            region: WordFinder(
                cues | {word: ("finding", name) for word, name in (self.findings | self.findings_in.get(region, {})).items()}
            )
            for region in (None, *REGIONS)
        }

    def find_words(self, text: str, region: str | None) -> list[Word]:
        """Findings and cues of a folded text on a region, in their order."""
        return [Word(kind, name, start, end) for (kind, name), start, end in self._words[region](text)]


def fold(text: str) -> str:
    """Lower case without accents and full-width forms; Chinese stays. Words are looked for in texts of this form."""
    decomposed = unicodedata.normalize("NFKD", text).lower()
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _pattern(word: str) -> str:
    """English words are whole or end with "*"; Chinese ones stand anywhere."""
    escaped = re.escape(word).replace(r"\*", r"\w*")
    return rf"\b{escaped}\b" if word.isascii() else escaped


def _by_word(names: Mapping[str, Iterable[str]]) -> dict[str, str]:
    return {fold(word): name for name, words in names.items() for word in words}


def _read(name: str | Path) -> dict[str, Any]:
    path = _LEXICONS.get(str(name), Path(name))
    hint = f"give {', '.join(_LEXICONS)}, or a JSON file in their form"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LexiconError(f"{name}: no such lexicon ({error.strerror}); {hint}") from error
    except ValueError as error:
        raise LexiconError(f"{path}: is not JSON in UTF-8 ({error}); {hint}") from error
    faults = _faults(content) if isinstance(content, dict) else ["is not an object"]
    if faults:
        raise LexiconError("\n".join([f"{path}: not a lexicon; {hint}", *(f"  {fault}" for fault in faults)]))
    return content


def _faults(content: dict[str, Any]) -> list[str]:
    faults = [f'unknown key "{key}"' for key in content.keys() - {*_LISTS, *_NAMED_LISTS, "findings"}]
    lists = {key: content[key] for key in _LISTS if key in content}
    objects = {key: content[key] for key in (*_NAMED_LISTS, "findings") if key in content}
    faults += [f"{key} is not an object" for key, value in objects.items() if not isinstance(value, dict)]
    named = {key: value for key, value in objects.items() if isinstance(value, dict)}
    lists |= {f"{key}[{name}]": words for key in _NAMED_LISTS for name, words in named.get(key, {}).items()}
    known = {"regions": REGIONS, "headings": ("findings", "impression", "others")}
    for key, names in known.items():
        faults += [f"{key}[{name}] is none of {', '.join(names)}" for name in named.get(key, {}) if name not in names]
    for name, finding in named.get("findings", {}).items():
        place = f"findings[{name}]"
        if not isinstance(finding, dict):
            faults.append(f"{place} is not an object")
            continue
        faults += [f'{place}: unknown key "{key}"' for key in finding.keys() - _FINDING_KEYS.keys()]
        wrong = {key for key, value in finding.items() if key in _FINDING_KEYS and not isinstance(value, _FINDING_KEYS[key])}
        faults += [f"{place}.{key} is not {_FINDING_KEYS[key].__name__}" for key in sorted(wrong)]
        inside = {} if "words_in" in wrong else finding.get("words_in", {})
        places = [*inside, *([finding["region"]] if "region" in finding.keys() - wrong else [])]
        faults += [f"{place}: region {region} is none of {', '.join(REGIONS)}" for region in places if region not in REGIONS]
        lists |= {f"{place}.words_in[{region}]": words for region, words in inside.items()}
        lists |= {f"{place}.words": finding["words"]} if "words" in finding.keys() - wrong else {}
    for key, words in lists.items():
        if not isinstance(words, list) or not all(isinstance(word, str) and word.strip(" *") for word in words):
            faults.append(f"{key} is not a list of words")
    return sorted(faults)
