"""Which findings of a prompt table a network is asked for."""

from collections.abc import Sequence
from pathlib import Path

from scripts.reports.by_anatomy.prompts import FindingPrompts, asked_of, read_anatomy_prompts

WHOLE_VOLUME = "whole volume"
"""What the baseline calls its one anatomy."""


def asked_prompts(
    table: str | Path, anatomies: Sequence[str], whole_volume: bool = False, leave_out: bool = False
) -> list[FindingPrompts]:
    """Read a prompt table for a network.

    Args:
        table: as for `read_anatomy_prompts`.
        anatomies: those that the network knows.
        whole_volume: ask every finding of the whole volume, whatever its anatomy.
        leave_out: leave out findings of other anatomies; else they are faults of the table.

    Raises:
        PromptTableError: what `read_anatomy_prompts` raises.
    """
    if whole_volume:
        return asked_of(read_anatomy_prompts(table), WHOLE_VOLUME)
    if leave_out:
        return [finding for finding in read_anatomy_prompts(table) if finding.anatomy in anatomies]
    return read_anatomy_prompts(table, anatomies)
