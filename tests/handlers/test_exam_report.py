"""Figures of an exam evaluation from its rows."""

import math

import pandas as pd
import pytest

from scripts.handlers.exam_report import summarize_choices, summarize_diagnoses


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
    assert summary["diagnosis"]["accuracy"]["estimate"] == 0.5 and summary["diagnosis"]["auc"]["estimate"] == 1
    assert summary["confusion"] == {"classes": ["NOR", "NPC"], "counts": [[1, 0], [1, 0]]}
    assert summarize_diagnoses(table.assign(truth=None)) == {}
