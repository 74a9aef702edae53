"""AFLoc's published checkpoint -> a file of our network's weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scripts.data.files import atomic_path, sha256_of
from scripts.errors import ConversionError
from scripts.networks import AFLoc, ImageEncoder, TextEncoder
from scripts.networks.image_encoder import RESNETS
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
FORMAT = 1


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
    if Path(output).resolve() == Path(checkpoint).resolve():
        raise ConversionError(f"{output} is the checkpoint itself: give another file to write to")
    loaded = read_checkpoint(checkpoint)
    published = _state_dict(checkpoint, loaded)
    state = {_our_name(key): value for key, value in published.items()}
    used = {key: value for key, value in state.items() if not key.startswith(UNUSED)}
    shapes = _sizes(checkpoint, used)
    text_encoder = _text_encoder(used, shapes, attention_heads)
    image_encoder = {"name": _resnet(used), "embedding_size": text_encoder["hidden_size"]}
    faults = _faults(used, expected_layout(image_encoder, text_encoder))
    if faults:
        sizes = f"a {image_encoder['name']} and a BERT of {text_encoder['num_hidden_layers']} layers"
        raise ConversionError(f"{checkpoint} does not fit AFLoc with {sizes}:\n  " + "\n  ".join(faults))
    summary = {
        "format": FORMAT,
        "source": {
            "file": Path(checkpoint).name,
            "sha256": sha256_of(checkpoint),
            **{key: loaded[key] for key in ("epoch", "global_step") if isinstance(loaded.get(key), int)},
        },
        "image_encoder": image_encoder,
        "text_encoder": text_encoder,
    }
    with atomic_path(output) as path:
        torch.save({"network": used, **summary}, path)
    return summary | {
        "output": str(output),
        "tensors": len(used),
        "parameters": sum(
            v.numel() for k, v in used.items() if not k.endswith(("running_mean", "running_var", "num_batches_tracked"))
        ),
        "dropped": [key for key in published if _our_name(key).startswith(UNUSED)],
    }


def expected_layout(image_encoder: dict[str, Any], text_encoder: dict[str, Any]) -> dict[str, Tensor]:
    """Our network's state dict in shapes and types alone (meta tensors), for encoders as `convert` describes them."""
    with torch.device("meta"):
        return AFLoc(ImageEncoder(**image_encoder), TextEncoder(text_encoder, last_layers=1)).state_dict()


def _state_dict(checkpoint: str | Path, loaded: Any) -> dict[str, Tensor]:
    """The weights in a checkpoint, by published names without the `afloc.` that Lightning puts before."""
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(state, dict) or not state:
        raise ConversionError(f"{checkpoint}: holds {type(state).__name__} where a state_dict was expected")
    strange = [str(key) for key, value in state.items() if not (isinstance(key, str) and _is_plain(value))]
    if strange:
        raise ConversionError(f"{checkpoint}: its state_dict holds more than plain tensors: {', '.join(strange)}")
    return {key.removeprefix("afloc."): value for key, value in state.items()}


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta and not value.is_quantized


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


def _sizes(checkpoint: str | Path, state: dict[str, Tensor]) -> dict[str, Sequence[int]]:
    """Shapes of the few weights that tell how large the encoders are; without one of them no layout can be compared."""
    shapes = {key: state[key].shape if key in state else () for key in SIZE_TELLING}
    lost = [_published_name(key) for key, dimensions in SIZE_TELLING.items() if len(shapes[key]) != dimensions]
    if lost:
        first = sorted({_published_name(key).split(".")[0] for key in state})
        raise ConversionError(
            f"{checkpoint} is no AFLoc checkpoint, or a damaged one: {', '.join(lost)} missing or misshaped; "
            f"it holds {len(state)} tensors under {', '.join(first[:10])}"
        )
    return shapes


def _resnet(state: dict[str, Tensor]) -> str:
    """The ResNet whose blocks are nearest to those found, so that a few missing weights are still named one by one."""
    blocks = {tuple(key.split(".")[2:4]) for key in state if key.startswith("image_encoder.backbone.layer")}
    found = [sum(stage == f"layer{n}" for stage, _ in blocks) for n in (1, 2, 3, 4)]
    bottleneck = any(key.startswith("image_encoder.backbone.") and ".conv3." in key for key in state)

    def distance(name: str) -> tuple[bool, int]:
        layers, block = RESNETS[name]
        return (block.expansion == 4) != bottleneck, sum(abs(a - b) for a, b in zip(layers, found, strict=True))

    return min(RESNETS, key=distance)


def _text_encoder(state: dict[str, Tensor], shapes: dict[str, Sequence[int]], attention_heads: int | None) -> dict[str, int]:
    """BERT's configuration, read off the shapes of its weights."""
    vocabulary, hidden = shapes[f"{BERT}embeddings.word_embeddings.weight"]
    heads = attention_heads or max(hidden // 64, 1)
    if hidden % heads:
        raise ConversionError(f"{heads} attention heads do not divide BERT's hidden size {hidden}: give attention_heads")
    numbers = [key.split(".")[4] for key in state if key.startswith(f"{BERT}encoder.layer.")]
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": max(int(number) for number in numbers if number.isdecimal()) + 1,
        "num_attention_heads": heads,
        "intermediate_size": shapes[f"{BERT}encoder.layer.0.intermediate.dense.weight"][0],
        "max_position_embeddings": shapes[f"{BERT}embeddings.position_embeddings.weight"][0],
        "type_vocab_size": shapes[f"{BERT}embeddings.token_type_embeddings.weight"][0],
    }


def _faults(state: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    """All that keeps a state dict from fitting a layout, by published names."""
    faults = [f"missing: {_published_name(key)} {list(expected[key].shape)}" for key in expected if key not in state]
    for key, value in state.items():
        name = _published_name(key)
        if key not in expected:
            faults.append(f"unexpected: {name} {list(value.shape)}")
        elif value.shape != expected[key].shape:
            faults.append(f"shape: {name} is {list(value.shape)}, expected {list(expected[key].shape)}")
        elif value.is_floating_point() != expected[key].is_floating_point():
            faults.append(f"type: {name} is {value.dtype}, expected {expected[key].dtype}")
        elif not torch.isfinite(value).all():
            faults.append(f"not finite: {name} holds NaN or infinity")
    return faults
