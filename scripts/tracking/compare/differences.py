"""In what runs differ besides their results: settings, code, data, machine, cost."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from scripts.tracking.compare.store import TrackedRun

# Last part of the names of metrics about the course of a run rather than what its network can do, and what they cost.
_COURSE = ("epoch", "learning_rate", "samples_per_second", "gpu_memory_mib", "memory_mib", "energy_kwh")
_LOW_IS_GOOD = (
    "loss",
    "ece",
    "alignment",
    "uniformity",
    "false_regions",
    "regions_shown_absent",
    "regions_shown_negated",
    "regions_shown_not_groundable",
)
_NOT_A_DIFFERENCE = ("mlflow.", "process.", "tracking_key", "epochs")


def is_result(metric: str) -> bool:
    """Whether a metric is about results, by its name."""
    return not metric.startswith("system/") and not _last(metric).startswith(_COURSE)


def low_is_good(metric: str) -> bool:
    """Whether the lower of two values of a metric is the better one, by its name."""
    return _last(metric).startswith(_LOW_IS_GOOD)


def settings_of(run: TrackedRun) -> Mapping[str, str]:
    """The run's config."""
    return run.params


def origin_of(run: TrackedRun) -> Mapping[str, str]:
    """Where results come from: revision, packages, machine, command line, and the config's own tags."""
    return {name: value for name, value in run.tags.items() if not name.startswith(_NOT_A_DIFFERENCE)}


def differing(runs: Sequence[TrackedRun], facts_of: Callable[[TrackedRun], Mapping[str, str]]) -> dict[str, list[str | None]]:
    """Facts that are not the same in all runs: by name the value of each run, None where it has none."""
    facts = [facts_of(run) for run in runs]
    names = sorted({name for known in facts for name in known})
    rows = {name: [known.get(name) for known in facts] for name in names}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}


def cost_of(run: TrackedRun) -> dict[str, str]:
    """What a run took, as far as its record says."""
    cost = {} if run.seconds is None else {"time": str(timedelta(seconds=round(run.seconds)))}
    if "epochs" in run.tags:
        cost["epochs"] = run.tags["epochs"]
    for name, title, form in (
        ("samples_per_second", "cases a second", "{:.1f}"),
        ("gpu_memory_mib", "peak GPU memory, MiB", "{:,.0f}"),
        ("memory_mib", "peak memory, MiB", "{:,.0f}"),
        ("energy_kwh", "energy, kWh", "{:.3f}"),
    ):
        values = [value for metric, value in run.metrics.items() if _last(metric) == name and not metric.startswith("system/")]
        if values:
            cost[title] = form.format(max(values))
    return cost


def _last(metric: str) -> str:
    return metric.rpartition("/")[2]
