"""Figures of an exam evaluation from its rows."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from ignite.engine import Engine

from scripts.engines.exam_rows import PlacedFinding, localization_row
from scripts.handlers.reports.exam import ExamReport, summarize_choices, summarize_diagnoses
from scripts.inferers import ExamCalibration


def test_choices_by_kind_and_size():
    rows = [
        ("selection", "small", 1, "p1"),
        ("selection", "small", 0, "p2"),
        ("selection", "large", 1, "p1"),
        ("assignment", None, 1, "p1"),
    ]
    table = pd.DataFrame(rows, columns=["kind", "size", "hit", "patient_id"]).assign(chance=0.25)
    summary = summarize_choices(table)
    assert set(summary["selection"]) == {"all", "size small", "size large"} and set(summary["assignment"]) == {"all"}
    everything = summary["selection"]["all"]
    assert everything["hit"]["estimate"] == pytest.approx(2 / 3) and everything["cases"] == 3 and everything["chance"] == 0.25
    assert everything["hit"]["lower"] == 0 and everything["hit"]["upper"] == 1  # p2 alone, p1 alone
    assert math.isnan(summary["assignment"]["all"]["hit"]["lower"])  # one patient


def test_exams_without_a_known_class_do_not_count():
    rows = [("a", "p1", "NOR", 0.8, 0.2), ("b", "p2", "NPC", 0.6, 0.4), ("c", "p3", None, 0.1, 0.9)]
    table = pd.DataFrame(rows, columns=["case_id", "patient_id", "truth", "NOR", "NPC"])
    summary = summarize_diagnoses(table)
    assert summary["diagnosis"]["accuracy"]["estimate"] == 0.5 and summary["diagnosis"]["auc_macro"]["estimate"] == 1
    assert summary["confusion"] == {"classes": ["NOR", "NPC"], "counts": [[1, 0], [1, 0]]}
    assert summarize_diagnoses(table.assign(truth=None)) == {}


def test_exams_without_a_sentence_and_findings_outside_the_view_are_counted(tmp_path):
    truth, heat = np.zeros((20, 20), bool), np.random.default_rng(0).random((20, 20))
    truth[:5, :5] = True
    outside = np.where(truth, np.nan, heat)
    rows = [
        localization_row({"case_id": name, "patient_id": name}, {"label": "polyp", "image_index": 0}, found, 0.9, ExamCalibration())
        for name, found in (("a", PlacedFinding(0, 0, truth, truth + heat / 10)), ("b", PlacedFinding(0, 0, truth, outside)))
    ]
    classes = [{"case_id": name, "patient_id": name, "truth": None, "NOR": 0.5, "NPC": 0.5} for name in ("a", "b")]
    output = {name: [] for name in ("exams", "reports", "patients", "sentences", "labels", "answers")}
    engine = Engine(lambda engine, batch: {**output, "phrases": rows, "diagnoses": classes})
    ExamReport({}, folder=tmp_path).attach(engine)
    engine.run([None])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["exams"], metrics["exams_without_sentence"], metrics["findings_outside_view"]) == (2, 2, 1)
    assert metrics["localization"]["all"]["cases"] == 2 and metrics["localization"]["all"]["pointing"]["estimate"] == 0.5
