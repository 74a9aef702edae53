"""Do matching embeddings lie close, and do all of them fill the sphere? (Wang and Isola, ICML 2020, arXiv 2005.10242)

Retrieval tells late that a network collapses: embeddings may crowd into a corner while the order within it still holds.
"""

from typing import Literal

import ignite.distributed as idist
import torch
import torch.nn.functional as F
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced
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


class Alignment(Metric):
    """`alignment` of images and texts over a whole epoch, on all ranks together."""

    def __init__(self) -> None:
        super().__init__(output_transform=lambda output: (output["image_embeddings"], output["text_embeddings"]))

    @reinit__is_reduced
    def reset(self) -> None:
        self._images, self._texts = [], []

    @reinit__is_reduced
    def update(self, output: tuple[Tensor, Tensor]) -> None:
        self._images.append(output[0].detach())
        self._texts.append(output[1].detach())

    def compute(self) -> float:
        return alignment(idist.all_gather(torch.cat(self._images)), idist.all_gather(torch.cat(self._texts)))


class Uniformity(Metric):
    """`uniformity` of images or of texts over a whole epoch, on all ranks together.

    Args:
        side: whose embeddings.
    """

    def __init__(self, side: Literal["image", "text"]) -> None:
        super().__init__(output_transform=lambda output: output[f"{side}_embeddings"])

    @reinit__is_reduced
    def reset(self) -> None:
        self._embeddings = []

    @reinit__is_reduced
    def update(self, output: Tensor) -> None:
        self._embeddings.append(output.detach())

    def compute(self) -> float:
        return uniformity(idist.all_gather(torch.cat(self._embeddings)))
