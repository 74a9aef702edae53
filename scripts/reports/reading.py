"""A report of any domain as statements."""

import functools
from collections.abc import Iterator
from pathlib import Path

from scripts.cases.domain import Domain, read_domain
from scripts.reports.by_anatomy.reports import anatomy_sentences, sentence_anatomies
from scripts.reports.by_anatomy.table import Anatomy, AnatomyTable
from scripts.reports.by_anatomy.words import read_vocabulary
from scripts.reports.exams.lexicon import ExamLexicon
from scripts.reports.exams.reports import exam_sentences
from scripts.reports.phrases import domain_lexicons, polarity_by
from scripts.reports.sections import report_sections, split_sentences
from scripts.reports.statements import Statement


def read_report(text: str, domain: str | Path | Domain) -> list[Statement]:
    """Read what a report says, in the order of its sentences; findings come before the impression.

        read_report("Smooth nasopharynx. Polyp in the left middle meatus.", "nasal")

    What a domain has decides what is told: a lexicon that names regions and findings tells both; parts of the body
    (`Domain.tables`) tell which of them a statement is on, and a sentence on several is several statements; lists of words alone
    tell polarity.

    Args:
        text: the report, with or without headings.
        domain: name or folder of the domain, or itself.

    Returns:
        statements; one that nothing is understood of has polarity None. Empty where the report has no sentence.

    Raises:
        DomainError: no such domain.
        LexiconError: a faulty lexicon.
    """
    domain = read_domain(domain)
    lexicons = domain_lexicons(str(domain.folder))
    if isinstance(lexicons[-1], ExamLexicon):
        return exam_sentences(text, lexicons[-1], keep_impression=True)
    if "parts" in domain.tables:
        return list(_by_part(text, domain))
    sections = report_sections(text)
    pieces = [piece for key in ("findings", "impression") for piece in split_sentences(sections[key])]
    sentences = [sentence for piece in pieces if any(map(str.isalpha, sentence := piece.strip(" \t\n,")))]
    return [Statement(f"{sentence}.", polarity_by(sentence, lexicons[0])) for sentence in sentences]


def _by_part(text: str, domain: Domain) -> Iterator[Statement]:
    table = _all_parts(domain.reference)
    lexicon = domain_lexicons(str(domain.folder))[0]
    for sentence, mentions in zip(anatomy_sentences(text), sentence_anatomies(text, table), strict=True):
        if not mentions:
            yield Statement(f"{sentence.text}.", polarity_by(sentence.text, lexicon))
        for mention in mentions:
            said = polarity_by(mention.text, lexicon)
            yield Statement(f"{mention.text}.", said, mention.anatomy, table.names.index(mention.anatomy))


@functools.lru_cache(maxsize=8)
def _all_parts(domain: str) -> AnatomyTable:
    """Every part of the body of a domain's vocabulary as an anatomy of its own."""
    return AnatomyTable(tuple(Anatomy(name, (), (name,)) for name in read_vocabulary(domain).parts), domain)
