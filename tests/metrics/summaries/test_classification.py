"""Figures of a classification with intervals, and the published protocol."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from scripts.metrics.bootstrap import bootstrap_interval, weighted_auc
from scripts.metrics.published.fvlm import published_scores
from scripts.metrics.summaries.classification import MEASURES, summarize_labels


def labels(label, truths, probabilities):
    return [
        {"case_id": f"s{index}", "patient_id": f"p{index // 2}", "label": label, "truth": truth, "probability": value}
        for index, (truth, value) in enumerate(zip(truths, probabilities, strict=True))
    ]


LABELS = pd.DataFrame(
    labels("A", [1, 1, 0, 0, 1, 0], [0.9, 0.4, 0.6, 0.1, 0.8, 0.2])
    + labels("B", [0, 1, 0, 1], [0.3, 0.3, 0.1, 0.2])  # s4, s5 are silent about B
    + labels("C", [0, 0], [0.7, 0.1])
)


def test_labels_of_a_small_table():
    summary = summarize_labels(LABELS, {"B": 0.25})
    # A: 8 of 9 pairs in order; at 0.5 two of three found, two of three left. B: 0.3 against (0.3, 0.1), 0.2 likewise.
    a, b, c = (summary[name] for name in "ABC")
    assert a["auc"]["estimate"] == pytest.approx(8 / 9)
    expected = {"accuracy": 4 / 6, "sensitivity": 2 / 3, "specificity": 2 / 3, "precision": 2 / 3, "f1": 2 / 3}
    assert {name: a[name]["estimate"] for name in expected} == pytest.approx(expected)
    assert (a["positives"], a["cases"], a["threshold"]) == (3, 6, 0.5)
    assert b["auc"]["estimate"] == pytest.approx((0.5 + 1 + 0 + 1) / 4)
    assert [b[measure]["estimate"] for measure in ("accuracy", "sensitivity", "specificity")] == [0.5, 0.5, 0.5]
    assert (b["cases"], b["threshold"]) == (4, 0.25)
    assert np.isnan(c["auc"]["estimate"]) and c["accuracy"]["estimate"] == 0.5 and c["positives"] == 0
    assert summary["macro"]["auc"]["estimate"] == pytest.approx((8 / 9 + 0.625) / 2)
    assert summary["macro"]["accuracy"]["estimate"] == pytest.approx((4 / 6 + 0.5 + 0.5) / 3)
    assert summary["macro"]["auc"]["lower"] <= summary["macro"]["auc"]["estimate"] <= summary["macro"]["auc"]["upper"]


def test_labels_of_one_patient_have_no_interval():
    summary = summarize_labels(LABELS.assign(patient_id="p1"), {})
    for name in ("A", "macro"):
        auc = summary[name]["auc"]
        assert auc["estimate"] == pytest.approx({"A": 8 / 9, "macro": (8 / 9 + 0.625) / 2}[name])
        assert math.isnan(auc["lower"]) and math.isnan(auc["upper"])


def test_groups_are_means_over_their_labels():
    summary = summarize_labels(LABELS, {}, groups={"A": "lung", "B": "lung", "C": "heart"})
    lung, heart = summary["groups"]["lung"], summary["groups"]["heart"]
    for measure in MEASURES:
        parts = [summary[name][measure]["estimate"] for name in "AB"]
        assert lung[measure]["estimate"] == pytest.approx(np.nanmean(parts))
    assert math.isnan(heart["auc"]["estimate"])


def test_intervals_are_those_of_a_bootstrap_over_patients():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    rows = pd.DataFrame(labels("A", truth.tolist(), (truth * 0.3 + rng.random(60)).tolist()))
    auc = summarize_labels(rows, {}, seed=3)["A"]["auc"]
    wanted = bootstrap_interval(rows[["probability", "truth"]].to_numpy(), rows["patient_id"].tolist(), weighted_auc, seed=3)
    assert (auc["estimate"], auc["lower"], auc["upper"]) == pytest.approx(wanted[:3])


def test_a_case_that_was_not_judged_does_not_count():
    rows = LABELS[LABELS["label"] == "A"].copy()
    rows.loc[rows["case_id"] == "s1", "probability"] = np.nan
    a = summarize_labels(rows, {})["A"]
    assert (a["cases"], a["positives"]) == (5, 2)
    assert a["sensitivity"]["estimate"] == 1 and a["accuracy"]["estimate"] == pytest.approx(4 / 5)


def test_published_protocol(fvlm_golden):
    expected = json.loads((fvlm_golden / "metrics_expected.json").read_text())
    probabilities, truth = pd.read_csv(fvlm_golden / "metrics_probs.csv"), pd.read_csv(fvlm_golden / "metrics_labels.csv")
    table = probabilities.merge(truth, left_on="file_name", right_on="VolumeName")
    assert table[probabilities.columns[1:]].isna().any(axis=None)
    for column in probabilities.columns[1:]:
        finding = column.split("_")[1]
        scores = published_scores(table[finding], table[column])
        assert scores.threshold == pytest.approx(expected["threshold"][finding])
        for measure, values in expected["per_class"].items():
            assert getattr(scores, measure) == pytest.approx(values[finding], abs=1e-9), (finding, measure)
