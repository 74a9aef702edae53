"""Tables, figures and metrics of a screening."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scripts.figures.screening import confusion_figure, reliability_figure, roc_figure
from scripts.files.text_table import text_table
from scripts.handlers.reports.report import Report, Results
from scripts.handlers.reports.tables import cell
from scripts.inferers.exam_class_calibration import ExamClassCalibration
from scripts.loading.exam_classes import ScreeningTask
from scripts.metrics.probability_calibration import Reliability, expected_calibration_error, reliability
from scripts.metrics.summaries.screening import confusion_matrix, screening_values, summarize_screening

logger = logging.getLogger(__name__)

COVERAGES = (0.5, 0.8)


class ExamClassReport(Report):
    """Report of a `ExamClassEvaluator`.

    Writes per_exam.csv (truth, logits, calibrated probabilities, decision, confidence), metrics.json (figures with 95% intervals
    over patients, of all exams, of each site, of the held-out and of the other sites), confusion.png, roc.png, reliability.png.

    Args:
        task: names of the classes.
        calibration: temperature and threshold from validation.
        held_out_sites: sites that the training has not seen.
        frame: of `Report`.
    """

    def __init__(self, task: ScreeningTask, calibration: ExamClassCalibration, held_out_sites: list[str], **frame: Any) -> None:
        super().__init__(**frame)
        self.task = task
        self.calibration = calibration
        self.held_out_sites = list(held_out_sites)

    def results(self) -> Results | None:
        if not self.rows["exams"]:
            logger.warning("no exam could be read: nothing to score")
            return None
        rows = exam_table(self.rows["exams"], self.task, self.calibration)
        summary = self._summary(rows)
        everything = summary["slices"]["all"]
        main = {name: value["estimate"] for name, value in everything.items() if isinstance(value, dict)}
        main["ece"] = everything["ece"]
        figures = self._figures(rows, np.array(summary["confusion"]))
        return Results({"per_exam": rows}, summary, main, figures, describe(summary))

    def _summary(self, rows: pd.DataFrame) -> dict[str, Any]:
        held_out_sites = rows["site"].isin(self.held_out_sites)
        slices = {"all": rows}
        if held_out_sites.any() and not held_out_sites.all():
            slices |= {"held-out centres": rows[held_out_sites], "other centres": rows[~held_out_sites]}
        slices |= {f"site {site}": part for site, part in rows.groupby("site")}
        values = screening_values(rows["truth"], self._probabilities(rows), self.calibration.threshold)
        return {
            "classes": list(self.task.classes),
            "temperature": self.calibration.temperature,
            "threshold": self.calibration.threshold,
            "held_out": self.held_out_sites,
            "slices": {name: self._slice(part) for name, part in slices.items()},
            "confusion": confusion_matrix(values).tolist(),
        }

    def _slice(self, rows: pd.DataFrame) -> dict[str, Any]:
        probabilities, truth, patients = self._probabilities(rows), rows["truth"].to_numpy(), rows["patient_id"].tolist()
        figures: dict[str, Any] = {"exams": len(rows), "patients": len(set(patients))}
        if figures["patients"] > 1:
            figures |= summarize_screening(screening_values(truth, probabilities, self.calibration.threshold), patients, self.seed)
        diagrams = self._diagrams(rows)
        figures["ece"] = expected_calibration_error(diagrams["calibrated"])
        figures["ece_uncalibrated"] = expected_calibration_error(diagrams["as the network says"])
        surest = rows.sort_values("confidence", ascending=False, kind="stable")
        right = (surest["decision"] == surest["truth"]).to_numpy()
        surest_parts = {share: right[: max(1, round(share * len(right)))] for share in COVERAGES}
        return figures | {f"accuracy_of_surest_{share:.0%}": float(part.mean()) for share, part in surest_parts.items()}

    def _probabilities(self, rows: pd.DataFrame) -> NDArray:
        return rows[[f"probability {name}" for name in self.task.classes]].to_numpy(float)

    def _diagrams(self, rows: pd.DataFrame) -> dict[str, Reliability]:
        logits = rows[[f"logit {name}" for name in self.task.classes]].to_numpy(float)
        plain = ExamClassCalibration().probabilities(logits)
        truth = rows["truth"].to_numpy()
        return {
            name: reliability(*answers(values, truth))
            for name, values in (("as the network says", plain), ("calibrated", self._probabilities(rows)))
        }

    def _figures(self, rows: pd.DataFrame, counts: NDArray) -> dict[str, Any]:
        return {
            "confusion": confusion_figure(counts, self.task.classes),
            "roc": roc_figure(rows["truth"].to_numpy(), self._probabilities(rows), self.task.classes),
            "reliability": reliability_figure(self._diagrams(rows)),
        }


def answers(probabilities: NDArray, truth: NDArray) -> tuple[NDArray, NDArray]:
    """What a reliability diagram takes: of two classes the probability of the second and whether it is true, of more the
    probability of the most probable one and whether that is right."""
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], truth == 1
    return probabilities.max(1), probabilities.argmax(1) == truth


def exam_table(rows: list[dict], task: ScreeningTask, calibration: ExamClassCalibration) -> pd.DataFrame:
    """per_exam.csv: who, truth, and by class the logit and the calibrated probability; decision and confidence."""
    table = pd.DataFrame([{key: value for key, value in row.items() if key != "logits"} for row in rows])
    logits = np.array([row["logits"] for row in rows])
    probabilities = calibration.probabilities(logits)
    table["decision"] = calibration.decisions(probabilities)
    table["confidence"] = calibration.confidence(probabilities)
    for index, name in enumerate(task.classes):
        table[f"logit {name}"], table[f"probability {name}"] = logits[:, index], probabilities[:, index]
    return table


def describe(summary: dict[str, Any]) -> str:
    """A table for the terminal."""
    measures = ("accuracy", "auc_macro", "sensitivity", "specificity", "f1_macro")
    rows = [
        [name, part["exams"], *(cell(part.get(measure)) for measure in measures), f"{part['ece']:.3f}"]
        for name, part in summary["slices"].items()
    ]
    return text_table(["", "exams", *measures, "ECE"], rows)
