"""Learning rates over a training."""

import math

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
