"""A comparison as text for a terminal."""

from scripts.files.text_table import text_table
from scripts.tracking.compare.differences import cost_of
from scripts.tracking.compare.page import by_name, number, p_value
from scripts.tracking.compare.report import RunComparison, title

_COLUMNS, _MAX_WIDTH, _DIFFERENCES = 4, 40, 12


def text_of(found: RunComparison) -> str:
    """Results, paired differences, cost and what settings differ; the page has all of it, this what fits."""
    shown = range(min(len(found.runs), _COLUMNS))
    titles = [title(found.runs, index) for index in shown]
    rows = [[name, *(_metric(found, name, values, index) for index in shown)] for name, values in found.metrics.items()]
    costs = by_name([cost_of(run) for run in found.runs])
    rows += [[name, *(values[index] or "-" for index in shown)] for name, values in costs.items()]
    lines = [text_table(["", *titles], rows, _MAX_WIDTH)]
    hidden = len(found.runs) - len(shown)
    if hidden:
        lines.append(f"{hidden} more runs are on the page")
    compared = [
        [
            f"{row.measure} ({row.cases} lines)",
            titles[index],
            f"{row.difference:+.3f} ({row.lower:+.3f} to {row.upper:+.3f})",
            f"p {p_value(row.p_value)}",
        ]
        for index in shown
        for row in found.comparisons[index]
    ]
    if compared:
        lines += ["", f"the same cases, minus {titles[0]}:", text_table(["", "", "", ""], compared, _MAX_WIDTH)]
    names = [*found.settings, *found.origins]
    if names:
        some = ", ".join(names[:_DIFFERENCES])
        more = f" and {len(names) - _DIFFERENCES} more" if len(names) > _DIFFERENCES else ""
        lines += ["", f"differ: {some}{more}"]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


def _metric(found: RunComparison, name: str, values: list[float | None], index: int) -> str:
    bounds = found.bounds[index].get(name)
    interval = f" ({number(bounds.lower)}-{number(bounds.upper)})" if bounds else ""
    return f"{number(values[index])}{interval}{' *' if index in found.best[name] else ''}"
