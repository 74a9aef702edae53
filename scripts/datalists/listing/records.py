"""Records of a datalist that an inference is asked for."""

from pathlib import Path

from scripts.cases.domain import Domain, read_domain
from scripts.datalists.datalist import load_datalist
from scripts.files.errors import UserError


def datalist_records(path: str | Path, domain: str | Path | Domain) -> list[dict]:
    """All records of a datalist.

    Raises:
        UserError: a datalist of another domain.
        DatalistError: a faulty one.
    """
    datalist, wanted = load_datalist(path), read_domain(domain)
    if datalist.domain != wanted:
        raise UserError(f"{path} is a datalist of domain '{datalist.domain.reference}': give one of '{wanted.reference}'")
    return datalist.records()
