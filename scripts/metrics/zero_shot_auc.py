"""How well findings are told from prompts while a training goes on."""

from collections.abc import Callable
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced

from scripts.metrics.bootstrap import macro, weighted_auc


class ZeroShotAUC(Metric):
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
        super().__init__()

    @reinit__is_reduced
    def reset(self) -> None:
        self._fresh: Any = None
        self._rows = []

    def iteration_completed(self, engine: Engine) -> None:
        self.update((engine.state.output["image_outputs"], engine.state.batch["records"]))

    @reinit__is_reduced
    def update(self, output: tuple) -> None:
        volumes, records = output
        self._fresh = self._fresh or self.classifier()
        scores = self._fresh.compare(volumes.anatomies.float())
        present = volumes.present[:, self._fresh.anatomy.to(scores.device)]
        known = [[record.get("labels", {}).get(finding.label) for finding in self._fresh.prompts] for record in records]
        truth = torch.tensor([[float("nan") if value is None else float(value) for value in row] for row in known])
        self._rows.append(torch.stack([scores.masked_fill(~present, float("nan")), truth.to(scores.device)], dim=-1))

    def compute(self) -> float:
        rows = idist.all_gather(torch.cat(self._rows)).cpu().numpy().astype(np.float64)
        return float(macro(weighted_auc)(rows, np.ones((1, len(rows))))[0])
