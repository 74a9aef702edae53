"""Errors whose message is meant for the person at the keyboard: they say what is wrong, where, and the way out."""

from collections.abc import Sequence
from typing import Any


class UserError(Exception):
    """Base: the command line prints the message alone, without a traceback, and exits with 1."""


class DatalistError(UserError):
    """A datalist has faults; the message lists them, `faults` holds all, one by one (`scripts.files.faults.Fault`)."""

    def __init__(self, message: str, faults: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.faults = list(faults)


class SourceError(UserError):
    """A public data set's folder is not as its owner distributes it; lists all faults."""


class ConversionError(UserError):
    """A published checkpoint cannot be converted."""


class PredictionError(UserError):
    """A prediction is not what predictions.jsonl may hold; lists all faults of the case or file."""


class TooManyRejected(UserError):
    """More cases failed than the configured share."""


def refuse_old_word(old: str, value: object, new: str) -> None:
    """Refuse a value under a config key's old word, which would otherwise change nothing; None passes.

    Raises:
        UserError: a value is given; the message names the new word.
    """
    if value is not None:
        raise UserError(f"{old} is called {new} now: give --{new} instead of --{old}")
