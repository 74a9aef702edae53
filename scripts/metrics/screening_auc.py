"""How well a classifier orders exams, over a whole epoch: what early stopping looks at."""

import numpy as np
from ignite.metrics import EpochMetric
from torch import Tensor

from scripts.metrics.embedding_geometry import image_and_text
from scripts.metrics.summaries.screening import MEASURES, screening_scores, screening_values


class ScreeningAUC(EpochMetric):
    """AUC of the second of two classes, or the mean of each class against the rest, on all ranks together.

    Reads what `scripts.engines.VisionLanguageEvaluator` gives for `ExamClassifier`: its first outputs are logits [B, C] and classes
    [B]. NaN where a class is absent.
    """

    def __init__(self) -> None:
        super().__init__(_auc, output_transform=image_and_text, check_compute_fn=False)


def _auc(logits: Tensor, truth: Tensor) -> float:
    values = screening_values(truth.long().numpy(), logits.softmax(1).numpy())
    return float(screening_scores(values, np.ones((1, len(values))))[0, MEASURES.index("auc_macro")])
