"""Networks from the files that trainings and conversions write."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from scripts.files.errors import UserError
from scripts.networks import FVLM, AFLoc, ExamClassifier, NasVLM
from scripts.weights.model_file import check_preprocessing, load_weights, read_state

NETWORKS = {network.__name__: network for network in (AFLoc, ExamClassifier, FVLM, NasVLM)}
"""Classes that a checkpoint may name."""


def load_network(
    network: str | None,
    path: str | Path,
    preprocessing: dict[str, Any] | None = None,
    unseen: Collection[str] = (),
    **options: Any,
) -> AFLoc | ExamClassifier | FVLM | NasVLM:
    """Build a network from a checkpoint of ours, in evaluation mode: class, architecture and weights all come from the file.

        load_network("AFLoc", "bundles/cxr_localization/models/phantom/model.pt")

    Args:
        network: class that the caller needs, one of `NETWORKS`; None takes whichever the file holds.
        path: file written by `scripts.handlers.CheckpointHandler`, or by `python -m scripts` with `convert-weights` or
            `export-weights`.
        preprocessing: how images and texts will reach the network; compared with what the file says of its training.
        unseen: sites of which the network may have seen no case, as far as the file says.
        options: of the class's `build`, such as AFLoc's `report_length`.

    Raises:
        UserError: no such file, not a checkpoint of ours or of another class, weights that do not fit the architecture (all keys
            are listed), inputs prepared otherwise than in training (all differences are listed), or sites that were seen.
    """
    state = read_state(Path(path))
    name = state["network_class"]
    if name not in NETWORKS:
        raise UserError(f"{path} names the network class {name!r}, which is none of {', '.join(NETWORKS)}")
    if network not in (None, name):
        raise UserError(f"{path} holds a network of class {name}, not {network}: give a checkpoint of this bundle's kind")
    check_preprocessing(path, state, preprocessing)
    seen = sorted(set(unseen) & set(state.get("preprocessing", {}).get("centres", ())))
    if seen:
        raise UserError(
            f"{path} was pretrained on exams of {', '.join(seen)}, which held_out_sites names: figures of a held-out site "
            "would not be those of an unseen one. Pretrain with the same held_out_sites, or take the site out of it"
        )
    try:
        built = NETWORKS[name].build(state, **options)
    except KeyError as error:
        raise UserError(f"{path} is not a whole checkpoint of {name}: it lacks {error}. See `convert-weights --help`") from error
    return load_weights(path, built, state)
