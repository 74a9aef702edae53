"""Do matching embeddings lie close, and do all of them fill the sphere? (Wang and Isola, ICML 2020, arXiv 2005.10242)

Retrieval tells late that a network collapses: embeddings may crowd into a corner while the order within it still holds.
"""

from typing import Any, Literal

import torch.nn.functional as F
from ignite.metrics import EpochMetric
from torch import Tensor


def alignment(images: Tensor, texts: Tensor) -> float:
    """Mean squared distance of matching embeddings of length 1 (their section 4.1.1, alpha 2).

    Args:
        images, texts: embeddings [N, D]; row i of one matches row i of the other; their lengths do not count.

    Returns:
        from 0, all matches coincide, to 4; 2 where matches are as far apart as any two.
    """
    return float((F.normalize(images, dim=1) - F.normalize(texts, dim=1)).square().sum(1).mean())


def uniformity(embeddings: Tensor) -> float:
    """Logarithm of the mean Gaussian potential of all pairs of embeddings of length 1 (their section 4.1.2, t 2).

    Args:
        embeddings: [N, D], N >= 2; their lengths do not count.

    Returns:
        0 where all coincide, about -4 where many are spread over a sphere of many dimensions; NaN of a single one.
    """
    return float(F.pdist(F.normalize(embeddings, dim=1)).square().mul(-2).exp().mean().log())


class Alignment(EpochMetric):
    """`alignment` of images and texts over a whole epoch, on all ranks together."""

    def __init__(self) -> None:
        super().__init__(alignment, output_transform=image_and_text, check_compute_fn=False)


class Uniformity(EpochMetric):
    """`uniformity` of images or of texts over a whole epoch, on all ranks together.

    Args:
        side: whose embeddings.
    """

    def __init__(self, side: Literal["image", "text"]) -> None:
        chosen = ("image", "text").index(side)
        super().__init__(lambda *pair: uniformity(pair[chosen]), output_transform=image_and_text, check_compute_fn=False)


def image_and_text(output: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Embeddings [B, D] of a batch's images and texts, from what `scripts.engines.VisionLanguageEvaluator` gives."""
    return output["image_embeddings"], output["text_embeddings"]
