"""Report text: sections, sentences, cleaning, and captions drawn for training."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

# Headings that open a section; matched without regard to case, longest spelling first.
_COMBINED = r"(?:findings?\s*(?:/|and|&)\s*(?:impressions?|conclusions?))"
_IMPRESSION = (
    r"(?:(?:provisional\s+findings\s+)?impressions?(?:\s*\(pfi\))?|conclusions?(?:\s*(?:/|and|&)\s*\w+)?|opinions?"
    r"|assessments?|(?:final\s+)?diagnos[ie]s|summary)"
)
_FINDINGS = r"(?:(?:(?:technique\s+and|radiographic|radiological|imaging|chest|lung)\s+)?findings?|observations?|description)"
_OTHERS = (
    r"(?:(?:type\s+of\s+)?exam(?:ination)?s?(?:\s+date)?|indications?|(?:clinical|medical|patient|brief|relevant)\s+\w+"
    r"|history(?:\s+of[^:\n]{0,40})?|reasons?\s+for[^:\n]{0,40}|comparisons?(?:\s+\w+)?|techniques?|procedures?"
    r"|medical\s+condition|notifications?|recommendations?(?:\(s\))?|(?:final\s+)?addendum|wet\s+read[^:\n]{0,40}"
    r"|(?:final|preliminary)\s+report|stud(?:y|ies)|date|limitations?|contrast|dose"
    r"|signed(?:\s+by)?|dictated(?:\s+by)?)"
)
_KNOWN = rf"(?:{_OTHERS}|{_COMBINED}|{_IMPRESSION}|{_FINDINGS})"
# A known heading with a colon (or a spaced hyphen) at the start of a line, in any case ...
_AT_LINE_START = rf"^[ \t]*(?i:{_KNOWN})[ \t]*(?::|[ \t]-[ \t])"
# ... or alone on a line in capitals; ...
_ALONE = r"^[ \t]*(?=[A-Z(])(?-i:[A-Z /&()]+?)[ \t]*$"
# ... or within a line (reports whose newlines were lost, or became commas), in capitals that no others precede
# ("POSTOPERATIVE DIAGNOSIS:" is not "DIAGNOSIS:"), or capitalised after the end of a sentence; ...
_WITHIN_LINE = (
    rf"(?<=[\s,.])(?<![A-Z][ \t])(?=[A-Z][A-Z /&()]+:)(?i:{_KNOWN})[ \t]*:"
    rf"|(?<=[.!?]\s)(?=[A-Z])(?i:{_KNOWN})[ \t]*:"
)
# ... or any words in capitals with a colon at the start of a line ("PORTABLE CHEST:", "LARYNX:").
_CAPITALS = r"^[ \t]*[A-Z][A-Z0-9_ ,/&()-]{2,70}:"
_HEADING = re.compile("|".join((_AT_LINE_START, _WITHIN_LINE, _CAPITALS, _ALONE)), re.MULTILINE)
# "PORTABLE CHEST:", "PA AND LATERAL VIEWS OF THE CHEST:": MIMIC names the films where others write FINDINGS.
_FILM_HEADING = re.compile(r"\b(?:CHEST|RADIOGRAPHS?|FILMS?|VIEWS?|X-?RAYS?)\b")

# What NFKD does not take apart.
_FOLDS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "Æ": "AE", "Œ": "OE", "Ø": "O", "Ł": "L", "Đ": "D"}
    | {"\N{MULTIPLICATION SIGN}": "x", "\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"}
    | {"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{MINUS SIGN}": "-"}
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014", "-")
)
# Never the end of a sentence, unless nothing follows.
_TITLES = frozenset(("dr", "drs", "mr", "mrs", "ms", "prof", "st", "vs", "cf", "approx", "e.g", "i.e", "eg", "ie", "fig", "resp"))
# The end of a sentence only when a capital follows.
_DOTTED = frozenset(("a.m", "p.m", "u.s", "etc", "al", "jr", "sr"))
_ITEM = re.compile(r"^[ \t]*(?:[-*•·‣▪][ \t]*|\(?\d{1,2}[.)](?!\d)[ \t]*(?=\S))", re.MULTILINE)
_INLINE_ITEM = re.compile(r"(?<=[.!?;:])[\s,]+\(?\d{1,2}[.)]\s*(?=[A-Za-z])")
_BREAK = "\0"  # not a white space for `\s`, and in no report


def fold_ascii(text: str) -> str:
    """Replace accents, ligatures and typographic signs by ASCII ("é" -> "e"); what has none is dropped."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_FOLDS))
    return decomposed.encode("ascii", "ignore").decode("ascii")


def report_sections(text: str) -> dict[str, str]:
    """Take a report apart by its headings.

    Headings are known ones (FINDINGS, IMPRESSION, CONCLUSION, INDICATION, ... in any case with a colon, in capitals
    without one on a line of their own) and names of films in capitals ("PORTABLE CHEST:"), which MIMIC-CXR uses for
    findings. A combined "FINDINGS/IMPRESSION" counts as findings. Other words in capitals with a colon ("LARYNX:") stay
    part of the text.

    Without a findings heading, findings are the text that no heading claims: all of it where there is no heading, else
    what stands before the first, under unknown capitals, or in later paragraphs of sections such as COMPARISON, where
    MIMIC-CXR reports often go on without a heading.

    Args:
        text: the report, with its newlines where it still has them.

    Returns:
        {"findings", "impression", "others"}: each a stripped text, "" where absent; repeated sections are joined by a
        newline.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    parts: dict[str, list[str]] = {"findings": [], "impression": [], "others": [], "unclaimed": []}
    kind, start = "unclaimed", 0
    for match in _HEADING.finditer(text):
        new_kind = _section_of(match.group())
        if new_kind is None or (new_kind == "unclaimed" and kind in ("findings", "impression", "unclaimed")):
            continue
        parts[kind].append(text[start : match.start()])
        kind, start = new_kind, match.start() if new_kind == "unclaimed" else match.end()
    parts[kind].append(text[start:])

    stripped = {key: [text for part in texts if (text := part.strip(" \t\n,"))] for key, texts in parts.items()}
    unclaimed, others = stripped["unclaimed"], stripped["others"]
    sections = {key: "\n".join(stripped[key]) for key in ("findings", "impression")}
    if not sections["findings"]:
        for index, part in enumerate(others):
            others[index], *later = re.split(r"\n[ \t]*\n", part)
            unclaimed += later
        sections["findings"], unclaimed = "\n".join(unclaimed).strip(), []
    return {**sections, "others": "\n".join(others + unclaimed)}


def _section_of(heading: str) -> str | None:
    """The section a matched heading opens; "unclaimed" for capitals that are part of the text, None for no heading."""
    name = re.sub(r"\s+", " ", heading.strip(" \t\n:-")).strip()
    for kind, pattern in (
        ("findings", _COMBINED),
        ("impression", _IMPRESSION),
        ("findings", _FINDINGS),
        ("others", _OTHERS),
    ):
        if re.fullmatch(pattern, name, re.IGNORECASE):
            return kind
    if not heading.rstrip().endswith(":"):
        return None
    return "findings" if _FILM_HEADING.search(name) else "unclaimed"


def clean_sentence(text: str) -> str:
    """Reduce a sentence to what the text encoder reads: lower-case ASCII words with single spaces.

    Accents are folded, punctuation becomes a space, de-identification ("___") goes, dotted abbreviations close up
    ("a.m." -> "am"). The point of a number is written out ("3.5 cm" -> "3 point 5 cm"), because a "." ends a sentence
    in the text encoder.
    """
    text = fold_ascii(text).lower()
    text = re.sub(r"(?<=\d)\.(?=\d)", " point ", text)
    text = re.sub(r"\b([a-z])\.(?=[a-z]\b)", r"\1", text)
    text = re.sub(r"_{2,}", " ", text)
    return " ".join(re.findall(r"[a-z0-9_]+", text))


def report_sentences(text: str) -> list[str]:
    """Split a report into cleaned sentences, in reading order.

    Where the report has sections, findings come first, then the impression, the rest is left out. A sentence ends at
    ".", "!" or "?", a blank line, a bullet or a numbered item; not inside decimals ("3.5 cm"), after titles ("Dr.",
    "vs."), nor at a line's end.

    Args:
        text: a report or a section of one.

    Returns:
        sentences as `clean_sentence` writes them; those without a letter are left out, single words ("stable") stay.
        Empty where the report says nothing.
    """
    sections = report_sections(text)
    sentences = []
    for section in (sections["findings"], sections["impression"]):
        for piece in split_sentences(section):
            sentence = clean_sentence(piece)
            if re.search("[a-z]", sentence):
                sentences.append(sentence)
    return sentences


def split_sentences(text: str) -> list[str]:
    """Split a section into sentences as they are written, without their final marks; see `report_sentences` for the rules."""
    text = re.sub(r"\n[ \t]*\n", f"\n{_BREAK}\n", text)
    text = _ITEM.sub(_BREAK, text)
    text = _INLINE_ITEM.sub(_BREAK, text)
    text = re.sub(r"\s+", " ", text.replace(_BREAK, f" {_BREAK} "))
    pieces, start = [], 0
    for match in re.finditer(rf"[.!?]+|{_BREAK}", text):
        if match.group() == _BREAK or _ends_sentence(text[start : match.start()], match.group(), text[match.end() :]):
            pieces.append(text[start : match.start()])
            start = match.end()
    pieces.append(text[start:])
    return pieces


def _ends_sentence(before: str, mark: str, after: str) -> bool:
    """Whether the mark between `before` (from the sentence's start) and `after` ends a sentence."""
    following = after.lstrip(" \"'),")
    if not following or following.startswith(_BREAK):
        return True
    if mark in ("!", "?"):  # not the "?" that lost signs leave behind ("38?C", "10 ? 3")
        return following != after and not before.endswith(" ")
    if mark != ".":
        return True
    word = re.search(r"[\w.]*$", before).group()
    if word.lower() in _TITLES:
        return False
    if word.lower() in _DOTTED:
        return following[0].isupper() and following != after
    if following != after:  # a space, a closing bracket, or the comma that a lost newline left behind
        return True
    if not word or not word[-1].isalpha():
        return following[0].isupper()  # "L4.No", not "3.5" nor "___.___"
    # "clear.No effusion", not "a.m" nor "e.g"
    return following[0].isalpha() and len(word.rpartition(".")[2]) > 1


def sample_caption(
    sentences: Sequence[str],
    rng: np.random.Generator | np.random.RandomState,
    impression_count: int = 0,
    *,
    full_report_chance: float = 0.2,
) -> str:
    """Draw a training caption: some of a report's sentences in random order (AFLoc, training).

    With chance `full_report_chance` the whole report in its own order. Otherwise k sentences in random order, k
    uniform: from 1 to one fewer than all with `impression_count` 0; with an impression, which then stays whole at the
    end, from 1 to all of the sentences before it. (The published code never draws the full report of two or more
    sentences; see `scripts.reports.published`.)

    The draw depends on `sentences` and the generator's state alone: seed the generator by (seed, epoch, case).

    Args:
        sentences: at least one, impression last; repeated sentences are kept once, in the impression if they are there.
        rng: a Generator, or the RandomState of a MONAI `Randomizable`.
        impression_count: how many sentences at the end are the impression; 0 treats all alike (the paper's recipe).
        full_report_chance: in [0, 1].

    Returns:
        sentences joined by ". ", without a final full stop.

    Raises:
        ValueError: no sentence, or an impression count or chance out of range.
    """
    if not sentences:
        raise ValueError("no sentence to draw a caption from: leave cases without a usable report out")
    if not 0 <= impression_count <= len(sentences):
        raise ValueError(f"impression_count must be within 0 and {len(sentences)} (the sentences), got {impression_count}")
    if not 0 <= full_report_chance <= 1:
        raise ValueError(f"full_report_chance must be within 0 and 1, got {full_report_chance}")
    first = len(sentences) - impression_count
    ending = list(dict.fromkeys(sentences[first:]))
    body = [sentence for sentence in dict.fromkeys(sentences[:first]) if sentence not in ending]
    most = len(body) if ending else len(body) - 1
    # The same number of draws whatever they decide, and only draws that both kinds of generator have.
    full, size, order = rng.random() < full_report_chance, rng.random(), rng.permutation(len(body))
    if full or most < 1:
        return ". ".join(body + ending)
    chosen = order[: 1 + int(size * most)]
    return ". ".join([body[index] for index in chosen] + ending)
