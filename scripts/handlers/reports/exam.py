"""Tables, figures and metrics of a NasVLM evaluation."""

from functools import partial
from typing import Any

import pandas as pd
import torch

from scripts.figures.exam_overlays import exam_picture
from scripts.files.text_table import text_table
from scripts.handlers.reports.report import Gallery, Report, Results
from scripts.handlers.reports.tables import cell
from scripts.metrics.bootstrap import patient_interval
from scripts.metrics.exam_retrieval import summarize_retrieval
from scripts.metrics.summaries.classification import summarize_labels
from scripts.metrics.summaries.localization import summarize_phrases
from scripts.metrics.summaries.screening import confusion_matrix, screening_values, summarize_screening


class ExamReport(Report):
    """Report of an `ExamEvaluator`.

    Writes per_sentence.csv (which image a sentence chose), per_finding.csv (localization), per_label.csv (findings from prompts),
    per_exam.csv (classes from prompts), metrics.json (figures with 95% intervals over patients), overlays.png (findings with truth
    and heat map).

    Args:
        label_thresholds: probability from which a finding counts as present.
        pictures: number of findings drawn.
        frame: of `Report`.
    """

    def __init__(self, label_thresholds: dict[str, float], pictures: int = 12, **frame: Any) -> None:
        super().__init__(**frame)
        self.label_thresholds = label_thresholds
        self.pictures = pictures

    def start(self) -> None:
        super().start()
        self.gallery = Gallery(self.pictures)

    def collect(self, output: dict[str, list]) -> None:
        super().collect({name: rows for name, rows in output.items() if name != "answers"})  # whose maps are large
        for case, finding, found in output["answers"]:
            path, title = case["record"]["images"][finding["image_index"]], f"{finding['label']} ({case['case_id']})"
            self.gallery.add(finding["label"], partial(exam_picture, path, found.heat, title, mask=found.truth))

    def results(self) -> Results:
        names = {"per_sentence": "sentences", "per_finding": "phrases", "per_label": "labels", "per_exam": "diagnoses"}
        tables = {table: pd.DataFrame(self.rows[name]) for table, name in names.items() if self.rows[name]}
        summary = self._summary(tables)
        return Results(tables, summary, main_figures(summary), self.gallery.figures(), describe(summary))

    def _summary(self, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
        cases, told = len(self.rows["diagnoses"]), len(self.rows["patients"])
        summary: dict[str, Any] = {"exams": cases, "exams_without_sentence": cases - told}
        if len(set(self.rows["patients"])) > 1:
            exams, reports = (torch.stack(self.rows[name]) for name in ("exams", "reports"))
            summary["retrieval"] = summarize_retrieval(exams, reports, self.rows["patients"], seed=self.seed)
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
    return figures


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
