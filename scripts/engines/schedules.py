"""Learning rates over a training."""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

WARMUP_START_LR = 1e-6


class WarmupCosine(LambdaLR):
    """fVLM's schedule: linear warm-up from 1e-6 by iterations, then a cosine that steps once an epoch (its code).

    A warm-up longer than an epoch goes on to its end. Call `step` after every iteration.

    Args:
        optimizer: its default rate is what the warm-up reaches; groups keep their ratio to it.
        warmup_iterations: length of the warm-up; 0 for none.
        epoch_length: iterations an epoch.
        max_epochs: epochs of the training.
        final_learning_rate: what the cosine would reach after the last epoch.
    """

    def __init__(
        self, optimizer: Optimizer, warmup_iterations: int, epoch_length: int, max_epochs: int, final_learning_rate: float
    ) -> None:
        highest = optimizer.defaults["lr"]

        def factor(iteration: int) -> float:
            if iteration < warmup_iterations:
                return (WARMUP_START_LR + (highest - WARMUP_START_LR) * iteration / warmup_iterations) / highest
            wave = (1 + math.cos(math.pi * (iteration // epoch_length) / max_epochs)) / 2
            return (final_learning_rate + (highest - final_learning_rate) * wave) / highest

        super().__init__(optimizer, factor)


def text_rate_groups(networks: Sequence[nn.Module], text_learning_rate: float) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer: the text encoders learn at a rate of their own, all else at the optimizer's.

    Args:
        networks: each with a `text_encoder`; parameters that are frozen are left out.
        text_learning_rate: of the text encoders.
    """
    texts = [p for network in networks for p in network.text_encoder.parameters() if p.requires_grad]
    known = {id(p) for p in texts}
    others = [p for network in networks for p in network.parameters() if p.requires_grad and id(p) not in known]
    return [{"params": others}, {"params": texts, "lr": text_learning_rate}]
