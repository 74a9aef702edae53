"""Tables, figures and metrics of a NasVLM evaluation."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ignite.engine import Engine, Events

from scripts.figures.exam_overlays import exam_picture
from scripts.figures.localization import grid_figure
from scripts.files.atomic import atomic_path, write_json_atomically
from scripts.files.text_table import text_table
from scripts.handlers.reports.tables import cell, without_nan, write_csv
from scripts.metrics.bootstrap import patient_interval
from scripts.metrics.classification_summary import summarize_labels
from scripts.metrics.exam_retrieval import summarize_retrieval
from scripts.metrics.localization_summary import summarize_phrases
from scripts.metrics.screening_summary import confusion_matrix, screening_values, summarize_screening
from scripts.tracking.recorder import MLflowTracker

logger = logging.getLogger(__name__)


class ExamReport:
    """Collect what an `ExamEvaluator` gives and, at its end, write it where people look.

    Writes to `folder`: per_sentence.csv (which image a sentence chose), per_finding.csv (localization), per_label.csv (findings
    from prompts), per_exam.csv (classes from prompts), metrics.json (figures with 95% intervals over patients), overlays.png
    (findings with truth and heat map). Puts the main figures into `engine.state.metrics`, logs a table, tracks all.

    Args:
        folder: where the files go.
        label_thresholds: probability from which a finding counts as present.
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
        self._parts: dict[str, list] = {
            name: [] for name in ("exams", "reports", "patients", "sentences", "phrases", "labels", "diagnoses")
        }
        self._kept_for_overlays: dict[str, list[dict]] = {}

    def _collect(self, engine: Engine) -> None:
        for name, part in self._parts.items():
            part += engine.state.output[name]
        for case, finding, found in engine.state.output["answers"]:
            # A few of each finding are enough, and images are large.
            kept = self._kept_for_overlays.setdefault(finding["label"], [])
            if len(kept) < self.pictures:
                path = case["record"]["images"][finding["image_index"]]
                kept.append(exam_picture(path, found.heat, f"{finding['label']} ({case['case_id']})", mask=found.truth))

    def _write(self, engine: Engine) -> None:
        tables = {
            "per_sentence": pd.DataFrame(self._parts["sentences"]),
            "per_finding": pd.DataFrame(self._parts["phrases"]),
            "per_label": pd.DataFrame(self._parts["labels"]),
            "per_exam": pd.DataFrame(self._parts["diagnoses"]),
        }
        tables = {name: table for name, table in tables.items() if len(table)}
        summary = self._summary(tables)
        for name, table in tables.items():
            write_csv(self.folder / f"{name}.csv", table)
        write_json_atomically(self.folder / "metrics.json", without_nan(summary))
        figure = self._figure()
        if figure is not None:
            with atomic_path(self.folder / "overlays.png") as path:
                figure.savefig(path)
        engine.state.metrics.update(main_figures(summary))
        logger.info("results in %s\n%s", self.folder, describe(summary))
        if self.tracker is not None:
            for name in (*(f"{table}.csv" for table in tables), "metrics.json"):
                self.tracker.log_artifact(self.folder / name)
            if figure is not None:
                self.tracker.log_figure("overlays", figure, step=0)

    def _summary(self, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
        cases, told = len(self._parts["diagnoses"]), len(self._parts["patients"])
        summary: dict[str, Any] = {"exams": cases, "exams_without_sentence": cases - told}
        if len(set(self._parts["patients"])) > 1:
            exams, reports = (torch.stack(self._parts[name]) for name in ("exams", "reports"))
            summary["retrieval"] = summarize_retrieval(exams, reports, self._parts["patients"], seed=self.seed)
        if "per_sentence" in tables:
            summary |= summarize_choices(tables["per_sentence"], self.seed)
        if "per_finding" in tables:
            summary["localization"] = summarize_phrases(tables["per_finding"], self.seed)["localization"]
            summary["findings_outside_view"] = int((~tables["per_finding"]["seen"]).sum())
        if "per_label" in tables:
            summary["findings"] = summarize_labels(tables["per_label"], self.label_thresholds, self.seed)
        if "per_exam" in tables:
            summary |= summarize_diagnoses(tables["per_exam"], self.seed)
        return summary

    def _figure(self):
        """One finding of each kind in turn, until there are enough pictures."""
        columns = [kept for kept in self._kept_for_overlays.values() if kept]
        cases = [kept[row] for row in range(self.pictures) for kept in columns if row < len(kept)][: self.pictures]
        return grid_figure(cases, columns=4) if cases else None


def summarize_choices(rows: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """How often sentences chose an image of their region ("assignment"), and of the finding they state ("selection").

    Returns:
        {kind: {"all" and, of selections, "size small" ...: {"hit": interval, "chance": what a random image would reach, "cases"}}}.
    """
    summary: dict[str, Any] = {}
    for kind, part in rows.groupby("kind"):
        slices = {"all": part}
        if kind == "selection":
            slices |= {f"size {size}": chosen for size, chosen in part.groupby("size")}
        summary[kind] = {
            name: {
                "hit": patient_interval(chosen["hit"], chosen["patient_id"].tolist(), seed=seed),
                "chance": float(chosen["chance"].mean()),
                "cases": len(chosen),
            }
            for name, chosen in slices.items()
        }
    return summary


def summarize_diagnoses(rows: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """Zero-shot classes: {"diagnosis": figures of `summarize_screening`, "confusion": [C, C]}, {} without exams of known class."""
    known = rows[rows["truth"].notna()] if "truth" in rows else rows.iloc[:0]
    if known["patient_id"].nunique() < 2:
        return {}
    classes = [name for name in rows.columns if name not in ("case_id", "patient_id", "truth")]
    values = screening_values(known["truth"].map(classes.index), known[classes].to_numpy(float))
    figures = summarize_screening(values, known["patient_id"].tolist(), seed)
    return {"diagnosis": figures, "confusion": {"classes": classes, "counts": confusion_matrix(values).tolist()}}


def main_figures(summary: dict[str, Any]) -> dict[str, float]:
    """The figures by which runs are compared, under the names that MLflow shows."""
    figures = {}
    for way in ("exam_to_report", "report_to_exam"):
        for measure, value in summary.get("retrieval", {}).get(way, {}).items():
            figures[f"{way}_{measure}"] = value["estimate"]
    for kind in ("assignment", "selection"):
        if kind in summary:
            figures[kind] = summary[kind]["all"]["hit"]["estimate"]
    for measure, value in summary.get("localization", {}).get("all", {}).items():
        if measure != "cases":
            figures[measure] = value["estimate"]
    for measure, value in summary.get("diagnosis", {}).items():
        figures[f"diagnosis_{measure}"] = value["estimate"]
    if "findings" in summary:
        figures["auc_macro"] = summary["findings"]["macro"]["auc"]["estimate"]
    return {name: value for name, value in figures.items() if not np.isnan(value)}


def describe(summary: dict[str, Any]) -> str:
    """A table for the terminal."""
    rows: list[list] = [["exams", summary["exams"]], ["exams without a sentence to use", summary["exams_without_sentence"]]]
    for way in ("exam_to_report", "report_to_exam"):
        for measure, value in summary.get("retrieval", {}).get(way, {}).items():
            rows.append([f"{way} {measure}", summary["retrieval"]["cases"], cell(value)])
    for kind in ("assignment", "selection"):
        for name, part in summary.get(kind, {}).items():
            rows.append([f"{kind} {name}", part["cases"], cell(part["hit"]), f"{part['chance']:.3f}"])
    for measure, value in summary.get("diagnosis", {}).items():
        rows.append([f"diagnosis {measure}", None, cell(value)])
    if "findings" in summary:
        rows.append(["findings, macro AUC", None, cell(summary["findings"]["macro"]["auc"])])
    if summary.get("findings_outside_view"):
        rows.append(["findings outside the view, missed by localization", summary["findings_outside_view"]])
    lines = [text_table(["", "cases", "", "chance"], rows)]
    measures = ("pointing", "cnr", "miou", "mdice", "region_iou")
    parts = summary.get("localization", {})
    if parts:
        rows = [[name, part["cases"], *(cell(part.get(measure)) for measure in measures)] for name, part in parts.items()]
        lines.append(text_table(["localization", "cases", *measures], rows))
    return "\n".join(lines)
