"""What converting a published state dict needs, whoever published it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scripts.files.atomic import atomic_path, sha256_of
from scripts.files.errors import ConversionError

FORMAT = 1
"""Of the files that conversions write."""
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def plain_tensors(checkpoint: str | Path, state: Any) -> dict[str, Tensor]:
    """A state dict, sure to hold plain tensors by name and nothing else.

    Raises:
        ConversionError: it is no dictionary, empty, or holds anything else (all names are given).
    """
    if not isinstance(state, dict) or not state:
        raise ConversionError(f"{checkpoint}: holds {type(state).__name__} where a state_dict was expected")
    strange = [str(key) for key, value in state.items() if not (isinstance(key, str) and _is_plain(value))]
    if strange:
        raise ConversionError(f"{checkpoint}: its state_dict holds more than plain tensors: {', '.join(strange)}")
    return state


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta and not value.is_quantized


def bert_sizes(state: dict[str, Tensor], prefix: str, attention_heads: int | None = None) -> dict[str, int]:
    """BERT's configuration, read off the shapes of its weights.

    Args:
        state: holds BERT's embeddings and layers under `prefix`.
        prefix: what stands before "embeddings." and "encoder.".
        attention_heads: which no shape tells; by default one for each 64 dimensions, as in BERT's published sizes.

    Raises:
        ConversionError: heads that do not divide the hidden size.
    """
    vocabulary, hidden = state[f"{prefix}embeddings.word_embeddings.weight"].shape
    heads = attention_heads or max(hidden // 64, 1)
    if hidden % heads:
        raise ConversionError(f"{heads} attention heads do not divide BERT's hidden size {hidden}: give attention_heads")
    layers = {
        key.removeprefix(f"{prefix}encoder.layer.").split(".")[0] for key in state if key.startswith(f"{prefix}encoder.layer.")
    }
    types = state.get(f"{prefix}embeddings.token_type_embeddings.weight")
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": max(int(number) for number in layers if number.isdecimal()) + 1,
        "num_attention_heads": heads,
        "intermediate_size": state[f"{prefix}encoder.layer.0.intermediate.dense.weight"].shape[0],
        "max_position_embeddings": state[f"{prefix}embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": 2 if types is None else types.shape[0],
    }


def layout_faults(state: dict[str, Tensor], expected: dict[str, Tensor], published_name: Callable[[str], str]) -> list[str]:
    """All that keeps a state dict from fitting a layout (shapes and types alone), by published names."""
    faults = [f"missing: {published_name(key)} {list(expected[key].shape)}" for key in expected if key not in state]
    for key, value in state.items():
        name = published_name(key)
        if key not in expected:
            faults.append(f"unexpected: {name} {list(value.shape)}")
        elif value.shape != expected[key].shape:
            faults.append(f"shape: {name} is {list(value.shape)}, expected {list(expected[key].shape)}")
        elif value.is_floating_point() != expected[key].is_floating_point():
            faults.append(f"type: {name} is {value.dtype}, expected {expected[key].dtype}")
        elif not torch.isfinite(value).all():
            faults.append(f"not finite: {name} holds NaN or infinity")
    return faults


def write_converted(
    checkpoint: str | Path,
    output: str | Path,
    network: dict[str, Tensor],
    architecture: dict[str, Any],
    loaded: dict[str, Any],
    dropped: list[str],
) -> dict[str, Any]:
    """Write a converted checkpoint, whole or not at all, for `torch.load(weights_only=True)`, and sum it up.

    The file holds `network`, `format`, `source` (file, sha256, and epoch and step where they are known) and the architecture.

    Args:
        checkpoint: the published file.
        output: file to write; its folder is made.
        network: our network's state dict.
        architecture: what builds the network, plain values by name.
        loaded: the published file's content.
        dropped: published names of unused weights.

    Returns:
        the file's entries but `network`, and `output`, `tensors`, `parameters`, `dropped`.

    Raises:
        ConversionError: the output is the checkpoint itself.
    """
    if Path(output).resolve() == Path(checkpoint).resolve():
        raise ConversionError(f"{output} is the checkpoint itself: give another file to write to")
    progress = {key: loaded[key] for key in ("epoch", "global_step") if isinstance(loaded.get(key), int)}
    source = {"file": Path(checkpoint).name, "sha256": sha256_of(checkpoint), **progress}
    summary = {"format": FORMAT, "source": source, **architecture}
    with atomic_path(output) as path:
        torch.save({"network": network, **summary}, path)
    return summary | {
        "output": str(output),
        "tensors": len(network),
        "parameters": sum(value.numel() for key, value in network.items() if not key.endswith(BUFFERS)),
        "dropped": dropped,
    }
