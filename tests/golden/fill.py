"""Weights made from names: the fill with which the golden numbers were computed."""

from collections.abc import Iterable, Mapping
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

SEED = 20240101


def filled_tensor(name: str, shape: Iterable[int], seed: int = SEED) -> Tensor:
    """One tensor: normal numbers seeded by the published name (without `afloc.`), then scaled by the tensor's role."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros(tuple(shape), dtype=torch.int64)
    shape = tuple(shape)
    normal = np.random.RandomState(crc32(name.encode()) ^ seed).standard_normal(shape)
    if name.endswith("running_var"):
        values = 1 + np.abs(normal) / 10
    elif len(shape) > 1:  # matrices and kernels: unit variance per output
        values = normal / np.sqrt(np.prod(shape[1:], dtype=np.float64))
    elif name.endswith("weight"):  # scales of normalisation layers
        values = 1 + 0.1 * normal
    else:  # biases and running means
        values = 0.02 * normal
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def filled_state(shapes: Mapping[str, Iterable[int]], seed: int = SEED) -> dict[str, Tensor]:
    """State dict for names and shapes of the published network; `position_ids` is left out."""
    return {k: filled_tensor(k, shape, seed) for k, shape in shapes.items() if not k.endswith("position_ids")}
