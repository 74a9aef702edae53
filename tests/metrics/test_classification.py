"""Classification scores against counts by hand and an exhaustive search."""

import numpy as np
import pytest

from scripts.metrics.classification import auc, choose_threshold, macro_over_findings, scores_at_threshold

LABELS = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
SCORES = [0.9, 0.8, 0.7, 0.2, 0.75, 0.3, 0.2, 0.1, 0.1, 0.0]


def test_auc_counts_pairs():
    pairs = [(p > n) + (p == n) / 2 for p in SCORES[:4] for n in SCORES[4:]]
    assert auc(LABELS, SCORES) == pytest.approx(np.mean(pairs))


def test_auc_is_nan_without_both_classes():
    assert np.isnan(auc([1, 1], [0.2, 0.3])) and np.isnan(auc([], []))


def test_unknown_labels_do_not_count():
    assert auc([*LABELS, np.nan], [*SCORES, 5.0]) == auc(LABELS, SCORES)


def test_scores_at_threshold():
    scores = scores_at_threshold(LABELS, SCORES, 0.7)  # 0.7 itself counts as present
    assert scores == pytest.approx((8 / 10, 3 / 4, 5 / 6, 6 / 8))


def test_scores_without_cases_of_a_kind_are_nan():
    assert scores_at_threshold([0, 0], [0.1, 0.9], 0.5) == pytest.approx((0.5, np.nan, 0.5, 0), nan_ok=True)
    assert scores_at_threshold([0], [0.1], 0.5) == pytest.approx((1, np.nan, 1, np.nan), nan_ok=True)
    assert np.isnan(scores_at_threshold([], [], 0.5)).all()


def gain(labels, scores, threshold, criterion):
    result = scores_at_threshold(labels, scores, threshold)
    return result.accuracy if criterion == "accuracy" else result.sensitivity + result.specificity - 1


@pytest.mark.parametrize("criterion", ["youden", "accuracy"])
def test_threshold_is_the_highest_of_the_best(criterion):
    rng = np.random.default_rng(0)
    for _ in range(30):
        labels = rng.permutation([0, 1, *rng.integers(0, 2, 20)])
        scores = np.round(labels * 0.3 + rng.random(22), 1)
        candidates = [np.inf, *np.unique(scores)[::-1]]
        gains = np.round([gain(labels, scores, t, criterion) for t in candidates], 12)
        assert choose_threshold(labels, scores, criterion) == candidates[int(np.argmax(gains))]


def test_best_accuracy_may_call_every_case_absent():
    assert choose_threshold([0, 0, 0, 1], [0.5, 0.6, 0.7, 0.1], "accuracy") == np.inf


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "2 present and 0 absent"),
        ([0, 1], [0.1], "2 labels and 1 scores"),
        ([0, 2], [0.1, 0.2], r"\[2.0\]"),
        ([0, 1], [0.1, np.nan], "1 of 2 scores are NaN"),
    ],
)
def test_wrong_cases_are_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        choose_threshold(labels, scores)


def test_unknown_criterion_is_refused():
    with pytest.raises(ValueError, match="f1"):
        choose_threshold(LABELS, SCORES, "f1")


def test_macro_says_how_many_findings_count():
    assert macro_over_findings({"a": 0.5, "b": float("nan"), "c": 0.9}) == (pytest.approx(0.7), 2)
    mean, findings = macro_over_findings({"a": float("nan")})
    assert np.isnan(mean) and findings == 0
