"""A training's checkpoint made ready to hand on."""

import shutil
from pathlib import Path

import torch

from scripts.files.atomic import atomic_path
from scripts.files.errors import UserError
from scripts.weights.loading import load_network
from scripts.weights.model_file import model_state, read_state


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
    state = read_state(checkpoint)
    network = load_network(None, checkpoint)
    texts, reads = checkpoint.parent / "text_model", "text_encoder" in state  # a classifier of exams reads no text
    if reads and not (texts / "tokenizer_config.json").is_file():
        raise UserError(f"{texts} holds no tokenizer: the folder that training wrote beside its checkpoints is needed")
    weights = {key: value.half() if half and value.is_floating_point() else value for key, value in network.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    if reads:
        shutil.copytree(texts, folder / "text_model", dirs_exist_ok=True)
    (folder / "calibration.pt").unlink(missing_ok=True)
    with atomic_path(folder / "model.pt") as path:
        torch.save({**model_state(network, state.get("preprocessing", {})), "network": weights}, path)
    return folder / "model.pt"
