"""What plans and reports of all phantoms are worded with."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_Option = TypeVar("_Option")


def choice(options: Sequence[_Option], rng: np.random.Generator) -> _Option:
    """One of the options, each as likely as the next, as it stands (numpy's own choice would make an array of them)."""
    return options[rng.integers(len(options))]


def capitalized(text: str) -> str:
    """The text with a capital first letter, the others as they stand (str.capitalize would make them small)."""
    return text[:1].upper() + text[1:]
