"""How a vision-language batch reaches the device."""

from typing import Any

import torch
from torch import Tensor

def prepare_vision_language_batch(
    batch: dict[str, Any], device: torch.device, non_blocking: bool = False
) -> tuple[Tensor, None, tuple, dict[str, Tensor]]:
    """Images and text tensors of a collated batch, on the device, in the form of MONAI's `prepare_batch`."""
    texts = {key: value.to(device, non_blocking=non_blocking) for key, value in batch["texts"].items()}
    return batch["images"].to(device, non_blocking=non_blocking), None, (), texts
