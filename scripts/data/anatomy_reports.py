"""A CT report taken apart by anatomy: which sentences speak of which organ, and what each organ's text becomes."""

import re
from typing import Literal, NamedTuple

from scripts.data.reports import report_sections, split_sentences

Section = Literal["findings", "impression"]


class ReportSentence(NamedTuple):
    """A sentence as written, without its final mark, and the section that it stands in."""

    text: str
    section: Section


def anatomy_sentences(report: str) -> list[ReportSentence]:
    """All sentences of a CT report, findings first, then the impression.

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
