"""Lexicons, prompt tables and the like: JSON files that are read whole and checked whole."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from scripts.cases.domain import Domain
from scripts.files.errors import UserError
from scripts.files.faults import Fault, describe_faults
from scripts.files.validation import ErrorCollector

Model = TypeVar("Model", bound=BaseModel)


class LexiconError(UserError):
    """A lexicon cannot be used; lists all that is wrong with it."""


def prompt_file(table: str | Path, domain: Domain) -> tuple[Path, str]:
    """File of a prompt table, given by its name in the domain or by its path; and what to give where there is no such file."""
    known = ", ".join(domain.prompts) or "it has none"
    hint = f"give the name of a prompt table of domain {domain.name} ({known}), or the path of a JSON file"
    return domain.prompt_table(str(table)) if str(table) in domain.prompts else Path(table), hint


def read_json(path: Path, what: str, hint: str, error: type[UserError]) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        what: it should be, for messages ("prompt table").
        hint: what to give where there is no such file.
        error: what is raised.

    Raises:
        error: no such file, not UTF-8, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as cause:
        reason = f"cannot be opened ({cause.strerror})"
    except UnicodeDecodeError as cause:
        reason, hint = f"is not UTF-8 text (byte {cause.start})", "save it as UTF-8"
    except json.JSONDecodeError as cause:
        reason, hint = f"is not JSON: {cause.msg}, line {cause.lineno}, column {cause.colno}", "correct it there"
    raise error(describe_faults([Fault(f"unreadable {what}", str(path), "", "", "", "", reason, hint)]))


def read_table(path: Path, model: type[Model], what: str, hint: str, error: type[UserError], context: Any = None) -> Model:
    """Read a JSON file and check it against a model; arguments as for `read_json`.

    Args:
        context: handed to the model's validators.

    Raises:
        error: see `read_json`, or whatever is wrong with the content, all faults at once.
    """
    content = read_json(path, what, hint, error)
    notes = ErrorCollector(str(path))
    table = notes.check(model, content, context=context)
    raise_faults(notes.faults, error)
    return table


def raise_faults(faults: list[Fault], error: type[UserError]) -> None:
    """Raise an error that lists all faults, if there are any."""
    if faults:
        raise error(describe_faults(faults))
