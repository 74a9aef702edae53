"""Networks from the files that trainings and conversions write."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import torch

from scripts.data.files import atomic_path
from scripts.errors import UserError
from scripts.networks import AFLoc, ImageEncoder, TextEncoder


def load_afloc(path: str | Path, report_length: int | None = None, preprocessing: dict[str, Any] | None = None) -> AFLoc:
    """Build an `AFLoc` network from a checkpoint of ours: its architecture and weights both come from the file.

    Args:
        path: file written by `scripts.handlers.CheckpointHandler`, or by `python -m scripts` with `convert-weights afloc` or
            `export-weights`.
        report_length: see `TextEncoder`; 97 reproduces the published dot products.
        preprocessing: how films and reports will reach the network; compared with what the file says of its training.

    Raises:
        UserError: no such file, not a checkpoint of ours, weights that do not fit the architecture (all keys are listed), or films
            and reports prepared otherwise than in training (all differences are listed).
    """
    state = _read(Path(path))
    trained = state.get("preprocessing", {})
    others = [
        f"{name} {value!r} (now {preprocessing[name]!r})"
        for name, value in trained.items()
        if name in (preprocessing or {}) and preprocessing[name] != value
    ]
    if others:
        raise UserError(
            f"{path} was trained with {', '.join(others)}: give the same on the command line, or merge the overlay that it was "
            "trained with, such as phantom.json"
        )
    text_encoder = TextEncoder(state["text_encoder"], report_length=report_length)
    network = AFLoc(ImageEncoder(**state["image_encoder"]), text_encoder)
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state["network"].items()}
    faults = [f"missing {key}" for key in expected.keys() - found.keys()]
    faults += [f"unknown {key}" for key in found.keys() - expected.keys()]
    faults += [f"{k} is {found[k]}, not {expected[k]}" for k in expected.keys() & found.keys() if found[k] != expected[k]]
    if faults:
        raise UserError(f"{path} does not fit its own architecture: " + "; ".join(sorted(faults)))
    network.load_state_dict(state["network"])
    return network.eval()


def export_afloc(checkpoint: str | Path, folder: str | Path, half: bool = False) -> Path:
    """Make a training's checkpoint ready to hand on: network and tokenizer, without optimizer and random states.

    Args:
        checkpoint: file of `scripts.handlers.CheckpointHandler`; `text_model` lies beside it.
        folder: gets model.pt and text_model; made if absent. An old calibration.pt there is removed: it belongs to other weights.
        half: keep weights in float16, half the size; `load_afloc` gives float32 all the same.

    Returns:
        Path of model.pt, written last.

    Raises:
        UserError: what `load_afloc` raises, or no tokenizer beside the checkpoint.
    """
    checkpoint, folder = Path(checkpoint), Path(folder)
    network, trained = load_afloc(checkpoint), _read(checkpoint).get("preprocessing", {})
    texts = checkpoint.parent / "text_model"
    if not (texts / "tokenizer_config.json").is_file():
        raise UserError(f"{texts} holds no tokenizer: the folder that training wrote beside its checkpoints is needed")
    weights = {key: value.half() if half and value.is_floating_point() else value for key, value in network.state_dict().items()}
    shutil.copytree(texts, folder / "text_model", dirs_exist_ok=True)
    (folder / "calibration.pt").unlink(missing_ok=True)
    with atomic_path(folder / "model.pt") as path:
        torch.save({"network": weights, "format": 1, "preprocessing": trained, **network.architecture}, path)
    return folder / "model.pt"


def _read(path: Path) -> dict[str, Any]:
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
    absent = {"network", "image_encoder", "text_encoder"} - set(state if isinstance(state, dict) else ())
    if absent:
        raise UserError(f"{path} is not a checkpoint of this project: it lacks {sorted(absent)}. See `convert-weights --help`")
    return state
