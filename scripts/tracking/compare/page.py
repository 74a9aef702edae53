"""A comparison as one HTML file that needs nothing beside it."""

import base64
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from scripts.tracking.compare.differences import cost_of
from scripts.tracking.compare.report import RunComparison, title
from scripts.tracking.compare.store import shown_address

_RUNS_AS_COLUMNS = 8  # more runs than these become lines
_PICTURE_WIDTH, _QUALITY = 1100, 82


def page_of(found: RunComparison, address: str) -> str:
    """The page.

    Args:
        found: what `compare_runs` gives.
        address: of the runs' store; a server's pages are linked.
    """
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {"number": number, "p_value": p_value}
    titles = [title(found.runs, index) for index in range(len(found.runs))]
    return environment.get_template("page.html").render(
        found=found,
        titles=titles,
        wide=len(titles) <= _RUNS_AS_COLUMNS,
        costs=by_name([cost_of(run) for run in found.runs]),
        links=[_link(address, run.experiment_id, run.id) for run in found.runs],
        address=shown_address(address),
        now=datetime.now(),
        pictures=_pictures(found.pictures),
    )


def number(value: float | None) -> str:
    """A metric for a table; "-" where there is none."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def p_value(value: float) -> str:
    """A p-value for a table."""
    return "-" if value != value else f"{value:.3f}" if value >= 0.001 else "<0.001"


def by_name(facts: Sequence[Mapping[str, str]]) -> dict[str, list[str | None]]:
    """Facts of each run as one list for each name, in the order in which names first come."""
    names = dict.fromkeys(name for known in facts for name in known)
    return {name: [known.get(name) for known in facts] for name in names}


def _link(address: str, experiment: str, run: str) -> str | None:
    """A run's page, where the store is a server; never with a login in it."""
    if not address.startswith(("http://", "https://")):
        return None
    return f"{shown_address(address).replace('***@', '').rstrip('/')}/#/experiments/{experiment}/runs/{run}"


def _pictures(of_runs: Sequence[Mapping[str, bytes]]) -> dict[str, dict[int, str]]:
    """Pictures by name and place of the run, as addresses that hold them; those that most runs have first."""
    names = dict.fromkeys(name for pictures in of_runs for name in pictures)
    shared = sorted(names, key=lambda name: -sum(name in pictures for pictures in of_runs))
    return {
        name: {index: _embedded(pictures[name]) for index, pictures in enumerate(of_runs) if name in pictures} for name in shared
    }


def _embedded(picture: bytes) -> str:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.thumbnail((_PICTURE_WIDTH, 4 * _PICTURE_WIDTH))
    smaller = io.BytesIO()
    image.save(smaller, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(smaller.getvalue()).decode()
