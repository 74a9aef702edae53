"""AFLoc's published checkpoint -> a file of our network's weights."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scripts.files.errors import ConversionError
from scripts.networks import AFLoc, ImageEncoder, TextEncoder
from scripts.networks.image_encoder import RESNETS
from scripts.weights.published import bert_sizes, layout_faults, plain_tensors, write_converted
from scripts.weights.restricted import read_checkpoint

# published prefix -> ours
PREFIXES = {
    "img_encoder.model.": "image_encoder.backbone.",
    "img_encoder.global_embedder.": "image_encoder.report_head.",
    "img_encoder.local_embedder.": "image_encoder.sentence_head.",
    "img_encoder.local2_embedder.": "image_encoder.word_head.",
    "text_encoder.model.": "text_encoder.bert.",
}
# Weights that no embedding passes through: BERT's pooler, a buffer of older transformers, an unreleased loss's head.
UNUSED = ("text_encoder.bert.pooler.", "text_encoder.bert.embeddings.position_ids", "img_encoder.local_f_embedder.")
BERT = "text_encoder.bert."
# Weights whose shapes tell the size of the encoders, and their number of dimensions.
SIZE_TELLING = {
    "image_encoder.backbone.layer1.0.conv1.weight": 4,
    f"{BERT}embeddings.word_embeddings.weight": 2,
    f"{BERT}embeddings.position_embeddings.weight": 2,
    f"{BERT}embeddings.token_type_embeddings.weight": 2,
    f"{BERT}encoder.layer.0.intermediate.dense.weight": 2,
}


def convert(checkpoint: str | Path, output: str | Path, attention_heads: int | None = None) -> dict[str, Any]:
    """Convert AFLoc's Lightning checkpoint into a file that `torch.load(weights_only=True)` reads.

    The file holds `network` (state dict of `scripts.networks.AFLoc`), `format`, `source` (file, sha256, epoch and
    step), `image_encoder` (name, embedding_size) and `text_encoder` (the BERT configuration read off the shapes). It
    appears whole or not at all.

    Args:
        checkpoint: Lightning checkpoint, or a bare state dict with the published names.
        output: file to write; its folder is made.
        attention_heads: of BERT, which no shape tells; by default one for each 64 dimensions, as in BERT's published
            sizes.

    Returns:
        the file's entries but `network`, and `output`, `tensors`, `parameters`, `dropped` (unused weights, by their
            published names).

    Raises:
        ConversionError: unreadable, or weights missing, unexpected, of another shape or not finite: all of them are
            listed.
    """
    loaded = read_checkpoint(checkpoint)
    published = _state_dict(checkpoint, loaded)
    state = {_our_name(key): value for key, value in published.items()}
    used = {key: value for key, value in state.items() if not key.startswith(UNUSED)}
    _check_sizes(checkpoint, used)
    text_encoder = bert_sizes(used, BERT, attention_heads)
    image_encoder = {"name": _resnet(used), "embedding_size": text_encoder["hidden_size"]}
    faults = layout_faults(used, expected_layout(image_encoder, text_encoder), _published_name)
    if faults:
        sizes = f"a {image_encoder['name']} and a BERT of {text_encoder['num_hidden_layers']} layers"
        raise ConversionError(f"{checkpoint} does not fit AFLoc with {sizes}:\n  " + "\n  ".join(faults))
    architecture = {"network_class": AFLoc.__name__, "image_encoder": image_encoder, "text_encoder": text_encoder}
    dropped = [key for key in published if _our_name(key).startswith(UNUSED)]
    return write_converted(checkpoint, output, used, architecture, loaded, dropped)


def expected_layout(image_encoder: dict[str, Any], text_encoder: dict[str, Any]) -> dict[str, Tensor]:
    """Our network's state dict in shapes and types alone (meta tensors), for encoders as `convert` describes them."""
    with torch.device("meta"):
        return AFLoc(ImageEncoder(**image_encoder), TextEncoder(text_encoder, last_layers=1)).state_dict()


def _state_dict(checkpoint: str | Path, loaded: Any) -> dict[str, Tensor]:
    """The weights in a checkpoint, by published names without the `afloc.` that Lightning puts before."""
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
    return {key.removeprefix("afloc."): value for key, value in plain_tensors(checkpoint, state).items()}


def _our_name(key: str) -> str:
    for theirs, ours in PREFIXES.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key


def _published_name(key: str) -> str:
    for theirs, ours in PREFIXES.items():
        if key.startswith(ours):
            return theirs + key.removeprefix(ours)
    return key


def _check_sizes(checkpoint: str | Path, state: dict[str, Tensor]) -> None:
    """See that the few weights are there that tell how large the encoders are; without one of them no layout can be compared."""
    lost = [_published_name(key) for key, dimensions in SIZE_TELLING.items() if key not in state or state[key].dim() != dimensions]
    if lost:
        first = sorted({_published_name(key).split(".")[0] for key in state})
        raise ConversionError(
            f"{checkpoint} is no AFLoc checkpoint, or a damaged one: {', '.join(lost)} missing or misshaped; "
            f"it holds {len(state)} tensors under {', '.join(first[:10])}"
        )


def _resnet(state: dict[str, Tensor]) -> str:
    """The ResNet whose blocks are nearest to those found, so that a few missing weights are still named one by one."""
    blocks = {tuple(key.split(".")[2:4]) for key in state if key.startswith("image_encoder.backbone.layer")}
    found = [sum(stage == f"layer{n}" for stage, _ in blocks) for n in (1, 2, 3, 4)]
    bottleneck = any(key.startswith("image_encoder.backbone.") and ".conv3." in key for key in state)

    def distance(name: str) -> tuple[bool, int]:
        layers, block = RESNETS[name]
        return (block.expansion == 4) != bottleneck, sum(abs(a - b) for a, b in zip(layers, found, strict=True))

    return min(RESNETS, key=distance)
