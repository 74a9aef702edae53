"""How well a classifier orders exams, over a whole epoch: what early stopping looks at."""

import ignite.distributed as idist
import numpy as np
import torch
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced
from torch import Tensor

from scripts.metrics.screening_summary import MEASURES, screening_scores, screening_values


class ScreeningAUC(Metric):
    """AUC of the second of two classes, or the mean of each class against the rest, on all ranks together.

    Reads what `scripts.engines.VisionLanguageEvaluator` gives for `ExamClassifier`: its first outputs are logits [B, C] and classes
    [B]. NaN where a class is absent.
    """

    def __init__(self) -> None:
        super().__init__(output_transform=lambda output: (output["image_embeddings"], output["text_embeddings"]))

    @reinit__is_reduced
    def reset(self) -> None:
        self._logits, self._truth = [], []

    @reinit__is_reduced
    def update(self, output: tuple[Tensor, Tensor]) -> None:
        self._logits.append(output[0].detach())
        self._truth.append(output[1].detach())

    def compute(self) -> float:
        logits, truth = idist.all_gather(torch.cat(self._logits)), idist.all_gather(torch.cat(self._truth))
        values = screening_values(truth.long().cpu().numpy(), logits.softmax(1).cpu().numpy())
        return float(screening_scores(values, np.ones((1, len(values))))[0, MEASURES.index("auc_macro")])
