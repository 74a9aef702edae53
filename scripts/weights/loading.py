"""Networks from the files that trainings and conversions write."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from scripts.files.errors import UserError
from scripts.networks import FVLM, AFLoc, ExamClassifier, ImageEncoder, NasVLM, TextEncoder
from scripts.weights.fvlm import build_fvlm
from scripts.weights.model_file import check_preprocessing, load_weights, read_state
from scripts.weights.nasvlm import build_exam_encoder, build_nasvlm

EXAM_ENCODER = frozenset({"image_encoder", "patch_level", "attention_size"})


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
    state = read_state(Path(path), {"image_encoder", "text_encoder"})
    check_preprocessing(path, state, preprocessing)
    text_encoder = TextEncoder(state["text_encoder"], report_length=report_length)
    return load_weights(path, AFLoc(ImageEncoder(**state["image_encoder"]), text_encoder), state)


def load_fvlm(path: str | Path, preprocessing: dict[str, Any] | None = None) -> FVLM:
    """Build an `FVLM` network from a checkpoint of ours: its architecture and weights both come from the file.

    Args and raises as `load_afloc`; preprocessing is how volumes and texts will reach the network.
    """
    state = read_state(
        Path(path), {"volume_encoder", "text_encoder", "embedding_size", "text_pooling", "pooling_heads", "anatomies"}
    )
    check_preprocessing(path, state, preprocessing)
    return load_weights(path, build_fvlm(state), state)


def load_nasvlm(path: str | Path, preprocessing: dict[str, Any] | None = None, unseen: Collection[str] = ()) -> NasVLM:
    """Build a `NasVLM` network from a checkpoint of ours: its architecture and weights both come from the file.

    Args:
        path: file written by `scripts.handlers.CheckpointHandler`, or by `export-weights`.
        preprocessing: how images and reports will reach the network; compared with what the file says of its training.
        unseen: sites of which the network may have seen no exam, as far as the file says.

    Raises:
        UserError: no such file, not a NasVLM checkpoint of ours, weights that do not fit the architecture (all keys are listed),
            images and reports prepared otherwise than in training (all differences are listed), or sites that were seen.
    """
    state = read_state(Path(path), EXAM_ENCODER | {"text_encoder", "embedding_size", "text_pooling"})
    check_preprocessing(path, state, preprocessing)
    seen = sorted(set(unseen) & set(state.get("preprocessing", {}).get("centres", ())))
    if seen:
        raise UserError(
            f"{path} was pretrained on exams of {', '.join(seen)}, which held_out_sites names: figures of a held-out site would "
            "not be those of an unseen one. Pretrain with the same held_out_sites, or take the site out of it"
        )
    return load_weights(path, build_nasvlm(state), state)


def load_exam_classifier(path: str | Path, preprocessing: dict[str, Any] | None = None) -> ExamClassifier:
    """Build an `ExamClassifier` from a checkpoint of ours. `path`, `preprocessing` and what is raised as for `load_nasvlm`."""
    state = read_state(Path(path), EXAM_ENCODER | {"classes", "prototypes"})
    check_preprocessing(path, state, preprocessing)
    return load_weights(path, ExamClassifier(build_exam_encoder(state), state["classes"], prototypes=state["prototypes"]), state)
