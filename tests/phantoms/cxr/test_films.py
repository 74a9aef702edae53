"""What is drawn: sizes, places, masks, and what a film must not give away."""

import cv2
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scripts.phantoms.cxr.exposure import match_histogram
from scripts.phantoms.cxr.plan import LABELS

BANDS = {"upper": (0.0, 0.42), "middle": (0.25, 0.68), "lower": (0.44, 1.0)}


def test_box_areas_have_the_quartiles_of_real_ones(cases):
    shares = [sum(w * h for *_, w, h in finding.boxes) / case.film.size for case in cases for finding in case.findings]
    first, median, third = np.percentile(shares, [25, 50, 75])
    assert 0.005 <= first <= 0.02
    assert 0.03 <= median <= 0.05
    assert 0.05 <= third <= 0.08


def test_size_tags_follow_box_area(cases):
    for case in cases:
        for finding in case.findings:
            share = sum(w * h for *_, w, h in finding.boxes) / case.film.size
            expected = "small" if share < 0.015 else "large" if share > 0.06 else "medium"
            assert finding.tags[0] == expected
            assert ("unseen_pair" in finding.tags) == finding.plan.unseen


def test_boxes_bound_their_masks(cases):
    for case in cases:
        for finding in case.findings:
            assert finding.mask.shape == case.film.shape
            covered = np.zeros_like(finding.mask)
            for x, y, w, h in finding.boxes:
                inside = finding.mask[y : y + h, x : x + w]
                assert inside.shape == (h, w)
                # Tight: the mask reaches every edge of the box.
                assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
                covered[y : y + h, x : x + w] = True
            assert finding.mask.any() and not (finding.mask & ~covered).any()
            assert len(finding.boxes) == (2 if finding.plan.side == "bilateral" else 1)


def test_findings_lie_on_their_side_and_in_their_zone(cases):
    for case in cases:
        for finding in case.findings:
            rows, columns = np.nonzero(finding.mask)
            if finding.plan.side in ("right", "left"):
                # The patient's right is on the left of the film; rotation and position move the midline by a little.
                offset = columns.mean() / case.film.shape[1] - 0.5
                assert offset < 0.06 if finding.plan.side == "right" else offset > -0.06
            if finding.plan.zone in BANDS:
                low, high = BANDS[finding.plan.zone]
                assert low - 0.02 < rows.mean() / case.film.shape[0] < high


def test_films_vary_as_real_ones_do(cases):
    shapes = np.array([case.film.shape for case in cases])
    assert shapes.min() >= 224 and shapes.max() <= 352
    assert np.ptp(shapes[:, 0] / shapes[:, 1]) > 0.4
    means, spreads = (np.array([f(case.film) for case in cases]) for f in (np.mean, np.std))
    assert all(case.film.dtype == np.uint8 for case in cases)
    assert np.percentile(means, 90) - np.percentile(means, 10) > 40
    assert np.percentile(spreads, 90) / np.percentile(spreads, 10) > 1.4


def test_match_histogram_gives_the_reference_distribution_and_keeps_order():
    rng = np.random.default_rng(0)
    image, reference = rng.normal(3, 2, (64, 64)).astype(np.float32), rng.gamma(2, 1, (64, 64)).astype(np.float32)
    matched = match_histogram(image, reference)
    # The resolution is one of 512 levels; in the outer percents values are too sparse for exact quantiles.
    step = np.ptp(reference) / 512
    percents = np.arange(1, 100)
    assert np.abs(np.percentile(matched, percents) - np.percentile(reference, percents)).max() < 2 * step
    assert matched.min() >= reference.min() and matched.max() <= reference.max()
    assert (np.diff(matched.ravel()[np.argsort(image, axis=None)]) >= 0).all()


@pytest.mark.parametrize("kind", ["linear", "boosting"])
def test_grey_histogram_does_not_tell_the_findings(cases, kind):
    histograms = [np.histogram(case.film, 64, (0, 256))[0] / case.film.size for case in cases]
    moments = [[case.film.mean() / 255, case.film.std() / 255] for case in cases]
    features = np.hstack([histograms, moments])
    if kind == "linear":
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, C=0.1))
    else:
        model = HistGradientBoostingClassifier(max_iter=20, random_state=0)
    scores = {}
    for label in LABELS:
        truth = np.array([case.labels[label] for case in cases])
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        guess = cross_val_predict(model, features, truth, cv=folds, method="predict_proba")[:, 1]
        scores[label] = roc_auc_score(truth, guess)
    assert max(scores.values()) <= 0.65, scores
    assert np.mean(list(scores.values())) <= 0.56, scores


@pytest.mark.parametrize("sigma", [2, 4])
def test_the_brightest_spot_is_seldom_a_finding(cases, sigma):
    hits, films = 0, 0
    for case in cases:
        local = [finding.mask for finding in case.findings if finding.plan.label != "cardiomegaly"]
        if not local:
            continue
        film = cv2.resize(case.film, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.float32)
        relief = cv2.GaussianBlur(film, (0, 0), sigma) - cv2.GaussianBlur(film, (0, 0), 4 * sigma)
        mask = cv2.resize(np.any(local, axis=0).astype(np.uint8), film.shape[::-1], interpolation=cv2.INTER_NEAREST)
        films += 1
        hits += mask.ravel()[relief.argmax()]
    assert hits / films < 0.3, hits / films
