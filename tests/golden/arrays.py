"""Golden arrays, whole or in slices: a key may end in the slice that was kept, as in "heat[::16, ::16]"."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scripts.weights.afloc import PREFIXES
from tests.golden.fill import filled_tensor


class GoldenArrays:
    """An .npz of golden numbers; `near(name, tensor)` compares whatever part of an array is there."""

    def __init__(self, path: Path) -> None:
        self.arrays = np.load(path)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def near(self, name: str, actual: Tensor | np.ndarray, rtol: float = 0.0, atol: float = 0.0) -> None:
        """Raise unless `actual`, sliced as the stored array is, lies within the tolerances."""
        stored = [key for key in self.arrays.files if key.partition("[")[0] == name]
        assert stored, f"no golden array {name}"
        actual = torch.as_tensor(actual).detach()
        for key in stored:
            part = actual[_slices(key)] if "[" in key else actual
            torch.testing.assert_close(part, torch.from_numpy(self.arrays[key]), rtol=rtol, atol=atol)


def _slices(key: str) -> tuple[slice, ...]:
    def one(text: str) -> slice:
        return slice(*(int(number) if number else None for number in text.split(":")))

    return tuple(one(text.strip()) for text in key[key.index("[") + 1 : -1].split(","))


def published_names(keys: Iterator[str]) -> dict[str, str]:
    """Our state dict's keys -> the published ones."""
    names = {}
    for key in keys:
        theirs, ours = next((theirs, ours) for theirs, ours in PREFIXES.items() if key.startswith(ours))
        names[key] = theirs + key.removeprefix(ours)
    return names


def fill(network: torch.nn.Module) -> None:
    """Give a network the weights with which the golden numbers were computed."""
    names = published_names(network.state_dict())
    state = {key: filled_tensor(names[key], value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict(state)
