"""Everything that a comparison of runs says, before it becomes a page or a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from scripts.tracking.compare.artifacts import fetch_files
from scripts.tracking.compare.differences import differing, is_result, low_is_good, origin_of, settings_of
from scripts.tracking.compare.intervals import Bounds, intervals_of
from scripts.tracking.compare.paired import Comparison, compare_cases
from scripts.tracking.compare.store import TrackedRun

PAIRED_RUNS = 8
"""Runs, from the first, whose single cases are compared with those of the first."""
PICTURED_RUNS = 6
"""Runs, from the first, whose pictures are shown."""
_NAMED = 10  # runs in one note


@dataclass(frozen=True)
class RunComparison:
    """Runs side by side; the first is the reference.

    metrics: value of each run by metric's name, None where it has none. best: places of the best values, by metric.
    bounds: 95% intervals of each run's metrics, where known. comparisons: of each run after the first with the first.
    settings, origins: values of each run by name, those that differ. pictures: of each run, by name.
    notes: what is missing or cannot be compared, in words.
    """

    runs: Sequence[TrackedRun]
    metrics: dict[str, list[float | None]]
    best: dict[str, set[int]]
    bounds: list[dict[str, Bounds]]
    comparisons: list[list[Comparison]]
    settings: dict[str, list[str | None]]
    origins: dict[str, list[str | None]]
    pictures: list[dict[str, bytes]]
    notes: list[str]


def compare_runs(runs: Sequence[TrackedRun], address: str) -> RunComparison:
    """Compare runs with the first of them.

    Args:
        runs: at least two.
        address: of their store, which knows how to reach their artifacts.
    """
    files = fetch_files(runs, address, tables_of=PAIRED_RUNS, pictures_of=PICTURED_RUNS)
    notes, comparisons = [], [[] for _ in runs]
    for index in tqdm(range(1, min(len(runs), PAIRED_RUNS)), desc="comparing cases", unit="run", disable=None, leave=False):
        comparisons[index], said = compare_cases(files[0].tables, files[index].tables)
        notes += [f"{title(runs, index)}: {words}" for words in said]
    if len(runs) > PAIRED_RUNS:
        notes.append(f"single cases are compared for the first {PAIRED_RUNS} of {len(runs)} runs")
    for index, found in enumerate(files):
        notes += [f"{title(runs, index)}: {words}" for words in found.troubles]
    without = [index for index, found in enumerate(files) if not found.metrics and not found.troubles]
    if without:
        notes.append(f"no metrics.json, so no intervals: {_titles(runs, without)}")
    for status in sorted({run.status for run in runs} - {"FINISHED"}):
        notes.append(f"{status}: {_titles(runs, [index for index, run in enumerate(runs) if run.status == status])}")
    dirty = [index for index, run in enumerate(runs) if run.tags.get("git.dirty") == "true"]
    if dirty:
        notes.append(f"files differed from the revision: {_titles(runs, dirty)}")
    metrics = _metrics(runs)
    return RunComparison(
        runs=runs,
        metrics=metrics,
        best={name: _best(name, values) for name, values in metrics.items()},
        bounds=[intervals_of(run.metrics, found.metrics) for run, found in zip(runs, files, strict=True)],
        comparisons=comparisons,
        settings=differing(runs, settings_of),
        origins=differing(runs, origin_of),
        pictures=[found.pictures for found in files],
        notes=notes,
    )


def title(runs: Sequence[TrackedRun], index: int) -> str:
    """How a run is called here: names repeat, numbers do not."""
    return f"#{index + 1} {runs[index].name}"


def _titles(runs: Sequence[TrackedRun], places: Sequence[int]) -> str:
    named = ", ".join(title(runs, index) for index in places[:_NAMED])
    return named if len(places) <= _NAMED else f"{named} and {len(places) - _NAMED} more"


def _metrics(runs: Sequence[TrackedRun]) -> dict[str, list[float | None]]:
    names = sorted({name for run in runs for name in run.metrics if is_result(name)})
    return {name: [run.metrics.get(name) for run in runs] for name in names}


def _best(name: str, values: list[float | None]) -> set[int]:
    """Places of the best value; none where there is nothing to choose from."""
    known = {value for value in values if value is not None and value == value}
    if len(known) < 2:
        return set()
    best = min(known) if low_is_good(name) else max(known)
    return {index for index, value in enumerate(values) if value == best}
