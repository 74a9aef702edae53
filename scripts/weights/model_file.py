"""Networks from the files that trainings and conversions write."""

import pickle
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import torch

from scripts.data.files import atomic_path
from scripts.errors import UserError
from scripts.networks import FVLM, AFLoc, ImageEncoder, TextEncoder
from scripts.weights.fvlm import build_fvlm

Network = TypeVar("Network", AFLoc, FVLM)


def load_afloc(path: str | Path, report_length: int | None = None, preprocessing: dict[str, Any] | None = None) -> AFLoc:
    """Build an `AFLoc` network from a checkpoint of ours: its architecture and weights both come from the file.

    Args:
        path: file written by `scripts.handlers.CheckpointHandler`, or by `python -m scripts` with `convert-weights afloc` or
            `export-weights`.
        report_length: see `TextEncoder`; 97 reproduces the published dot products.
        preprocessing: how films and reports will reach the network; compared with what the file says of its training.

    Raises:
        UserError: no such file, not an AFLoc checkpoint of ours, weights that do not fit the architecture (all keys are listed), or
            films and reports prepared otherwise than in training (all differences are listed).
    """
    state = _read(Path(path), {"image_encoder", "text_encoder"})
    _check_preprocessing(path, state, preprocessing)
    text_encoder = TextEncoder(state["text_encoder"], report_length=report_length)
    return _filled(path, AFLoc(ImageEncoder(**state["image_encoder"]), text_encoder), state)


def load_fvlm(path: str | Path, preprocessing: dict[str, Any] | None = None) -> FVLM:
    """Build an `FVLM` network from a checkpoint of ours: its architecture and weights both come from the file.

    Args and raises as `load_afloc`; preprocessing is how volumes and texts will reach the network.
    """
    state = _read(Path(path), {"volume_encoder", "text_encoder", "embedding_size", "text_pooling", "pooling_heads", "anatomies"})
    _check_preprocessing(path, state, preprocessing)
    return _filled(path, build_fvlm(state), state)


def export_weights(checkpoint: str | Path, folder: str | Path, half: bool = False) -> Path:
    """Make a training's checkpoint ready to hand on: network and tokenizer, without optimizer and random states.

    Args:
        checkpoint: file of `scripts.handlers.CheckpointHandler`; `text_model` lies beside it.
        folder: gets model.pt and text_model; made if absent. An old calibration.pt there is removed: it belongs to other weights.
        half: keep weights in float16, half the size; loading gives float32 all the same.

    Returns:
        Path of model.pt, written last.

    Raises:
        UserError: what loading raises, or no tokenizer beside the checkpoint.
    """
    checkpoint, folder = Path(checkpoint), Path(folder)
    state = _read(checkpoint)
    network = load_fvlm(checkpoint) if "volume_encoder" in state else load_afloc(checkpoint)
    texts = checkpoint.parent / "text_model"
    if not (texts / "tokenizer_config.json").is_file():
        raise UserError(f"{texts} holds no tokenizer: the folder that training wrote beside its checkpoints is needed")
    weights = {key: value.half() if half and value.is_floating_point() else value for key, value in network.state_dict().items()}
    shutil.copytree(texts, folder / "text_model", dirs_exist_ok=True)
    (folder / "calibration.pt").unlink(missing_ok=True)
    kept = {"format": 1, "preprocessing": state.get("preprocessing", {}), **network.architecture}
    with atomic_path(folder / "model.pt") as path:
        torch.save({"network": weights, **kept}, path)
    return folder / "model.pt"


def _check_preprocessing(path: str | Path, state: dict[str, Any], preprocessing: dict[str, Any] | None) -> None:
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


def _filled(path: str | Path, network: Network, state: dict[str, Any]) -> Network:
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


def _read(path: Path, architecture: Collection[str] = ()) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}: train first, or convert published weights to this place")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(
            f"{path} cannot be read as a checkpoint ({reason}): it is damaged, or not a file of this project. "
            "Published weights are converted first, see `convert-weights --help`"
        ) from error
    absent = {"network", *architecture} - set(state if isinstance(state, dict) else ())
    if absent:
        raise UserError(f"{path} is not a checkpoint of this network: it lacks {sorted(absent)}. See `convert-weights --help`")
    return state
