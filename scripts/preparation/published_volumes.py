"""Preparation of volumes as the published fVLM code does it, faults included: for parity only.

Use it to repeat published numbers or to feed a published checkpoint exactly what it was trained on;
`scripts.preparation.volume` is what recipes use. The rules were recovered from the published code's outputs (fVLM, arXiv
2501.14548, its CT-RATE release, commit d768ec1).
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from scripts.preparation.volume import MARGIN, MIN_SIZE, SPACING, WINDOW, Box


def published_hounsfield(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Stored values -> Hounsfield units, int16.

    Fault: slope and intercept are cut to whole numbers, 1.5 to 1 and 0.9 to 0.
    """
    return stored.astype(np.int16) * np.int16(slope) + np.int16(intercept)


def published_resize(image: np.ndarray, mask: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Resample to about 1 x 1 x 3 mm, image trilinear, mask nearest.

    Fault: x is scaled by the spacing of y and y by that of x, so that bodies are distorted where the two differ. Sides are cut to
    whole numbers, of spacings in 32 bits also from 103.99999 to 103.

    Args:
        image: Hounsfield units [X, Y, Z].
        mask: anatomies [X, Y, Z].
        spacing: mm in x, y, z.

    Returns:
        image float32 and mask uint8, [X', Y', Z'].
    """
    x, y, z = spacing
    size = [int(side * old / new) for side, old, new in zip(image.shape, (y, x, z), SPACING, strict=True)]
    tensors = [torch.from_numpy(np.ascontiguousarray(*entry))[None, None] for entry in ((image, np.float32), (mask, np.uint8))]
    resized = F.interpolate(tensors[0], size, mode="trilinear", align_corners=False)
    return resized[0, 0].numpy(), F.interpolate(tensors[1], size, mode="nearest")[0, 0].numpy()


def published_crop(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop to the anatomies, scale the window to [0, 1], pad with 0.

    Fault: the margin after the anatomies is one voxel narrower than that before them.

    Args:
        image, mask: as `published_resize` gives them.

    Returns:
        image float32 in [0, 1] and mask uint8, both [Z, Y, X] and at least 112 x 256 x 352.
    """
    image, mask = image.transpose(2, 1, 0), mask.transpose(2, 1, 0)
    inside = np.nonzero(mask)
    part = tuple(
        slice(max(0, places.min() - more), min(side, places.max() + more))
        for places, more, side in zip(inside, MARGIN, mask.shape, strict=True)
    )
    scaled = np.clip((image[part] - np.float32(WINDOW[0])) / np.float32(WINDOW[1] - WINDOW[0]), 0, 1)
    missing = [max(0, least - side) for least, side in zip(MIN_SIZE, scaled.shape, strict=True)]
    padding = [(count // 2, count - count // 2) for count in missing]
    return np.pad(scaled, padding), np.pad(mask[part], padding)


def published_window(box: Box, shape: Sequence[int], size: Sequence[int]) -> Box:
    """The window around an organ that zero-shot classification looks through.

    Fault: an organ's extent is counted one voxel short, so that a window no larger than its organ leaves the last voxels out.

    Args:
        box: the organ's bounding box, slices (z, y, x).
        shape: of the volume.
        size: voxels that the window has at least, as far as the volume goes.
    """
    window = []
    for organ, side, least in zip(box, shape, size, strict=True):
        last = organ.stop - 1
        length = min(max(least, last - organ.start), side)
        start = min(max((organ.start + last) // 2 - length // 2, 0), side - length)
        window.append(slice(start, start + length))
    return tuple(window)
