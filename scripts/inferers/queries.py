"""Which phrases a film is asked for in an evaluation: findings that are there, findings that are not, and no findings."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from scripts.cases.domain import Domain, read_domain
from scripts.cases.kind import case_id


@dataclass(frozen=True)
class Query:
    """A phrase asked of one film.

    kind: "present" (a finding of the record; `finding` is its place in the record), "absent" (a phrase for a label that the record
    says is not there), "negated" ("no X" for such a label), "not_groundable" (a normal statement).
    """

    text: str
    kind: str
    label: str
    finding: int | None = None


def phrase_pool(splits: Mapping[str, Sequence[dict]], domain: str | Path | Domain) -> dict[str, list[str]]:
    """The phrases that the findings of a datalist's splits use for each label, sorted; the domain's where one has no text."""
    pool: dict[str, set[str]] = {}
    known = read_domain(domain)
    for record in chain.from_iterable(splits.values()):
        for finding in record.get("findings", ()):
            pool.setdefault(finding["label"], set()).add(_phrase(finding, known))
    return {label: sorted(texts) for label, texts in sorted(pool.items())}


def film_queries(record: dict, pool: dict[str, list[str]], domain: Domain) -> list[Query]:
    """All phrases that an evaluation asks of one film; the same record and pool always give the same.

    Args:
        record: of an image, with findings, or labels, or both.
        pool: phrases for each label (see `phrase_pool`); absent findings are asked for in these words.
        domain: its normal statements are asked too: a map of them would be noise drawn on a film.
    """
    queries = [
        Query(_phrase(finding, domain), "present", finding["label"], index)
        for index, finding in enumerate(record.get("findings", ()))
    ]
    present = {query.label for query in queries}
    for label, value in sorted(record.get("labels", {}).items()):
        if value == 0 and label not in present and label in pool:
            choice = zlib.crc32(f"{case_id(record)} {label}".encode()) % len(pool[label])
            queries.append(Query(pool[label][choice], "absent", label))
            queries.append(Query(f"no {label.lower()}", "negated", label))
    return queries + [Query(text, "not_groundable", "") for text in domain.normal_statements]


def _phrase(finding: dict, domain: Domain) -> str:
    return finding.get("text") or domain.phrase_for(finding["label"])
