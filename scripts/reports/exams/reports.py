"""An exam's report, English or Chinese, as sentences that each say something of one region.

Regions and findings are told by the words of a lexicon (`scripts.reports.exams.lexicon`). No image is involved: which image
shows the region is what a network has to find out.

- A sentence on several regions falls apart at its commas and semicolons where both sides name a region of their own and say
  something of it ("Septum midline, inferior turbinates not enlarged."). Where it does not, it is on the region that it names first.
- What is said: the set of findings that are asserted or suspected, or "normal" where findings are denied or words say so. Who says
  neither has said nothing known.
"""

# ruff: noqa: RUF001 - Chinese has marks of its own
import re
from collections.abc import Sequence

from scripts.reports.exams.lexicon import ExamLexicon, fold
from scripts.reports.negation import Scopes, Tag
from scripts.reports.sections import report_sections, split_sentences
from scripts.reports.statements import Polarity, Statement

_CJK = "\u3000-\u303f\u3400-\u9fff\uff00-\uffef"
_CHINESE_END = re.compile(rf"[。！？；]|(?<=[{_CJK}])[ \t]*\n")
_SEAM = re.compile(r"([,，;；]\s*)")
_MARK = re.compile("[,，;；]")
_OR = re.compile(r"\b(?:or|nor)\b|或")
_SCOPE_LEFT = 12  # characters between "not" and the "normal" that it denies: one word


def exam_sentences(report: str, lexicon: ExamLexicon, keep_impression: bool = False) -> list[Statement]:
    """All different sentences of a report, in reading order.

        exam_sentences("Smooth nasopharynx. Impression: Normal.", ExamLexicon.load("en", "nasal"))

    Args:
        report: with or without headings. "Impression:", "Diagnosis:", 诊断, 印象 and their like open the impression; sections
            such as history are left out.
        lexicon: words.
        keep_impression: whether the impression's sentences are among them; they tell the diagnosis.
    """
    sections = report_sections(_with_english_headings(report, lexicon))
    findings = sections["findings"] or sections["others"] * (not sections["impression"])
    texts = [findings, sections["impression"]] if keep_impression else [findings]
    units = [unit for text in texts for unit in text_statements(text, lexicon)]
    return list({unit.text: unit for unit in units}.values())


def text_statements(text: str, lexicon: ExamLexicon) -> list[Statement]:
    """All sentences of a text without sections, or their parts on regions of their own, in reading order."""
    return [unit for sentence in _sentences(text) for unit in _units(sentence, lexicon)]


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


def _units(sentence: str, lexicon: ExamLexicon) -> list[Statement]:
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


def _says_something(unit: Statement) -> bool:
    return bool(unit.findings) or unit.normal


def _read(text: str, lexicon: ExamLexicon) -> Statement:
    folded = fold(text)
    region = next(iter(lexicon.find_regions(folded)), None)
    asserted, normality = _judge(folded, lexicon.find_words(folded, region))
    if region is None:
        region = next((lexicon.implied[name] for name in asserted if name in lexicon.implied), None)
        if region is not None:
            asserted, normality = _judge(folded, lexicon.find_words(folded, region))
    definite = {name for name in asserted if name not in lexicon.vague}
    text = text.strip()
    stop = "。" if re.search(rf"[{_CJK}]", text) else "."
    polarity = "present" if asserted else normality
    index = -1 if region is None else lexicon.region_names.index(region)
    return Statement(text + stop, polarity, region, index, tuple(sorted(definite or set(asserted))))


def _judge(text: str, tags: Sequence[Tag]) -> tuple[list[str], Polarity | None]:
    """Findings that a text asserts, in its order; and whether it says that something is normal, or else denies something."""
    ahead = _ends_of_denials(text, tags)
    scopes = Scopes(tags, ahead, behind=[mark.start() for mark in _MARK.finditer(text)])
    asserted, kinds = [], set()
    before: Tag | None = None
    for tag in tags:
        if "findings" in tag.kinds:
            state = scopes.state(tag)
            asserted += [tag.name] if state != "negated" else []
            kinds.add(state)
        elif "normal" in tag.kinds:
            if before and tag.start - before.end <= _SCOPE_LEFT and scopes.follows(before, tag, "negation"):
                denied = scopes.reached(tag, "negation", only_from_behind=True)
                asserted += ["abnormality"] * (not denied)
                kinds |= {"negated"} if denied else set()
            else:
                kinds.add("normal")
        before = before if "tissues" in tag.kinds else tag
    return asserted, next((kind for kind in ("normal", "negated") if kind in kinds), None)


def _ends_of_denials(text: str, tags: Sequence[Tag]) -> list[int]:
    """Where a denial of what follows ends: at a comma, unless a list goes on to an "or" behind it, or at a word of its own."""
    ends, before = [], 0
    for tag in tags:
        after_mark = _MARK.search(text[before : tag.start])
        if "tissues" in tag.kinds:
            # Only as the first word of its part: "no oedema of the mucosa, polyp or pus" is one list.
            ends += [tag.start] if after_mark else []
            continue
        if "scope_ends" in tag.kinds or (after_mark and not _OR.search(text[tag.start - 4 :])):
            ends.append(tag.start)
        before = tag.end
    return ends
