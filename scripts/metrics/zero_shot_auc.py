"""How well findings are told from prompts while a training goes on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from ignite.metrics import EpochMetric
from ignite.metrics.metric import reinit__is_reduced
from torch import Tensor

from scripts.metrics.bootstrap import macro, weighted_auc


class ZeroShotAUC(EpochMetric):
    """Mean over findings of the AUC of fVLM's zero-shot scores, from the embeddings that a validation makes anyway.

    A validation sees the middle of each volume and drops anatomies that its faces cut; an evaluation looks at each anatomy in a
    window of its own (`scripts.inferers.AnatomyClassifier`). So this follows a training; the figure to report is the evaluation's.
    On all ranks together. Reads the records of `scripts.loading.VolumeCollate`'s batch and what
    `scripts.engines.VisionLanguageEvaluator` gives for `scripts.networks.FVLM`. NaN where no finding is both present and absent.

    Args:
        classifier: makes a classifier of the network that is trained; asked for once an epoch, because it remembers its prompts.
    """

    def __init__(self, classifier: Callable[[], Any]) -> None:
        self.classifier = classifier
        super().__init__(_macro_auc, check_compute_fn=False)

    @reinit__is_reduced
    def reset(self) -> None:
        super().reset()
        self._fresh: Any = None

    def iteration_completed(self, engine: Engine) -> None:
        """Scores and truth of a batch's findings, [B, F] each, NaN where either is unknown."""
        volumes, records = engine.state.output["image_outputs"], engine.state.batch["records"]
        self._fresh = self._fresh or self.classifier()
        scores = self._fresh.compare(volumes.anatomies.float())
        present = volumes.present[:, self._fresh.anatomy.to(scores.device)]
        known = [[record.get("labels", {}).get(finding.label) for finding in self._fresh.prompts] for record in records]
        truth = torch.tensor([[float("nan") if value is None else float(value) for value in row] for row in known])
        self.update((scores.masked_fill(~present, float("nan")), truth))


def _macro_auc(scores: Tensor, truth: Tensor) -> float:
    # Of a single finding the columns come without their dimension.
    rows = torch.stack([scores, truth], dim=-1).reshape(len(scores), -1, 2).numpy().astype(np.float64)
    return float(macro(weighted_auc)(rows, np.ones((1, len(rows))))[0])
