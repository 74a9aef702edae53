"""Tables, figures and metrics of a zero-shot classification by anatomy."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from scripts.figures.localization import interval_figure
from scripts.files.text_table import text_table
from scripts.handlers.reports.report import Report, Results
from scripts.handlers.reports.tables import cell
from scripts.inferers.volume_calibration import VolumeCalibration
from scripts.metrics.published.fvlm import published_scores
from scripts.metrics.summaries.classification import MEASURES, summarize_labels

logger = logging.getLogger(__name__)


class VolumeReport(Report):
    """Report of an `VolumeEvaluator`.

    Writes per_case.csv (a line a volume and finding: score, the network's and the calibrated probability), metrics.json (figures
    with 95% intervals over patients, by finding, by anatomy and macro) and auc.png.

    Args:
        calibration: gives what validation taught, asked for at the end: it may be learned in the meantime. None: thresholds
            are 0.5.
        published: write published_metrics.csv too: fVLM's protocol, whose thresholds are chosen on the test cases.
        frame: of `Report`.
    """

    def __init__(self, calibration: Callable[[], VolumeCalibration] | None = None, published: bool = False, **frame: Any) -> None:
        super().__init__(**frame)
        self.calibration = calibration
        self.published = published

    def results(self) -> Results | None:
        if not self.rows["labels"]:
            logger.warning("no volume has labels for the prompts' findings: nothing to score")
            return None
        rows = pd.DataFrame(self.rows["labels"])
        fitted = self.calibration() if self.calibration else VolumeCalibration()
        rows["probability"] = 1 / (1 + np.exp(-rows["score"]))
        rows["calibrated"] = fitted.probability(rows["label"], rows["score"])
        anatomy_of = dict(zip(rows["label"], rows["anatomy"], strict=True))
        summary = summarize_labels(rows, fitted.thresholds, self.seed, anatomy_of)
        tables = {"per_case": rows} | ({"published_metrics": published_table(rows)} if self.published else {})
        entries = {name: summary[name]["auc"] for name in anatomy_of} | {"macro": summary["macro"]["auc"]}
        main = {f"{measure}_macro": value["estimate"] for measure, value in summary["macro"].items()}
        figures = {"auc": interval_figure(entries, "AUC", reference=0.5)}
        return Results(tables, summary, main, figures, describe(summary, anatomy_of))


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
