"""The intervals of tracked metrics: a run's metrics.json has them, under other names than the tracker."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Bounds(NamedTuple):
    """95% interval of a metric."""

    lower: float
    upper: float


# Path in metrics.json, as a pattern, and the tracked name without its prefix: what `main_figures` of the reports do.
_NAMES = [
    (r"localization/all/(\w+)", r"\1"),
    (r"localization/macro/(\w+)", r"\1_macro"),
    (r"localization/tag unseen_pair/(\w+)", r"\1_unseen_pair"),
    (r"shown/(\w+)", r"regions_shown_\1"),
    (r"(?:classification|findings)/macro/(\w+)", r"\1_macro"),
    (r"macro/(\w+)", r"\1_macro"),
    (r"slices/all/(\w+)", r"\1"),
    (r"retrieval/(\w+)/(\w+)", r"\1_\2"),
    (r"(assignment|selection)/all/hit", r"\1"),
    (r"diagnosis/(\w+)", r"diagnosis_\1"),
]
_NAMES = [(re.compile(pattern), name) for pattern, name in _NAMES]


def intervals_of(tracked: Mapping[str, float], content: Mapping[str, Any]) -> dict[str, Bounds]:
    """Intervals by tracked name.

    An interval belongs to a metric if its name and its estimate both say so: a run whose evaluation has been tracked twice, say,
    has a metrics.json of the second alone.

    Args:
        tracked: last values of the run's metrics by full name, `test/cnr`.
        content: its metrics.json.
    """
    named = {}
    for path, interval in _intervals(content, ""):
        for pattern, name in _NAMES:
            if match := pattern.fullmatch(path):
                named[match.expand(name)] = interval
    found = {}
    for name, value in tracked.items():
        interval = named.get(name.partition("/")[2])
        if interval and None not in interval.values() and math.isclose(interval["estimate"], value, rel_tol=1e-6, abs_tol=1e-9):
            found[name] = Bounds(interval["lower"], interval["upper"])
    return found


def _intervals(content: Any, path: str) -> Iterator[tuple[str, dict[str, float]]]:
    if not isinstance(content, Mapping):
        return
    if {"estimate", "lower", "upper"} <= content.keys():
        yield path, {key: content[key] for key in ("estimate", "lower", "upper")}
        return
    for key, part in content.items():
        yield from _intervals(part, f"{path}/{key}".lstrip("/"))
