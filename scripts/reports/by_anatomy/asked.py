"""Which findings of a prompt table a network is asked for."""

from collections.abc import Collection
from pathlib import Path

from scripts.cases.domain import Domain
from scripts.reports.by_anatomy.prompts import FindingPrompts, asked_of, read_anatomy_prompts

WHOLE_VOLUME = "whole volume"
"""What the baseline calls its one anatomy."""


def asked_prompts(
    table: str | Path, domain: str | Path | Domain, anatomies: Collection[str], whole_volume: bool = False
) -> list[FindingPrompts]:
    """Read a prompt table for a network, which must know all its anatomies.

    Args:
        table, domain, anatomies: as for `read_anatomy_prompts`.
        whole_volume: ask every finding of the whole volume, whatever its anatomy.

    Raises:
        PromptTableError: what `read_anatomy_prompts` raises.
    """
    if whole_volume:
        return asked_of(read_anatomy_prompts(table, domain), WHOLE_VOLUME)
    return read_anatomy_prompts(table, domain, anatomies)


def known_prompts(
    table: str | Path, domain: str | Path | Domain, anatomies: Collection[str], whole_volume: bool = False
) -> list[FindingPrompts]:
    """`asked_prompts` without the findings of anatomies that the network does not know, where those would be faults."""
    if whole_volume:
        return asked_prompts(table, domain, anatomies, whole_volume)
    return [finding for finding in read_anatomy_prompts(table, domain) if finding.anatomy in anatomies]
