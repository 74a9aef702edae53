"""Wordings by which a case as a whole, or its images, are asked for findings and diagnoses."""

from pathlib import Path
from typing import Any

from scripts.cases.domain import Domain, read_domain
from scripts.cases.values import Text
from scripts.files.errors import UserError
from scripts.files.validation import ErrorCollector, StrictModel
from scripts.reports.tables import prompt_file, raise_faults, read_json

_FORM = 'an object {name: {"positive": [texts], "negative": [texts]}}'


class PromptTableError(UserError):
    """A prompt table cannot be used; lists all its faults."""


class _Wordings(StrictModel):
    """Texts that say that something is there, and that it is not."""

    positive: list[Text]
    negative: list[Text]


class _Signs(StrictModel):
    """Findings of the table, any of which speaks for a diagnosis."""

    signs: list[str]


def read_prompts(table: str | Path, domain: str | Path | Domain) -> dict[str, dict[str, list[str]]]:
    """Read a prompt table, {name: {"positive": [...], "negative": [...]}}, names in its order.

    A diagnosis of an exam may instead be {"signs": [names of findings in the table]}, any of which speaks for it; with none, it is
    what is left when no other diagnosis has a sign.

        prompts = read_prompts("cxr", "cxr")
        prompts["Edema"]["positive"]

    Args:
        table: name of one of the domain's prompt tables, or the path of a table of your own.
        domain: name or folder of the domain, or itself.

    Raises:
        DomainError: no such domain.
        PromptTableError: no such table, not JSON, or an entry of another form; all faults at once.
    """
    path, hint = prompt_file(table, read_domain(domain))
    content = read_json(path, "prompt table", hint, PromptTableError)
    notes = ErrorCollector(str(path))
    if not isinstance(content, dict) or not content:
        notes.wrong_type("", content, _FORM)
        content = {}
    worded = [name for name, entry in content.items() if not _has_signs(entry)]
    faults = notes.faults
    for name, entry in content.items():
        notes = ErrorCollector(str(path), record=name)
        if not _has_signs(entry):
            notes.check(_Wordings, entry)
        elif signs := notes.check(_Signs, entry):
            for number, sign in enumerate(signs.signs):
                if sign not in worded:
                    hint = f"add its wordings, or take one of {', '.join(worded) or 'those that you add'}"
                    notes.add("unknown sign", f"signs[{number}]", sign, "has no wordings in the table", hint)
        faults += notes.faults
    raise_faults(faults, PromptTableError)
    return content


def _has_signs(entry: Any) -> bool:
    return isinstance(entry, dict) and "signs" in entry
