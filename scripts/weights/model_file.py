"""The files that trainings and conversions write: reading one, and filling a network with it."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from scripts.files.errors import UserError

Network = TypeVar("Network", bound=nn.Module)


def model_state(network: nn.Module, preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """What a file holds that a network can be built from: weights, class, architecture, and how inputs were prepared for it."""
    named = {"format": 1, "network_class": type(network).__name__, "preprocessing": dict(preprocessing)}
    return {"network": network.state_dict(), **named, **network.architecture}


def check_preprocessing(path: str | Path, state: dict[str, Any], preprocessing: dict[str, Any] | None) -> None:
    """Compare how images and texts will reach a network with what its file says of its training; all differences are told."""
    others = [
        f"{name} {value!r} (now {preprocessing[name]!r})"
        for name, value in state.get("preprocessing", {}).items()
        if name in (preprocessing or {}) and preprocessing[name] != value
    ]
    if others:
        raise UserError(
            f"{path} was trained with {', '.join(others)}: give the same on the command line, or merge the overlay that it was "
            "trained with, such as phantom.json"
        )


def load_weights(path: str | Path, network: Network, state: dict[str, Any]) -> Network:
    """The network with the file's weights, in evaluation mode."""
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state["network"].items()}
    faults = [f"missing {key}" for key in expected.keys() - found.keys()]
    faults += [f"unknown {key}" for key in found.keys() - expected.keys()]
    faults += [f"{k} is {found[k]}, not {expected[k]}" for k in expected.keys() & found.keys() if found[k] != expected[k]]
    if faults:
        raise UserError(f"{path} does not fit its own architecture: " + "; ".join(sorted(faults)))
    network.load_state_dict(state["network"])
    return network.eval()


def read_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint, which holds "network" and "network_class" at least."""
    if not path.is_file():
        raise UserError(
            f"no checkpoint at {path}: name one by --checkpoint (a training writes "
            "checkpoint_best.pt and checkpoint_last.pt to its output_dir), or put one there by export-weights or convert-weights"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(
            f"{path} cannot be read as a checkpoint ({reason}): it is damaged, or not a file of this project. "
            "Published weights are converted first, see `convert-weights --help`"
        ) from error
    absent = {"network", "network_class"} - set(state if isinstance(state, dict) else ())
    if absent:
        raise UserError(f"{path} is not a checkpoint of this project: it lacks {sorted(absent)}. See `convert-weights --help`")
    return state
