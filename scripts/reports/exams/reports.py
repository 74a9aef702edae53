"""A nasal endoscopy report, English or Chinese, as sentences that each say something of one region.

Regions and findings are told by the words of a lexicon (`scripts.reports.exams.lexicon`). No image is involved: which image
shows the region is what a network has to find out.

- A sentence on several regions falls apart at its commas and semicolons where both sides name a region of their own and say
  something of it ("Septum midline, inferior turbinates not enlarged."). Where it does not, it is on the region that it names first.
- What is said: the set of findings that are asserted or suspected, or "normal" where findings are denied or words say so. Who says
  neither has said nothing known.
"""

# ruff: noqa: RUF001 - Chinese has marks of its own
import re
from typing import NamedTuple

from scripts.files.atomic import text_id
from scripts.reports.exams.lexicon import REGIONS, ExamLexicon, Word, fold
from scripts.reports.sections import report_sections, split_sentences

_CJK = "\u3000-\u303f\u3400-\u9fff\uff00-\uffef"
_CHINESE_END = re.compile(rf"[。！？；]|(?<=[{_CJK}])[ \t]*\n")
_SEAM = re.compile(r"([,，;；]\s*)")
_OR = re.compile(r"\b(?:or|nor)\b|或")
_SCOPE_LEFT = 12  # characters between "not" and the "normal" that it denies: one word


class ExamSentence(NamedTuple):
    """A sentence, or a part of one, on one region.

    Attributes:
        text: as written, with a full stop.
        region: one of `REGIONS`, None where none is known.
        findings: what it asserts or suspects, in alphabetical order.
        normal: whether it calls the region normal; neither this nor findings: nothing known is said.
    """

    text: str
    region: str | None
    findings: tuple[str, ...]
    normal: bool

    @property
    def region_index(self) -> int:
        """Position of the region in `REGIONS`, -1 for none."""
        return -1 if self.region is None else REGIONS.index(self.region)

    @property
    def statement_id(self) -> int:
        """A number for region and findings (or "normal"), the same in every run and language; 63 bits of SHA-256. -1 unknown.

        The side is no part of it: the image of a left polyp shows what that of a right one shows, mirrored, so the two must not be
        told apart as if one were right and the other wrong.
        """
        if self.region is None or not (self.findings or self.normal):
            return -1
        said = f"{self.region}|{'+'.join(self.findings) or 'normal'}"
        return text_id(said)


def exam_sentences(report: str, lexicon: ExamLexicon, keep_impression: bool = False) -> list[ExamSentence]:
    """All different sentences of a report, in reading order.

        exam_sentences("Smooth nasopharynx. Impression: Normal.", ExamLexicon.load("nasal_en"))

    Args:
        report: with or without headings. "Impression:", "Diagnosis:", 诊断, 印象 and their like open the impression; sections
            such as history are left out.
        lexicon: words.
        keep_impression: whether the impression's sentences are among them; they tell the diagnosis.
    """
    sections = report_sections(_with_english_headings(report, lexicon))
    findings = sections["findings"] or sections["others"] * (not sections["impression"])
    texts = [findings, sections["impression"]] if keep_impression else [findings]
    units = [unit for text in texts for sentence in _sentences(text) for unit in _units(sentence, lexicon)]
    return list({unit.text: unit for unit in units}.values())


def _with_english_headings(report: str, lexicon: ExamLexicon) -> str:
    """A report whose headings in other languages are those that `report_sections` knows, each on a line of its own."""
    if not lexicon.headings:
        return report
    english = {"findings": "FINDINGS", "impression": "IMPRESSION", "others": "HISTORY"}
    names = "|".join(re.escape(name) for name in sorted(lexicon.headings, key=len, reverse=True))
    # At the start of a line or after a sentence, numbered or in brackets or not, with a colon or alone on a line.
    heading = re.compile(
        rf"(?:^|(?<=[。；;！.\n]))[ \t]*(?:[一二三四五六七八九十\d]+[、.．]\s*)?"
        rf"[【\[]?({names})[】\]]?[ \t]*(?:[:：]|(?<=[】\]])|$)",
        re.MULTILINE | re.IGNORECASE,
    )
    return heading.sub(lambda match: f"\n\n{english[lexicon.headings[fold(match[1])]]}: ", report)


def _sentences(text: str) -> list[str]:
    """Sentences as they are written, without their final marks."""
    pieces = [piece for part in _CHINESE_END.split(text) for piece in split_sentences(part)]
    return [piece for part in pieces if re.search(r"[^\W\d_]", piece := part.strip(" \t\n,，、"))]


def _units(sentence: str, lexicon: ExamLexicon) -> list[ExamSentence]:
    """A sentence, or its parts on regions of their own."""
    parts = _SEAM.split(sentence)
    joined = [parts[0]]
    for seam, part in zip(parts[1::2], parts[2::2], strict=True):
        before, after = _read(joined[-1], lexicon), _read(part, lexicon)
        apart = after.region not in (None, before.region) and before.region is not None and _names_region(part, lexicon)
        if apart and _says_something(before) and _says_something(after):
            joined.append(part)
        else:
            joined[-1] += seam + part
    return [_read(part, lexicon) for part in joined if part.strip()]


def _names_region(text: str, lexicon: ExamLexicon) -> bool:
    return bool(lexicon.find_regions(fold(text)))


def _says_something(unit: ExamSentence) -> bool:
    return bool(unit.findings) or unit.normal


def _read(text: str, lexicon: ExamLexicon) -> ExamSentence:
    folded = fold(text)
    named = lexicon.find_regions(folded)
    region = named[0][0] if named else None
    asserted, normal = _judge(folded, lexicon.find_words(folded, region))
    if region is None:
        region = next((lexicon.implied[name] for name in asserted if name in lexicon.implied), None)
        if region is not None:
            asserted, normal = _judge(folded, lexicon.find_words(folded, region))
    definite = {name for name in asserted if name not in lexicon.vague}
    text = text.strip()
    stop = "。" if re.search(rf"[{_CJK}]", text) else "."
    return ExamSentence(text + stop, region, tuple(sorted(definite or set(asserted))), normal and not asserted)


def _judge(text: str, words: list[Word]) -> tuple[list[str], bool]:
    """Findings that a text asserts, in its order, and whether it says that something is normal."""
    asserted: list[tuple[str, int]] = []
    normal, denied_from = False, None
    before = 0
    for word in words:
        between = text[before : word.start]
        if word.kind == "tissues":
            # Only as the first word of its part: "no oedema of the mucosa, polyp or pus" is one list.
            denied_from = None if re.search("[,，;；]", between) else denied_from
            continue
        if denied_from is not None and re.search("[,，;；]", between) and not _OR.search(text[word.start - 4 :]):
            denied_from = None
        if word.kind == "scope_ends":
            denied_from = None
        elif word.kind == "negations":
            denied_from = word.end
        elif word.kind == "negations_after":
            clause = max(text.rfind(mark, 0, word.start) for mark in ",，;；")
            denied = [entry for entry in asserted if entry[1] > clause]
            asserted, normal = [entry for entry in asserted if entry not in denied], normal or bool(denied)
        elif word.kind == "finding":
            if denied_from is None:
                asserted.append((word.name, word.start))
            else:
                normal = True
        elif denied_from == before and word.start - before <= _SCOPE_LEFT:
            asserted.append(("abnormality", word.start))
        else:
            normal = True
        before = word.end
    return [name for name, _ in asserted], normal
