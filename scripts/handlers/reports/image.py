"""Tables, figures and metrics of a localization evaluation."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scripts.cases.domain import Domain, read_domain
from scripts.files.text_table import text_table
from scripts.handlers.reports.report import Gallery, Report, Results
from scripts.handlers.reports.tables import cell
from scripts.inferers.phrase_grounder import GroundedPhrase
from scripts.kinds.image import finding_mask, picture
from scripts.metrics.summaries.classification import summarize_labels
from scripts.metrics.summaries.localization import summarize_phrases


class ImageReport(Report):
    """Report of a `ImageEvaluator`.

    Writes per_case.csv (a line a film and phrase), per_label.csv (a line a film and label), metrics.json (figures with 95%
    intervals over patients), overlays.png (films with truth, heat map and regions).

    Args:
        domain: what the images are.
        label_thresholds: probability from which a label counts as present.
        pictures: number of findings drawn.
        frame: of `Report`.
    """

    def __init__(self, domain: str | Path | Domain, label_thresholds: dict[str, float], pictures: int = 12, **frame: Any) -> None:
        super().__init__(**frame)
        self.domain = read_domain(domain)
        self.label_thresholds = label_thresholds
        self.pictures = pictures

    def start(self) -> None:
        super().start()
        self.gallery = Gallery(self.pictures)

    def collect(self, output: dict[str, list]) -> None:
        super().collect({name: rows for name, rows in output.items() if name != "answers"})  # whose maps are large
        for record, queries, answers in output["answers"]:
            for query, answer in zip(queries, answers, strict=True):
                if query.finding is not None:
                    drawing = partial(_picture, record["image"], self.domain, record["findings"][query.finding], answer)
                    self.gallery.add(query.label, drawing)

    def results(self) -> Results:
        names = {"per_case": "phrases", "per_label": "labels"}
        tables = {table: pd.DataFrame(self.rows[name]) for table, name in names.items() if self.rows[name]}
        summary: dict[str, Any] = {}
        if "per_case" in tables:
            summary |= summarize_phrases(tables["per_case"], self.seed)
        if "per_label" in tables:
            summary["classification"] = summarize_labels(tables["per_label"], self.label_thresholds, self.seed)
        return Results(tables, summary, main_figures(summary), self.gallery.figures(), describe(summary))


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
    return figures


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


def _picture(image: str, domain: Domain, finding: dict[str, Any], answer: GroundedPhrase) -> dict[str, Any]:
    film = picture(image, domain)
    return {
        "film": film,
        "heat": answer.heat,
        "boxes": finding.get("boxes", []),
        "mask": finding_mask(finding, film.shape[:2]) if finding.get("mask") else None,
        "regions": answer.regions,
        "title": answer.text if np.isnan(answer.probability) else f"{answer.text} (p {answer.probability:.2f})",
    }
