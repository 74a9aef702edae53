"""Command lines: functions as verbs, and what was typed as the value of a flag, checked.

Every check raises `UsageError` with the way to write it.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import partial, wraps
from typing import Any

import fire
from fire.parser import DefaultParseValue

from scripts.files.errors import UserError


class UsageError(UserError):
    """The command is not understood: exit status 2."""


def run_command(command: Callable | Mapping[str, Callable], name: str, arguments: list[str]) -> int:
    """Run a function, or one of several by its verb, on what was typed; every value reaches it as the text that it is.

    Args:
        command: returns an exit status, or None where nothing can be wrong.
        name: of the program.
        arguments: what was typed after it.

    Returns:
        exit status: the function's own; 1 something about the data, with a message that says what; 2 the command itself is not
        understood; 130 interrupted.
    """
    try:
        verb = []
        if isinstance(command, Mapping) and arguments and arguments[0] not in ("-h", "--help"):
            verb, arguments = [known("verb", arguments[0], command)], arguments[1:]
        if "--help" in arguments or "-h" in arguments or not (verb or arguments):
            arguments = ["--", "--help"]
        # fire sends help through $PAGER, which would wait for a key where a terminal is only simulated.
        os.environ.setdefault("PAGER", "cat")
        later = {key: _later(one) for key, one in command.items()} if isinstance(command, Mapping) else _later(command)
        words = [*verb, *map(_quoted, arguments)]
        return fire.Fire(later, command=words, name=name, serialize=lambda _: None)._work() or 0
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


class _Job:
    """Work that a verb has understood but not begun, so that a misspelt flag is refused before hours are spent."""

    def __init__(self, work: Callable[[], int | None]) -> None:
        self._work = work


def _later(verb: Callable) -> Callable[..., _Job]:
    @wraps(verb)
    def prepare(*args: Any, **kwargs: Any) -> _Job:
        return _Job(partial(verb, *args, **kwargs))

    return prepare


def _quoted(argument: str) -> str:
    """Write a value as a Python string where fire would read another thing: the number 1 in a folder named 001."""
    if re.match("--?[A-Za-z]", argument):
        flag, equals, value = argument.partition("=")
        return f"{flag}={_quoted(value)}" if equals else flag
    return argument if argument == "--" or DefaultParseValue(argument) == argument else repr(argument)


def known(what: str, name: str, names: Iterable[str]) -> str:
    """The name, if it is among the known ones."""
    if name in names:
        return name
    near = get_close_matches(name, names, 1, cutoff=0.4)
    hint = f'; perhaps "{near[0]}" is meant' if near else ""
    raise UsageError(f'unknown {what} "{name}"{hint}. Known: {", ".join(names)}')


def check_paths(**paths: Any) -> None:
    """See that options that take a path have one, by name; Fire makes True of an option without a value."""
    for name, value in paths.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise UsageError(f"--{name} has no value; write --{name}=PATH or --{name} PATH")


def whole(name: str, value: Any, least: int) -> int | None:
    """The option as a whole number of at least `least`; None where it was not given."""
    if value is None or (type(value) is int and value >= least):
        return value
    if isinstance(value, str) and value.isdecimal() and int(value) >= least:
        return int(value)
    raise UsageError(f"--{name} is {value}; give a whole number of at least {least}")


def yes_or_no(name: str, value: Any) -> bool:
    """The option as a truth value, also where it came as a word."""
    if value not in (True, False, "True", "False"):
        raise UsageError(f"--{name} is {value}; write --{name} or --{name}=False")
    return value in (True, "True")


def typed(value: Any) -> Any:
    """A value as a config takes it: numbers, True, None, lists as such, all else as text."""
    return DefaultParseValue(value) if isinstance(value, str) else value


def numbers(name: str, value: Any, count: int, kind: type) -> tuple:
    """Numbers above 0 separated by commas."""
    try:
        parts = tuple(kind(part) for part in str(value).strip("()[] ").split(","))
    except ValueError:
        parts = ()
    if len(parts) != count or min(parts) <= 0:
        raise UsageError(f"--{name} is {value}; give {count} {'whole ' * (kind is int)}numbers above 0, as in --{name}=1,1,3")
    return parts
