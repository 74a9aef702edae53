import numpy as np
import pytest

from scripts.inferers.regions import regions_from_map


@pytest.fixture
def scores():
    """Three blobs on 20 x 30: 4 x 5 of 0.6 with a peak of 0.7, 2 x 2 of 0.9, one pixel of 0.8."""
    scores = np.zeros((20, 30))
    scores[3:7, 4:9] = 0.6
    scores[5, 6] = 0.7
    scores[15:17, 20:22] = 0.9
    scores[0, 29] = 0.8
    return scores


def test_regions_come_best_first_with_box_score_and_area(scores):
    found = regions_from_map(scores, 0.5, 0, 10)
    assert [region.score for region in found] == [0.9, 0.8, 0.7]
    assert [region.box for region in found] == [(20, 15, 2, 2), (29, 0, 1, 1), (4, 3, 5, 4)]
    assert [region.area_fraction for region in found] == [4 / 600, 1 / 600, 20 / 600]
    assert sum(region.mask for region in found).max() == 1
    np.testing.assert_array_equal(np.logical_or.reduce([region.mask for region in found]), scores > 0.5)
    for region in found:
        x, y, width, height = region.box
        assert region.mask.dtype == bool
        assert region.mask[y : y + height, x : x + width].sum() == region.mask.sum()


def test_nothing_above_the_threshold_is_no_region(scores):
    assert regions_from_map(scores, 0.9, 0, 10) == []  # equal is not above
    assert regions_from_map(np.full((5, 5), np.nan), 0, 0, 10) == []


def test_small_regions_and_surplus_ones_are_dropped(scores):
    assert [region.score for region in regions_from_map(scores, 0.5, 4 / 600, 10)] == [0.9, 0.7]
    assert [region.score for region in regions_from_map(scores, 0.5, 0, 2)] == [0.9, 0.8]


def test_the_threshold_splits_and_joins():
    scores = np.array([[0.9, 0.2, 0.8]] * 3)
    assert [region.box for region in regions_from_map(scores, 0.5, 0, 9)] == [(0, 0, 1, 3), (2, 0, 1, 3)]
    assert [region.box for region in regions_from_map(scores, 0.1, 0, 9)] == [(0, 0, 3, 3)]


def test_corners_connect_and_equal_scores_are_ordered_by_area_then_place():
    scores = np.zeros((9, 9))
    scores[[0, 1], [0, 1]] = 1
    scores[4, 4] = scores[8, 0] = 1
    scores[6:8, 6:8] = 1
    assert [region.box for region in regions_from_map(scores, 0.5, 0, 9)] == [
        (6, 6, 2, 2),
        (0, 0, 2, 2),
        (4, 4, 1, 1),
        (0, 8, 1, 1),
    ]


def test_margins_of_nan_and_negative_scores(scores):
    scores = scores - 5
    scores[:2] = scores[:, 28:] = np.nan
    assert [region.score for region in regions_from_map(scores, -4.5, 0, 9)] == pytest.approx([-4.1, -4.3])


def test_wrong_arguments_are_refused():
    for scores, arguments in [
        (np.zeros((1, 5, 5)), (0, 0, 1)),
        (np.eye(5), (0, 2, 1)),
        (np.eye(5), (0, 0, 0)),
        (np.eye(5), (np.nan, 0, 1)),
    ]:
        with pytest.raises(ValueError):
            regions_from_map(scores, *arguments)
