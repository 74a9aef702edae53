"""The choice of a threshold against an exhaustive search."""

import numpy as np
import pytest

from scripts.metrics.classification import choose_threshold

LABELS = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
SCORES = [0.9, 0.8, 0.7, 0.2, 0.75, 0.3, 0.2, 0.1, 0.1, 0.0]


def youden(labels, scores, threshold):
    says = np.asarray(scores) >= threshold
    return says[labels == 1].mean() - says[labels == 0].mean()


def test_threshold_is_the_highest_of_the_best():
    rng = np.random.default_rng(0)
    for _ in range(30):
        labels = rng.permutation([0, 1, *rng.integers(0, 2, 20)])
        scores = np.round(labels * 0.3 + rng.random(22), 1)
        candidates = [np.inf, *np.unique(scores)[::-1]]
        gains = np.round([youden(labels, scores, threshold) for threshold in candidates], 12)
        assert choose_threshold(labels, scores) == candidates[int(np.argmax(gains))]


def test_calling_every_case_absent_may_be_best():
    assert choose_threshold([0, 0, 0, 1], [0.5, 0.6, 0.7, 0.1]) == np.inf


def test_unknown_labels_do_not_count():
    assert choose_threshold([*LABELS, np.nan], [*SCORES, 5.0]) == choose_threshold(LABELS, SCORES)


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
