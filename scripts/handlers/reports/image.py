"""Tables, figures and metrics of a localization evaluation."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ignite.engine import Engine, Events

from scripts.figures.localization import grid_figure
from scripts.files.atomic import atomic_path, write_json_atomically
from scripts.files.text_table import text_table
from scripts.handlers.reports.tables import cell, without_nan, write_csv
from scripts.kinds.image import finding_mask
from scripts.metrics.classification_summary import summarize_labels
from scripts.metrics.localization_summary import summarize_phrases
from scripts.readers.film import read_film
from scripts.tracking.recorder import MLflowTracker

logger = logging.getLogger(__name__)


class ImageReport:
    """Collect what a `ImageEvaluator` gives and, at its end, write it where people look.

    Writes to `folder`: per_case.csv (a line a film and phrase), per_label.csv (a line a film and label), metrics.json (figures with
    95% intervals over patients), overlays.png (films with truth, heat map and regions). Puts the main figures into
    `engine.state.metrics`, logs a table of them, and hands tables and figures to the tracker.

    Args:
        folder: where the files go.
        label_thresholds: probability from which a label counts as present.
        tracker: receives tables and figures; None tracks nothing.
        pictures: number of findings drawn.
        seed: of the bootstrap.
    """

    def __init__(
        self,
        folder: str | Path,
        label_thresholds: dict[str, float],
        tracker: MLflowTracker | None = None,
        pictures: int = 12,
        seed: int = 0,
    ) -> None:
        self.folder = Path(folder)
        self.label_thresholds = label_thresholds
        self.tracker = tracker
        self.pictures = pictures
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _start(self, engine: Engine) -> None:
        self._phrases: list[dict] = []
        self._labels: list[dict] = []
        self._kept_for_overlays: dict[str, list[dict]] = {}

    def _collect(self, engine: Engine) -> None:
        self._phrases += engine.state.output["phrases"]
        self._labels += engine.state.output["labels"]
        for record, queries, answers in engine.state.output["answers"]:
            for query, answer in zip(queries, answers, strict=True):
                # A few of each finding are enough, and maps are large.
                if query.finding is not None and len(self._kept_for_overlays.setdefault(query.label, [])) < self.pictures:
                    finding = record["findings"][query.finding]
                    kept = {"image": record["image"], "finding": finding, "answer": answer}
                    self._kept_for_overlays[query.label].append(kept)

    def _write(self, engine: Engine) -> None:
        phrases, labels = pd.DataFrame(self._phrases), pd.DataFrame(self._labels)
        summary: dict[str, Any] = {}
        if len(phrases):
            summary |= summarize_phrases(phrases, self.seed)
            write_csv(self.folder / "per_case.csv", phrases)
        if len(labels):
            summary["classification"] = summarize_labels(labels, self.label_thresholds, self.seed)
            write_csv(self.folder / "per_label.csv", labels)
        write_json_atomically(self.folder / "metrics.json", without_nan(summary))
        figure = self._figure()
        if figure is not None:
            with atomic_path(self.folder / "overlays.png") as path:
                figure.savefig(path)
        engine.state.metrics.update(main_figures(summary))
        logger.info("results in %s\n%s", self.folder, describe(summary))
        if self.tracker is not None:
            for name in ("per_case.csv", "per_label.csv", "metrics.json"):
                if (self.folder / name).is_file():
                    self.tracker.log_artifact(self.folder / name)
            if figure is not None:
                self.tracker.log_figure("overlays", figure, step=0)

    def _figure(self):
        """One finding of each kind in turn, until there are enough pictures."""
        columns = [kept for kept in self._kept_for_overlays.values() if kept]
        cases = [kept[row] for row in range(self.pictures) for kept in columns if row < len(kept)][: self.pictures]
        return grid_figure([_picture(case) for case in cases], columns=4) if cases else None


def main_figures(summary: dict[str, Any]) -> dict[str, float]:
    """The figures by which runs are compared, under the names that MLflow shows."""
    figures = {}
    for name, kept in (("", "all"), ("_macro", "macro"), ("_unseen_pair", "tag unseen_pair")):
        for measure, value in summary.get("localization", {}).get(kept, {}).items():
            if measure != "cases":
                figures[f"{measure}{name}"] = value["estimate"]
    for kind, value in summary.get("shown", {}).items():
        figures[f"regions_shown_{kind}"] = value["estimate"]
    if "false_regions_at_80_recall" in summary:
        figures["false_regions_at_80_recall"] = summary["false_regions_at_80_recall"]["rate"]
    if "classification" in summary:
        figures["auc_macro"] = summary["classification"]["macro"]["auc"]["estimate"]
        figures["accuracy_macro"] = summary["classification"]["macro"]["accuracy"]["estimate"]
    return {name: value for name, value in figures.items() if not np.isnan(value)}


def describe(summary: dict[str, Any]) -> str:
    """A table for the terminal."""
    measures = ("pointing", "cnr", "miou", "mdice", "region_iou")
    parts = summary.get("localization", {})
    rows: list[list] = [[name, part["cases"], *(cell(part.get(measure)) for measure in measures)] for name, part in parts.items()]
    lines = [text_table(["", "cases", "pointing game", "CNR", "mIoU", "Dice", "regions' IoU"], rows)] if rows else []
    rows = [[f"got a region: {kind}", value["cases"], cell(value)] for kind, value in summary.get("shown", {}).items()]
    if "false_regions_at_80_recall" in summary:
        rows.append(["absent, at 80% recall", None, f"{summary['false_regions_at_80_recall']['rate']:.3f}"])
    for name, values in summary.get("classification", {}).items():
        accuracy = f"{values['accuracy']['estimate']:.3f}"
        rows.append([f"AUC {name}", values.get("cases"), cell(values["auc"]), accuracy])
    return "\n".join([*lines, *([text_table(["", "cases", "", "accuracy"], rows)] if rows else [])])


def _picture(case: dict[str, Any]) -> dict[str, Any]:
    finding, answer = case["finding"], case["answer"]
    film = read_film(case["image"])
    return {
        "film": film,
        "heat": answer.heat,
        "boxes": finding.get("boxes", []),
        "mask": finding_mask(finding, film.shape) if finding.get("mask") else None,
        "regions": answer.regions,
        "title": answer.text if np.isnan(answer.probability) else f"{answer.text} (p {answer.probability:.2f})",
    }
