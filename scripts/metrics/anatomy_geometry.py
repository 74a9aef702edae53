"""Alignment and uniformity of anatomies and their texts, over a whole epoch."""

from typing import Any, Literal

import ignite.distributed as idist
import torch
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced
from torch import Tensor

from scripts.metrics.embedding_geometry import alignment, uniformity

MEASURES = {
    "alignment": alignment,
    "uniformity_images": lambda images, texts: uniformity(images),
    "uniformity_texts": lambda images, texts: uniformity(texts),
}


class AnatomyGeometry(Metric):
    """The mean over anatomies of `alignment` or `uniformity`, on all ranks together.

    Of each anatomy the patients count who show it and whose text calls it abnormal: fVLM draws normal ones together on purpose. An
    anatomy of which this leaves fewer than two patients does not count. Reads what `scripts.engines.VisionLanguageEvaluator` gives
    for `scripts.networks.FVLM`. NaN where no anatomy counts.

    Args:
        measure: which.
    """

    def __init__(self, measure: Literal["alignment", "uniformity_images", "uniformity_texts"]) -> None:
        self.measure = MEASURES[measure]
        super().__init__(output_transform=_contrasted)

    @reinit__is_reduced
    def reset(self) -> None:
        self._images, self._texts, self._counts = [], [], []

    @reinit__is_reduced
    def update(self, output: tuple[Tensor, Tensor, Tensor]) -> None:
        for kept, part in zip((self._images, self._texts, self._counts), output, strict=True):
            kept.append(part)

    def compute(self) -> float:
        images, texts, counts = (idist.all_gather(torch.cat(part)) for part in (self._images, self._texts, self._counts))
        values = [
            self.measure(images[rows, anatomy], texts[rows, anatomy]) for anatomy, rows in enumerate(counts.T) if rows.sum() > 1
        ]
        return sum(values) / len(values) if values else float("nan")


def _contrasted(output: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings of anatomies and of texts, [B, K, D] each, and which of them count, bool [B, K]."""
    volumes, texts = output["image_outputs"], output["text_outputs"]
    return volumes.anatomies.float(), texts.anatomies.float(), volumes.present & ~texts.normal
