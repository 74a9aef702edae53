"""Places as Label Studio's items and back: no server needed."""

import numpy as np
import pytest

from integrations.label_studio.answers.results import (
    box_of,
    brush_item,
    mask_of,
    polygon_items,
    rectangle_item,
    same_place,
)
from integrations.label_studio.errors import LabelStudioError
from tests.integrations.conftest import blob

SIZE = (97, 101)


@pytest.mark.parametrize("height, width", [(1, 1), (7, 3), (101, 97), (257, 515)])
def test_masks_survive_exactly(height, width):
    random = np.random.default_rng(height)
    for mask in (random.random((height, width)) > 0.4, np.ones((height, width), bool)):
        if mask.any():
            assert np.array_equal(mask_of(brush_item(mask, "Mass", region="r")), mask)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="cannot be drawn"):
        brush_item(np.zeros((4, 4), bool), "Mass", region="r")


def test_boxes_survive_within_a_hundredth_of_a_pixel():
    box = [10.25, 0, 30.5, 101]
    item = rectangle_item(box, SIZE, "Mass", region="r")
    assert np.allclose(box_of(item), box, atol=0.01)
    assert mask_of(rectangle_item([10, 20, 30, 40], SIZE, "Mass", region="r")).sum() == 1200


def test_a_turned_rectangle_gives_the_box_around_it():
    item = rectangle_item([40, 40, 20, 10], (100, 200), "Mass", region="r")
    item["value"]["rotation"] = 90
    assert np.allclose(box_of(item), [30, 40, 10, 20])
    rows, columns = np.nonzero(mask_of(item))
    assert abs(columns.min() - 30) <= 1 and abs(rows.max() - 59) <= 1


def test_polygons_follow_the_mask():
    mask = blob(101, 97, 3)
    (item,) = polygon_items(mask, "Mass", region="r")
    back = mask_of(item)
    assert (back & mask).sum() / (back | mask).sum() > 0.97 and item["id"].startswith("r-")


def test_a_mask_of_another_size_is_told():
    item = brush_item(blob(30, 40, 0), "Mass", region="r7") | {"original_width": 41}
    with pytest.raises(LabelStudioError, match=r"region r7.*41 x 30"):
        mask_of(item)


def test_half_a_pixel_is_the_same_place():
    one = rectangle_item([10, 10, 20, 20], SIZE, "Mass", region="r")
    assert same_place(one, rectangle_item([10.4, 10, 20, 20], SIZE, "Mass", region="r"))
    assert not same_place(one, rectangle_item([10.6, 10, 20, 20], SIZE, "Mass", region="r"))
    assert not same_place(one, one | {"item_index": 1})
    mask = blob(101, 97, 0)
    other = mask.copy()
    other[50, 0] ^= True
    assert not same_place(brush_item(mask, "Mass", region="r"), brush_item(other, "Mass", region="r"))
