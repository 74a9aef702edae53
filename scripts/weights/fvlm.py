"""fVLM's published checkpoint -> a file of our network's weights."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scripts.files.errors import ConversionError
from scripts.networks import FVLM
from scripts.weights.published import bert_sizes, layout_faults, plain_tensors, write_converted
from scripts.weights.restricted import read_checkpoint

ANATOMIES = ("lung", "heart", "esophagus", "aorta")
"""Of the released CT-RATE model, in the order of its query tokens."""
# published prefix -> ours
PREFIXES = {
    "visual_encoder.patch_embedding.patch_embeddings.": "volume_encoder.patch_embeddings.",
    "visual_encoder.patch_embedding.position_embeddings": "volume_encoder.position_embeddings",
    "visual_encoder.": "volume_encoder.",
    "text_encoder.": "text_encoder.bert.",
    "text_proj.": "text_encoder.projection.",
    "attention.": "pooling.attention.",
    "query_tokens": "pooling.query_tokens",
    "temp": "temperature",
}
# Weights that no embedding passes through: the head of masked words, buffers, and queues of an older code.
UNUSED = ("text_encoder.cls.", "text_encoder.embeddings.position_ids", "image_queue", "text_queue", "queue_ptr")
BERT = "text_encoder.bert."
TYPES = f"{BERT}embeddings.token_type_embeddings.weight"
# Weights whose shapes tell the size of the network, and their number of dimensions.
SIZE_TELLING = {
    "volume_encoder.patch_embeddings.weight": 5,
    "volume_encoder.blocks.0.mlp.linear1.weight": 2,
    "pooling.query_tokens": 2,
    "text_encoder.projection.weight": 2,
    f"{BERT}embeddings.word_embeddings.weight": 2,
    f"{BERT}embeddings.position_embeddings.weight": 2,
    f"{BERT}encoder.layer.0.intermediate.dense.weight": 2,
}


def convert(
    checkpoint: str | Path,
    output: str | Path,
    attention_heads: int | None = None,
    anatomies: Sequence[str] = ANATOMIES,
    volume_size: Sequence[int] = (112, 256, 352),
) -> dict[str, Any]:
    """Convert fVLM's checkpoint into a file that `torch.load(weights_only=True)` reads and `scripts.weights.load_network` takes.

    Args:
        checkpoint: the published file ({"model": state dict, ...}), or a bare state dict with the published names.
        output: file to write; its folder is made.
        attention_heads: of BERT, which no shape tells; by default one for each 64 dimensions.
        anatomies: names of its query tokens, in their order.
        volume_size: voxels (D, H, W) that its positions were learned for, which their number alone does not tell.

    Returns:
        the file's entries but `network`, and `output`, `tensors`, `parameters`, `dropped` (unused weights, by their published
            names).

    Raises:
        ConversionError: unreadable, or weights missing, unexpected, of another shape or not finite: all of them are listed.
    """
    loaded = read_checkpoint(checkpoint)
    published = plain_tensors(checkpoint, loaded.get("model", loaded) if isinstance(loaded, dict) else loaded)
    used = our_state({key: value for key, value in published.items() if not key.startswith(UNUSED)})
    _check_sizes(checkpoint, published, used)
    architecture = _architecture(used, anatomies, volume_size, attention_heads)
    faults = layout_faults(used, expected_layout(architecture), published_name)
    if faults:
        sizes = f"a ViT of {architecture['volume_encoder']['layers']} layers and {len(anatomies)} anatomies"
        raise ConversionError(f"{checkpoint} does not fit fVLM with {sizes}:\n  " + "\n  ".join(faults))
    dropped = [key for key in published if key.startswith(UNUSED)]
    named = {"network_class": FVLM.__name__, **architecture}
    return write_converted(checkpoint, output, used, named, loaded, dropped)


def our_state(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published weights by our names; projections are stacked and BERT's token types, never added there, are zero."""
    state = {_our_name(key): value for key, value in published.items() if not key.startswith("vision_projs.")}
    for kind in ("weight", "bias"):
        numbers = [int(key.split(".")[1]) for key in published if re.fullmatch(rf"vision_projs\.\d+\.{kind}", key)]
        rows = [published[f"vision_projs.{number}.{kind}"] for number in sorted(numbers)]
        if rows and len({row.shape for row in rows}) == 1:
            state[f"pooling.projection_{kind}"] = torch.stack(rows)
    words = state.get(f"{BERT}embeddings.word_embeddings.weight")
    if words is not None and words.dim() == 2:
        state[TYPES] = words.new_zeros(2, words.shape[1])
    return state


def published_name(key: str) -> str:
    """Name in the published code of one of our weights."""
    if key.startswith("pooling.projection_"):
        return f"vision_projs.*.{key.removeprefix('pooling.projection_')}"
    return next((theirs + key.removeprefix(ours) for theirs, ours in PREFIXES.items() if key.startswith(ours)), key)


def expected_layout(architecture: dict[str, Any]) -> dict[str, Tensor]:
    """Our network's state dict in shapes and types alone (meta tensors)."""
    with torch.device("meta"):
        return FVLM.build(architecture).state_dict()


def _our_name(key: str) -> str:
    return next((ours + key.removeprefix(theirs) for theirs, ours in PREFIXES.items() if key.startswith(theirs)), key)


def _check_sizes(checkpoint: str | Path, published: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    lost = [published_name(key) for key, dimensions in SIZE_TELLING.items() if key not in state or state[key].dim() != dimensions]
    if lost:
        first = sorted({key.split(".")[0] for key in published})
        raise ConversionError(
            f"{checkpoint} is no fVLM checkpoint, or a damaged one: {', '.join(lost)} missing or misshaped; "
            f"it holds {len(published)} tensors under {', '.join(first[:10])}"
        )


def _architecture(
    state: dict[str, Tensor], anatomies: Sequence[str], volume_size: Sequence[int], attention_heads: int | None
) -> dict[str, Any]:
    """Sizes read off the weights; heads of the ViT are one for each 64 dimensions, its levels and dropout the released ones."""
    patches = state["volume_encoder.patch_embeddings.weight"]
    blocks = {key.split(".")[2] for key in state if key.startswith("volume_encoder.blocks.")}
    return {
        "volume_encoder": {
            "volume_size": list(volume_size),
            "patch_size": list(patches.shape[2:]),
            "hidden_size": patches.shape[0],
            "mlp_size": state["volume_encoder.blocks.0.mlp.linear1.weight"].shape[0],
            "layers": max(int(number) for number in blocks if number.isdecimal()) + 1,
            "heads": max(patches.shape[0] // 64, 1),
            "levels": [3, 6, 9],
            "dropout": 0.1,
            "density_windows": [],
            "stem": [],
        },
        "text_encoder": bert_sizes(state, BERT, attention_heads),
        "embedding_size": state["text_encoder.projection.weight"].shape[0],
        "text_pooling": "first",
        "pooling_heads": 4,
        "anatomies": list(anatomies),
    }
