"""Boxes as masks."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def boxes_to_mask(boxes: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Union of boxes as a mask [H, W]; a pixel belongs to a box that holds its centre.

    Args:
        boxes: [N, 4] as x, y, width, height in pixels, origin at the top left corner of the image; parts outside are
            cut off.
        shape: H, W.

    Raises:
        ValueError: boxes of another form, not finite, or without area.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all() or (boxes[:, 2:] <= 0).any():
        raise ValueError(f"expected boxes [[x, y, width > 0, height > 0], ...], got {boxes.tolist()}")
    mask = np.zeros(shape, dtype=bool)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    for left, top, right, bottom in np.ceil(corners - 0.5).clip(0).astype(int):
        mask[top:bottom, left:right] = True
    return mask
