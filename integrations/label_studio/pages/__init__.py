"""What the expert sees of each kind of case, and how it is read back."""

from pathlib import Path

from integrations.label_studio.pages.exam import ExamPage
from integrations.label_studio.pages.image import ImagePage
from integrations.label_studio.pages.page import Page
from integrations.label_studio.pages.volume import VolumePage
from scripts.cases.domain import Domain, read_domain

PAGES: dict[str, type[Page]] = {"image": ImagePage, "exam": ExamPage, "volume": VolumePage}
"""By kind of case."""


def page_of(domain: str | Path | Domain) -> Page:
    """The page of a domain's cases.

    Raises:
        DomainError: no such domain; the known ones are listed.
    """
    found = read_domain(domain)
    return PAGES[found.kind](found)
