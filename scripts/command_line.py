"""What was typed as the value of a flag, checked: every function raises `UsageError` with the way to write it."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from scripts.errors import UserError


class UsageError(UserError):
    """The command is not understood: exit status 2."""


def known(what: str, name: str, names: Iterable[str]) -> str:
    """The name, if it is among the known ones."""
    if name in names:
        return name
    near = get_close_matches(name, names, 1, cutoff=0.4)
    hint = f'; perhaps "{near[0]}" is meant' if near else ""
    raise UsageError(f'unknown {what} "{name}"{hint}. Known: {", ".join(names)}')


def check_paths(**paths: Any) -> None:
    for name, value in paths.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise UsageError(f"--{name} has no value; write --{name}=PATH or --{name} PATH")


def whole(name: str, value: Any, least: int) -> int | None:
    if value is None or (type(value) is int and value >= least):
        return value
    if isinstance(value, str) and value.isdecimal() and int(value) >= least:
        return int(value)
    raise UsageError(f"--{name} is {value}; give a whole number of at least {least}")


def yes_or_no(name: str, value: Any) -> bool:
    if value not in (True, False, "True", "False"):
        raise UsageError(f"--{name} is {value}; write --{name} or --{name}=False")
    return value in (True, "True")


def numbers(name: str, value: Any, count: int, kind: type) -> tuple:
    """Numbers above 0 separated by commas."""
    try:
        parts = tuple(kind(part) for part in str(value).strip("()[] ").split(","))
    except ValueError:
        parts = ()
    if len(parts) != count or min(parts) <= 0:
        raise UsageError(f"--{name} is {value}; give {count} {'whole ' * (kind is int)}numbers above 0, as in --{name}=1,1,3")
    return parts
