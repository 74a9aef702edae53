"""Figures of a screening against scikit-learn's, seeds, intervals and differences."""

import numpy as np
import pytest
from sklearn import metrics

from scripts.metrics.summaries.screening import (
    MEASURES,
    confusion_matrix,
    screening_scores,
    screening_values,
    summarize_screening,
)


def run(seed, classes, exams=60, skill=1.0):
    """Truth, and probabilities that know something of it."""
    generator = np.random.default_rng(0)
    truth = generator.integers(classes, size=exams)
    logits = np.random.default_rng(seed).normal(size=(exams, classes)) + skill * np.eye(classes)[truth]
    return truth, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def patients(exams=60):
    return [f"p{exam // 2}" for exam in range(exams)]


def estimates(values):
    return dict(zip(MEASURES, screening_scores(values, np.ones((1, len(values))))[0], strict=True))


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_two_classes(threshold):
    truth, probabilities = run(1, 2)
    called = probabilities[:, 1] >= (threshold or 0.5)
    found = estimates(screening_values(truth, probabilities, threshold))
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, called),
            "auc_macro": metrics.roc_auc_score(truth, probabilities[:, 1]),
            "sensitivity": metrics.recall_score(truth, called),
            "specificity": metrics.recall_score(1 - truth, ~called),
            "f1_macro": metrics.f1_score(truth, called, average="macro"),
        }
    )


def test_three_classes():
    truth, probabilities = run(2, 3)
    called = probabilities.argmax(1)
    found = estimates(screening_values(truth, probabilities))
    rest = [metrics.recall_score(truth != c, called != c) for c in range(3)]
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, called),
            "auc_macro": metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro"),
            "sensitivity": metrics.balanced_accuracy_score(truth, called),
            "specificity": np.mean(rest),
            "f1_macro": metrics.f1_score(truth, called, average="macro"),
        }
    )
    matrix = confusion_matrix(screening_values(truth, probabilities))
    assert np.array_equal(matrix, metrics.confusion_matrix(truth, called))


def test_weights_count_exams_as_often_as_they_were_drawn():
    truth, probabilities = run(3, 3)
    weights = np.random.default_rng(5).integers(0, 4, size=60)
    values = screening_values(truth, probabilities)
    repeated = np.repeat(values, weights, axis=0)
    found = screening_scores(values, weights[None].astype(float))[0]
    np.testing.assert_allclose(found, list(estimates(repeated).values()))


def test_seeds_are_averaged():
    runs = [screening_values(*run(seed, 2)) for seed in (1, 2, 3)]
    found = estimates(np.concatenate(runs, axis=1))
    alone = [estimates(one) for one in runs]
    assert found == pytest.approx({name: np.mean([one[name] for one in alone]) for name in MEASURES})
    matrix = confusion_matrix(np.concatenate(runs, axis=1))
    np.testing.assert_allclose(matrix, np.mean([confusion_matrix(one) for one in runs], axis=0))


def test_a_class_that_nobody_has():
    found = estimates(screening_values([0, 0, 1], [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]]))
    assert np.isnan(found["sensitivity"]) and np.isnan(found["auc_macro"]) and found["accuracy"] == pytest.approx(2 / 3)
    assert found["f1_macro"] == pytest.approx(2 / 3)  # of the two classes that are there


def test_intervals_hold_the_estimate_and_widen_with_fewer_patients():
    values = screening_values(*run(1, 2))
    summary = summarize_screening(values, patients())
    for name, estimate in estimates(values).items():
        assert summary[name]["estimate"] == pytest.approx(estimate)
        assert summary[name]["lower"] < estimate < summary[name]["upper"]
    few = summarize_screening(values[:12], patients(12))
    assert few["accuracy"]["upper"] - few["accuracy"]["lower"] > summary["accuracy"]["upper"] - summary["accuracy"]["lower"]


@pytest.mark.parametrize(
    ("truth", "probabilities", "threshold", "message"),
    [
        ([0, 1], [[0.5, 0.5]], None, r"truth \[N\] and probabilities"),
        ([0, 2], [[0.5, 0.5], [0.1, 0.9]], None, r"got classes \[0, 2\]"),
        ([0, 1], [[0.5, np.nan], [0.1, 0.9]], None, "probabilities numbers"),
        ([0], [[0.2, 0.3, 0.5]], 0.5, "a threshold decides between two classes, got 3"),
    ],
)
def test_input_that_does_not_fit(truth, probabilities, threshold, message):
    with pytest.raises(ValueError, match=message):
        screening_values(truth, probabilities, threshold)
