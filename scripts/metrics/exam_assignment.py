"""Did a sentence choose the right image? Pure functions of one exam, and the figures of many."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def assignment_hits(weights: ArrayLike, sentence_regions: Sequence[str | None], image_regions: Sequence[str | None]) -> NDArray:
    """Whether the image that each sentence chose shows the region that the sentence speaks of.

    Args:
        weights: how much each of R sentences belongs to each of N images, [R, N].
        sentence_regions: the region of each sentence, None where it speaks of none.
        image_regions: the region of each image, None where unknown.

    Returns:
        [R, 2] of (hit, chance): the share of the best images that show the region (a tie is not decided in its favour), and the
        share of all images that do. NaN where nothing can be said: no region, or one that no image shows or every image does.

    Raises:
        ValueError: sizes that do not fit.
    """
    weights = _weights(weights, len(sentence_regions), len(image_regions))
    hits = np.full((len(sentence_regions), 2), np.nan)
    for row, region in enumerate(sentence_regions):
        right = np.array([region is not None and shown == region for shown in image_regions], bool)
        if right.any() and not right.all():
            hits[row] = right[weights[row] == weights[row].max()].mean(), right.mean()
    return hits


def selection_hits(weights: ArrayLike, image_indices: Sequence[Sequence[int]]) -> NDArray:
    """Whether the image that each finding's sentence chose is one that shows the finding.

    Args:
        weights: how much each of R sentences belongs to each of N images, [R, N].
        image_indices: the images that show each finding, none for a finding that was not imaged.

    Returns:
        [R, 2] of (hit, chance) as in `assignment_hits`; NaN where no image or every image shows the finding.

    Raises:
        ValueError: sizes that do not fit, or an image that the exam does not have.
    """
    weights = _weights(weights, len(image_indices), np.shape(weights)[-1])
    hits = np.full((len(image_indices), 2), np.nan)
    for row, indices in enumerate(image_indices):
        strange = [index for index in indices if not 0 <= index < weights.shape[1]]
        if strange:
            raise ValueError(f"finding {row} lies on images {strange}, but the exam has {weights.shape[1]}")
        right = np.isin(np.arange(weights.shape[1]), indices)
        if right.any() and not right.all():
            hits[row] = right[weights[row] == weights[row].max()].mean(), right.mean()
    return hits


def _weights(weights: ArrayLike, sentences: int, images: int) -> NDArray[np.float64]:
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (sentences, images) or np.isnan(weights).any():
        raise ValueError(f"expected weights [{sentences}, {images}] without NaN, got shape {weights.shape}")
    return weights
