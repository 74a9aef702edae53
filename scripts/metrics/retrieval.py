"""Does an image find its own report among all, and the report its image?"""

from functools import partial

import torch.nn.functional as F
from ignite.metrics import EpochMetric
from torch import Tensor

from scripts.metrics.embedding_geometry import image_and_text


def retrieval_ranks(images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
    """The place of each query's match among all answers by cosine, from 0; a tie counts against the match, as does a NaN.

    Args:
        images, texts: embeddings [N, D]; row i of one matches row i of the other.

    Returns:
        ranks of images' texts and of texts' images, int64 [N] each.
    """
    scores = F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
    match = scores.diagonal()
    # Not `scores >= match`: no score is at least NaN, so a network that broke would find everything.
    image_to_text = (~(scores < match[:, None])).sum(1) - 1
    text_to_image = (~(scores < match[None, :])).sum(0) - 1
    return image_to_text, text_to_image


def retrieval_recall(images: Tensor, texts: Tensor, k: int) -> float:
    """Mean over both directions of the share of queries whose match is among the k most similar by cosine.

    Args:
        images, texts: embeddings [N, D]; row i of one matches row i of the other.
        k: how many answers count.

    Returns:
        recall in [0, 1]; a tie between the match and another counts against the match, as does a score that is NaN.
    """
    image_to_text, text_to_image = retrieval_ranks(images, texts)
    return float(((image_to_text < k).float().mean() + (text_to_image < k).float().mean()) / 2)


class RetrievalRecall(EpochMetric):
    """`retrieval_recall` over a whole epoch, on all ranks together.

    Args:
        k: how many answers count.
    """

    def __init__(self, k: int = 1) -> None:
        super().__init__(partial(retrieval_recall, k=k), output_transform=image_and_text, check_compute_fn=False)
