"""Localization metrics against closed forms and slow loops."""

import numpy as np
import pytest

from scripts.kinds.boxes import boxes_to_mask
from scripts.metrics.localization import (
    cnr,
    dice,
    false_region_rate_at_recall,
    iou_at_thresholds,
    min_max,
    pointing_game,
)


def half_hot() -> tuple[np.ndarray, np.ndarray]:
    """Heat 1 in the left half of 4 x 8, -1 in the right; truth in the middle half."""
    heat = np.full((4, 8), -1.0)
    heat[:, :4] = 1
    truth = np.zeros((4, 8), dtype=bool)
    truth[:, 2:6] = True
    return heat, truth


def test_min_max_stretches_to_one_and_back():
    heat = min_max([[2.0, 3.0], [4.0, np.nan]])
    np.testing.assert_array_equal(heat, [[-1, 0], [1, np.nan]])


def test_min_max_ignores_the_margin():
    heat = np.arange(36.0).reshape(6, 6)
    inner = min_max(heat, margin=2)
    assert np.isnan(inner).sum() == 36 - 4
    assert (np.nanmin(inner), np.nanmax(inner)) == (-1, 1)
    np.testing.assert_allclose(inner[2:4, 2:4], min_max(heat[2:4, 2:4]))
    assert heat[0, 0] == 0, "the input must stay as it was"


def test_min_max_keeps_float32_and_the_published_numbers(golden):
    with np.load(golden / "afloc" / "setA" / "golden.npz") as published:
        heat = min_max(published["inf_heat_0_0"], margin=14)
        np.testing.assert_allclose(heat, published["inf_margin_norm_0_0"], atol=1e-6)
    assert heat.dtype == np.float32


@pytest.mark.parametrize("value", [0.0, 0.1, 7.3])
def test_constant_map_points_nowhere(value):
    heat = np.full((50, 60), value)
    truth = boxes_to_mask([[10, 10, 20, 20]], heat.shape)
    assert (min_max(heat) == -1).all()
    assert iou_at_thresholds(min_max(heat), truth).tolist() == [0] * 5
    assert np.isnan(cnr(heat, truth))
    assert pointing_game(heat, truth) == pytest.approx(400 / 3000)


@pytest.mark.parametrize(("shape", "margin"), [((4, 6), 2), ((5, 5), -1)])
def test_min_max_refuses_a_margin_that_does_not_fit(shape, margin):
    with pytest.raises(ValueError, match="margin"):
        min_max(np.ones(shape), margin)


def test_min_max_refuses_infinities_and_stacks():
    with pytest.raises(ValueError, match="infinities"):
        min_max([[np.inf, 0.0]])
    with pytest.raises(ValueError, match=r"\(2, 2, 2\)"):
        min_max(np.ones((2, 2, 2)))


def test_iou_and_dice_closed_form():
    heat, truth = half_hot()
    np.testing.assert_allclose(iou_at_thresholds(heat, truth, [0.0, 1.0]), [8 / 24, 0])  # strict: 1 > 1 is false
    np.testing.assert_allclose(dice(heat, truth, [0.0, 1.0]), [16 / 32, 0])


def test_dice_and_iou_agree_on_random_maps():
    rng = np.random.default_rng(0)
    heat, truth = min_max(rng.normal(size=(20, 30))), rng.random((20, 30)) > 0.7
    iou = iou_at_thresholds(heat, truth)
    slow = [(truth & (heat > t)).sum() / (truth | (heat > t)).sum() for t in (0.1, 0.2, 0.3, 0.4, 0.5)]
    np.testing.assert_allclose(iou, slow)
    np.testing.assert_allclose(dice(heat, truth), 2 * iou / (1 + iou))


def test_overlap_is_undefined_only_where_nothing_is_there_or_predicted():
    heat, truth = half_hot()
    nothing = np.zeros_like(truth)
    assert np.isnan(iou_at_thresholds(heat, nothing, [1.0])).all() and np.isnan(dice(heat, nothing, [1.0])).all()
    assert iou_at_thresholds(heat, nothing, [0.0]) == 0
    assert iou_at_thresholds(heat, truth, [1.0]) == 0


def test_unseen_pixels_count_on_neither_side():
    heat, truth = half_hot()
    heat[:, 2:4] = np.nan  # all true positives
    assert iou_at_thresholds(heat, truth, [0.0]) == 0
    heat, truth = half_hot()
    heat[:, :2] = np.nan  # all false positives
    heat[:, 4:6] = np.nan  # all misses
    assert iou_at_thresholds(heat, truth, [0.0]) == 1


def test_cnr_closed_form_and_sign():
    heat = np.array([[0.0, 2.0, 10.0, 14.0]])  # outside: mean 1, variance 1; inside: mean 12, variance 4
    truth = np.array([[0, 0, 1, 1]])
    assert cnr(heat, truth) == pytest.approx(11 / np.sqrt(5))
    assert cnr(heat, 1 - truth) == pytest.approx(-11 / np.sqrt(5))
    assert cnr(3 * heat - 8, truth) == pytest.approx(cnr(heat, truth))
    assert cnr(np.append(heat, [[np.nan]], axis=1), np.append(truth, [[1]], axis=1)) == pytest.approx(11 / np.sqrt(5))


@pytest.mark.parametrize("truth", [np.zeros((3, 3)), np.ones((3, 3))])
def test_cnr_without_two_sides_is_nan(truth):
    assert np.isnan(cnr(np.arange(9.0).reshape(3, 3), truth))


def test_cnr_without_noise_is_nan():
    truth = np.zeros((30, 30))
    truth[:10] = 1
    assert np.isnan(cnr(np.where(truth, 0.3, 0.1), truth))


def test_pointing_game_hits_misses_and_ties():
    heat, truth = np.zeros((9, 9)), np.zeros((9, 9))
    truth[4, 4] = 1
    heat[4, 7] = 1
    assert pointing_game(heat, truth) == 0
    assert pointing_game(heat, truth, tolerance=2.9) == 0
    assert pointing_game(heat, truth, tolerance=3) == 1
    heat[4, 4] = 1
    assert pointing_game(heat, truth) == 0.5
    heat[4, 7] = np.nan
    assert pointing_game(heat, truth) == 1
    assert np.isnan(pointing_game(heat, np.zeros((9, 9))))


def test_metrics_refuse_maps_of_another_shape():
    for metric in (iou_at_thresholds, dice, cnr, pointing_game):
        with pytest.raises(ValueError, match=r"\(4, 4\).*\(4, 5\)"):
            metric(np.ones((4, 4)), np.ones((4, 5)))


def test_boxes_union_and_edges():
    mask = boxes_to_mask([[1, 1, 3, 2], [3, 2, 3, 2], [-5, -5, 6, 6]], (5, 8))
    slow = np.zeros((5, 8), dtype=bool)
    for x, y, w, h in [(1, 1, 3, 2), (3, 2, 3, 2), (0, 0, 1, 1)]:
        slow[y : y + h, x : x + w] = True
    np.testing.assert_array_equal(mask, slow)
    assert boxes_to_mask([], (5, 8)).sum() == 0
    assert boxes_to_mask([[20, 20, 4, 4], [-9, -9, 4, 4]], (5, 8)).sum() == 0


def test_boxes_hold_the_pixels_whose_centre_they_hold():
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:12, :15] + 0.5
    for x, y, w, h in rng.uniform(0.1, 9, size=(50, 4)):
        slow = (columns >= x) & (columns < x + w) & (rows >= y) & (rows < y + h)
        np.testing.assert_array_equal(boxes_to_mask([[x, y, w, h]], (12, 15)), slow)


@pytest.mark.parametrize("box", [[0, 0, 0, 3], [0, 0, 3, -1], [0, np.nan, 1, 1], [0, 0, 1]])
def test_boxes_without_area_are_refused(box):
    with pytest.raises(ValueError, match="expected boxes"):
        boxes_to_mask([box], (5, 5))


def test_false_regions_at_recall():
    present = [0.9, 0.8, 0.7, 0.6, 0.1]
    assert false_region_rate_at_recall(present, [0.65, 0.6, 0.2, 0.1]) == (0.6, 0.5)
    assert false_region_rate_at_recall(present, [0.65, 0.6, 0.2, 0.1], recall=1) == (0.1, 1.0)
    assert false_region_rate_at_recall(np.arange(100), np.arange(100), recall=0.07) == (93, 0.07)


def test_false_regions_keep_the_recall_asked_for():
    rng = np.random.default_rng(2)
    for recall in (0.05, 0.5, 0.8, 0.99, 1.0):
        present, absent = np.round(rng.random(37), 1), rng.random(53)
        threshold, rate = false_region_rate_at_recall(present, absent, recall)
        assert np.mean(present >= threshold) >= recall
        assert np.mean(present > threshold) < recall
        assert rate == np.mean(absent >= threshold)


@pytest.mark.parametrize(
    ("present", "absent", "recall"), [([], [1.0], 0.8), ([1.0], [], 0.8), ([np.nan], [1.0], 0.8), ([1.0], [1.0], 0)]
)
def test_false_regions_need_cases(present, absent, recall):
    with pytest.raises(ValueError, match=r"present|recall"):
        false_region_rate_at_recall(present, absent, recall)
