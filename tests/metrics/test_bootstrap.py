"""Bootstrap intervals against closed forms, scipy, sklearn and slow loops."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

import scripts.metrics.bootstrap as module
from scripts.metrics.bootstrap import (
    bootstrap_interval,
    by_finding,
    macro,
    paired_bootstrap,
    weighted_auc,
    weighted_mean,
)


def test_interval_of_a_normal_mean():
    values = np.random.default_rng(0).normal(3, 2, size=500)
    interval = bootstrap_interval(values, range(500), n=4000)
    half = 1.96 * values.std() / np.sqrt(500)
    assert interval.estimate == pytest.approx(values.mean())
    assert interval.lower == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert interval.upper == pytest.approx(values.mean() + half, abs=0.05 * half)
    assert interval.defined == 1


def test_repeated_cases_of_a_patient_do_not_narrow_the_interval():
    values = np.random.default_rng(1).normal(size=80)
    single = bootstrap_interval(values, range(80))
    repeated = bootstrap_interval(np.repeat(values, 6), np.repeat(np.arange(80), 6))
    np.testing.assert_allclose(repeated, single)
    as_if_independent = bootstrap_interval(np.repeat(values, 6), range(480))
    assert as_if_independent.upper - as_if_independent.lower < 0.6 * (single.upper - single.lower)


def test_agrees_with_scipy_where_every_patient_has_one_case():
    values = np.random.default_rng(2).exponential(size=60)
    ours = bootstrap_interval(values, range(60), n=20000, level=0.9)
    scipys = stats.bootstrap((values,), np.mean, n_resamples=20000, confidence_level=0.9, method="percentile", rng=0)
    np.testing.assert_allclose([ours.lower, ours.upper], scipys.confidence_interval, atol=0.01)


def test_patients_are_drawn_as_in_a_loop():
    values, patients = np.array([1.0, 2, 3, 10, np.nan, 7]), ["a", "a", "b", "c", "c", "c"]
    rng = np.random.default_rng(5)
    groups = [np.flatnonzero(np.array(patients) == p) for p in "abc"]
    means = []
    for _ in range(400):
        cases = np.concatenate([groups[i] for i in rng.integers(3, size=3)])
        means.append(np.nanmean(values[cases]))
    interval = bootstrap_interval(values, patients, n=400, seed=5)
    np.testing.assert_allclose([interval.lower, interval.upper], np.quantile(means, [0.025, 0.975]))


def test_chunks_do_not_change_the_draws(monkeypatch):
    values, patients = np.random.default_rng(3).normal(size=90), np.arange(90) // 2
    whole = bootstrap_interval(values, patients)
    monkeypatch.setattr(module, "_CHUNK_ELEMENTS", 1000)
    assert bootstrap_interval(values, patients) == whole
    assert bootstrap_interval(values, patients, seed=1) != whole


def test_auc_agrees_with_sklearn_under_weights_and_ties():
    rng = np.random.default_rng(4)
    scores, labels = np.round(rng.normal(size=70), 1), rng.integers(0, 2, 70).astype(float)
    weights = rng.integers(0, 4, size=(25, 70)).astype(float)
    ours = weighted_auc(np.stack([scores, labels], axis=1), weights)
    np.testing.assert_allclose(ours, [roc_auc_score(labels, scores, sample_weight=w) for w in weights])


def test_auc_leaves_unknown_cases_out_and_is_nan_without_both_classes():
    values = np.array([[0.1, 0], [0.9, 1], [0.5, np.nan], [np.nan, 1]])
    assert weighted_auc(values, np.ones((1, 4))).tolist() == [1.0]
    assert np.isnan(weighted_auc(values, np.array([[1.0, 0, 5, 5]]))).all()
    assert np.isnan(weighted_auc(np.full((4, 2), np.nan), np.ones((3, 4)))).all()


def test_macro_auc_interval():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, size=(120, 3)).astype(float)
    scores = labels + rng.normal(size=(120, 3))
    labels[:, 2] = 0  # a finding that nobody has does not count
    values = np.stack([scores, labels], axis=2)
    interval = bootstrap_interval(values, np.arange(120) // 3, macro(weighted_auc), n=300)
    expected = np.mean([roc_auc_score(labels[:, f], scores[:, f]) for f in range(2)])
    assert interval.estimate == pytest.approx(expected)
    assert interval.lower < expected < interval.upper
    each = bootstrap_interval(values, np.arange(120) // 3, weighted_auc, n=300)
    assert each.estimate.shape == (3,) and np.isnan(each.lower[2]) and each.defined[2] == 0


def test_macro_mean_over_findings():
    values, names = by_finding([0.2, 0.4, 1.0, np.nan], ["opacity", "opacity", "edema", "edema"])
    assert names == ["opacity", "edema"]
    assert weighted_mean(values, np.ones((1, 4))).tolist() == [[pytest.approx(0.3), 1.0]]
    assert bootstrap_interval(values, range(4), macro(weighted_mean)).estimate == pytest.approx(0.65)
    # A rare finding is lacking from some resamples: they count without it.
    assert macro(weighted_mean)(values, np.array([[1.0, 1, 0, 4]])) == pytest.approx(0.3)


def test_paired_difference_of_equal_runs_is_nothing():
    values = np.random.default_rng(7).random(40)
    result = paired_bootstrap(values, values, range(40))
    assert result == (0, 0, 0, 1)


def test_paired_difference_is_narrower_than_the_runs_apart():
    rng = np.random.default_rng(8)
    difficulty = rng.normal(size=200)
    better, worse = difficulty + 0.1 + rng.normal(0, 0.2, 200), difficulty + rng.normal(0, 0.2, 200)
    paired = paired_bootstrap(better, worse, range(200), n=2000)
    half = 1.96 * (better - worse).std() / np.sqrt(200)
    assert paired.difference == pytest.approx((better - worse).mean())
    assert paired.upper - paired.lower == pytest.approx(2 * half, rel=0.08)
    apart = bootstrap_interval(better, range(200))
    assert paired.upper - paired.lower < 0.5 * (apart.upper - apart.lower)
    # Normal approximation of the same p-value.
    assert paired.p_value == pytest.approx(2 * stats.norm.sf(paired.difference / half * 1.96), abs=0.003)
    swapped = paired_bootstrap(worse, better, range(200), n=2000)
    assert (swapped.difference, swapped.p_value) == (-paired.difference, paired.p_value)


def test_p_values_are_uniform_when_runs_do_not_differ():
    rng = np.random.default_rng(9)
    p_values = [paired_bootstrap(rng.normal(size=60), rng.normal(size=60), range(60), n=200).p_value for _ in range(150)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert min(p_values) >= 2 / 201


def test_paired_cases_that_one_run_lacks_count_in_neither():
    result = paired_bootstrap([1.0, 2, np.nan], [0.0, np.nan, 5], range(3))
    assert result.difference == 1


@pytest.mark.parametrize(
    ("values", "patients", "level", "message"),
    [
        ([1.0, 2.0], ["a"], 0.95, "2 cases and 1 patients"),
        ([1.0, 2.0], ["a", "a"], 0.95, "at least two, got 1"),
        ([1.0, 2.0], ["a", "b"], 95, "level 95"),
    ],
)
def test_impossible_bootstraps_are_refused(values, patients, level, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values, patients, level=level)


def test_runs_over_different_cases_are_refused():
    with pytest.raises(ValueError, match="same cases"):
        paired_bootstrap([1.0, 2.0], [1.0, 2.0, 3.0], ["a", "b"])
