"""Tables, figures and metrics of a zero-shot classification by anatomy."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ignite.engine import Engine, Events

from scripts.figures.localization import interval_figure
from scripts.files.atomic import atomic_path, write_json_atomically
from scripts.files.text_table import text_table
from scripts.handlers.reports.tables import cell, without_nan, write_csv
from scripts.inferers.volume_calibration import VolumeCalibration
from scripts.metrics.classification_summary import MEASURES, summarize_labels
from scripts.metrics.published_fvlm import published_scores
from scripts.tracking.recorder import MLflowTracker

logger = logging.getLogger(__name__)


class VolumeReport:
    """Collect what an `VolumeEvaluator` gives and, at its end, write it where people look.

    Writes to `folder`: per_case.csv (a line a volume and finding: score, the network's and the calibrated probability),
    metrics.json (figures with 95% intervals over patients, by finding, by anatomy and macro), auc.png. Puts the macro figures into
    `engine.state.metrics`, logs a table, and hands all of it to the tracker.

    Args:
        folder: where the files go.
        calibration: gives what validation taught, asked for at the end: it may be learned in the meantime. None: thresholds
            are 0.5.
        tracker: receives tables and figures; None tracks nothing.
        seed: of the bootstrap.
        published: write published_metrics.csv too: fVLM's protocol, whose thresholds are chosen on the test cases.
    """

    def __init__(
        self,
        folder: str | Path,
        calibration: Callable[[], VolumeCalibration] | None = None,
        tracker: MLflowTracker | None = None,
        seed: int = 0,
        published: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.calibration = calibration
        self.tracker = tracker
        self.seed = seed
        self.published = published

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _start(self, engine: Engine) -> None:
        self._rows: list[dict] = []

    def _collect(self, engine: Engine) -> None:
        self._rows += engine.state.output["labels"]

    def _write(self, engine: Engine) -> None:
        if not self._rows:
            logger.warning("no volume has labels for the prompts' findings: nothing to score")
            return
        rows = pd.DataFrame(self._rows)
        fitted = self.calibration() if self.calibration else VolumeCalibration()
        rows["probability"] = 1 / (1 + np.exp(-rows["score"]))
        rows["calibrated"] = fitted.probability(rows["label"], rows["score"])
        anatomy_of = dict(zip(rows["label"], rows["anatomy"], strict=True))
        summary = summarize_labels(rows, fitted.thresholds, self.seed, anatomy_of)
        write_csv(self.folder / "per_case.csv", rows)
        write_json_atomically(self.folder / "metrics.json", without_nan(summary))
        files = ["per_case.csv", "metrics.json"]
        if self.published:
            write_csv(self.folder / "published_metrics.csv", published_table(rows))
            files.append("published_metrics.csv")
        entries = {name: summary[name]["auc"] for name in anatomy_of} | {"macro": summary["macro"]["auc"]}
        figure = interval_figure(entries, "AUC", reference=0.5)
        with atomic_path(self.folder / "auc.png") as path:
            figure.savefig(path)
        engine.state.metrics.update(
            {
                f"{measure}_macro": value["estimate"]
                for measure, value in summary["macro"].items()
                if not np.isnan(value["estimate"])
            }
        )
        logger.info("results in %s\n%s", self.folder, describe(summary, anatomy_of))
        if self.tracker is not None:
            for name in files:
                self.tracker.log_artifact(self.folder / name)
            self.tracker.log_figure("auc", figure, step=0)


def published_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores by fVLM's published protocol, one line a finding and their mean; findings of one answer are left out."""
    lines = {}
    for label, part in rows.groupby("label", sort=False):
        if part["truth"].nunique() == 2:
            lines[label] = published_scores(part["truth"], part["probability"])._asdict()
    table = pd.DataFrame.from_dict(lines, orient="index")
    table.loc["mean"] = table.mean()
    return table.rename_axis("label").reset_index()


def describe(summary: dict[str, Any], anatomy_of: dict[str, str]) -> str:
    """A table for the terminal: findings by anatomy, anatomies, macro."""
    rows = []
    for anatomy in summary["groups"]:
        for label in (label for label, home in anatomy_of.items() if home == anatomy):
            part = summary[label]
            rows.append([f"  {label}", part["cases"], part["positives"], *_cells(part)])
        rows.append([anatomy, None, None, *_cells(summary["groups"][anatomy])])
    rows.append(["macro", None, None, *_cells(summary["macro"])])
    return text_table(["", "cases", "present", *MEASURES], rows)


def _cells(part: dict[str, Any]) -> list[str]:
    return [cell(part[measure]) for measure in MEASURES]
