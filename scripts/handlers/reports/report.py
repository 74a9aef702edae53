"""The frame of every report: collect an evaluation's rows, then write tables, metrics and figures and track them."""

import logging
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ignite.engine import Engine, Events
from matplotlib.figure import Figure

from scripts.figures.localization import grid_figure
from scripts.files.atomic import atomic_path, write_json_atomically
from scripts.handlers.reports.tables import without_nan, write_csv
from scripts.tracking.recorder import MLflowTracker

logger = logging.getLogger(__name__)


class Results(NamedTuple):
    """What an evaluation found.

    tables: by name, each becomes NAME.csv. summary: becomes metrics.json, NaN null. main: the numbers by which runs are compared,
    under the names that MLflow shows; NaN is left out. figures: by name, each becomes NAME.png. text: a table for the terminal.
    """

    tables: dict[str, pd.DataFrame]
    summary: dict[str, Any]
    main: dict[str, float]
    figures: dict[str, Figure]
    text: str


class Report:
    """Collect what an evaluator gives and, at its end, write it where people look; subclasses say what to make of it (`results`).

    Writes `Results` to `folder`, puts the main numbers into `engine.state.metrics`, logs the text, and hands tables and figures to
    the tracker.

    Args:
        folder: where the files go.
        tracker: receives tables and figures; None tracks nothing.
        seed: of the bootstrap.
    """

    def __init__(self, folder: str | Path, tracker: MLflowTracker | None = None, seed: int = 0) -> None:
        self.folder = Path(folder)
        self.tracker = tracker
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: self.collect(engine.state.output))
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def start(self) -> None:
        """Forget an earlier run; `rows` holds the lists of the evaluator's output by name."""
        self.rows: dict[str, list] = defaultdict(list)

    def collect(self, output: dict[str, list]) -> None:
        """Keep a batch's output."""
        for name, rows in output.items():
            self.rows[name] += rows

    def results(self) -> Results | None:
        """What all rows say; None (after a word in the log) where there is nothing to score."""
        raise NotImplementedError

    def _start(self, engine: Engine) -> None:
        self.start()

    def _write(self, engine: Engine) -> None:
        results = self.results()
        if results is None:
            return
        for name, table in results.tables.items():
            write_csv(self.folder / f"{name}.csv", table)
        write_json_atomically(self.folder / "metrics.json", without_nan(results.summary))
        for name, figure in results.figures.items():
            with atomic_path(self.folder / f"{name}.png") as path:
                figure.savefig(path)
        engine.state.metrics.update({name: value for name, value in results.main.items() if not np.isnan(value)})
        logger.info("results in %s\n%s", self.folder, results.text)
        if self.tracker is not None:
            for name in (*(f"{table}.csv" for table in results.tables), "metrics.json"):
                self.tracker.log_artifact(self.folder / name)
            for name, figure in results.figures.items():
                self.tracker.log_figure(name, figure, step=0)


class Gallery:
    """Findings for a picture of many: some of each label.

    Args:
        size: findings in the picture at most.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: dict[str, list[Callable[[], dict[str, Any]]]] = {}

    def add(self, label: str, picture: Callable[[], dict[str, Any]]) -> None:
        """Keep a finding, unless there are enough of its label; `picture` gives its panel, see `grid_figure`."""
        kept = self._kept.setdefault(label, [])
        if len(kept) < self.size:
            kept.append(picture)

    def figures(self) -> dict[str, Figure]:
        """{"overlays": one finding of each label in turn, until there are enough}, {} without findings."""
        columns = self._kept.values()
        chosen = [kept[row] for row in range(self.size) for kept in columns if row < len(kept)][: self.size]
        return {"overlays": grid_figure([picture() for picture in chosen], columns=4)} if chosen else {}
