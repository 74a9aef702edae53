"""The metric that early stopping looks at, over batches, against pairs counted by hand."""

import math

import pytest
import torch

from scripts.metrics import ScreeningAUC


def auc(logits, truth):
    metric = ScreeningAUC()
    for rows in ([0, 1], list(range(2, len(truth)))):
        output = {"image_embeddings": torch.tensor(logits)[rows], "text_embeddings": torch.tensor(truth, dtype=torch.float)[rows]}
        metric.update(metric._output_transform(output))
    return metric.compute()


def test_of_two_classes_it_is_the_second_s():
    """Positives .9 and .4 against negatives .5 and .1: three of four pairs are in order."""
    logits = [[0.0, math.log(p / (1 - p))] for p in (0.9, 0.5, 0.4, 0.1)]
    assert auc(logits, [1, 0, 1, 0]) == pytest.approx(3 / 4)


def test_of_three_classes_it_is_the_mean_of_each_against_the_rest():
    """The first two exams have each other's classes: one of two pairs is in order for both; the third class is told perfectly."""
    logits = [[0.0, 3.0, -9.0], [3.0, 0.0, -9.0], [0.0, 0.0, 9.0]]
    assert auc(logits, [0, 1, 2]) == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_a_class_that_is_absent_leaves_it_undefined():
    assert math.isnan(auc([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0]], [1, 1, 1]))
