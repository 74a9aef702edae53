"""Cross-entropy of exam classes, in the form that the trainer takes."""

import torch.nn.functional as F
from torch import Tensor, nn


class ScreeningLoss(nn.Module):
    """Cross-entropy of the logits of `ExamClassifier`."""

    def forward(self, answers, truth) -> dict[str, Tensor]:
        """{"loss": scalar} of `ExamLogits` [B, C] and `ExamLabels` [B]."""
        return {"loss": F.cross_entropy(answers.logits.float(), truth.labels)}
