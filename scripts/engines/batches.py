"""How a vision-language batch reaches the device."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from scripts.networks import FVLM, AFLoc, NasVLM


def prepare_vision_language_batch(
    batch: dict[str, Any], device: torch.device, non_blocking: bool = False
) -> tuple[Tensor, None, tuple, dict[str, Tensor]]:
    """Images and the network's other inputs of a collated batch, on the device, in the form of MONAI's `prepare_batch`."""
    inputs = {key: value.to(device, non_blocking=non_blocking) for key, value in batch["inputs"].items()}
    return batch["images"].to(device, non_blocking=non_blocking), None, (), inputs


def center_on_first_batch(network: AFLoc | FVLM | NasVLM, loader: DataLoader, device: torch.device) -> None:
    """Take out of a fresh network's embeddings what all images, and all texts, of the trainer's first batch share.

    At random weights the embeddings of any two images have a cosine near 1 (their features are all positive), and so have those of
    any two reports (the same common words); a contrast of such embeddings stays at chance for long. Pretrained weights do not have
    the problem, a start from random weights does. The mean is moved into parameters that the network has anyway: biases of the
    last layers and, in AFLoc, the direction that the convolutional heads ignore. Ours, not the papers'. The order of the training
    does not change.

    Args:
        network: with random weights; changed in place and moved to the device, where the trainer wants it anyway.
        loader: the trainer's; its first batch should be as large as possible.
    """
    images, _, _, inputs = prepare_vision_language_batch(next(iter(loader)), device)
    network.to(device).center(images, inputs)
