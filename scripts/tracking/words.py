"""What a person reads of a run before anything else: its name and one sentence."""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def config_names(words: Sequence[str] | None = None) -> list[str]:
    """Names of the configs that a command line merges: `--config_file "['a/train.json','a/phantom.json']"` -> train, phantom.

    Args:
        words: of the command; None takes this process's.

    Returns:
        [] where no config is named.
    """
    line = " ".join(sys.argv if words is None else words)
    named = re.search(r"--config_file[= ]+(\[.*?\]|\S+)", line)
    return re.findall(r"([^/\\'\"\[\],= ]+)\.(?:json|ya?ml)\b", named[1]) if named else []


def run_name(kind: str, configs: Sequence[str], seed: int | None) -> str:
    """`train phantom, seed 1`; a run outside a config is called by its kind."""
    name = " ".join(configs) or kind
    return name if seed is None else f"{name}, seed {seed}"


def description(
    kind: str,
    tags: Mapping[str, Any],
    configs: Sequence[str],
    data: Mapping[str, Any] | None,
    seed: int | None,
    settings: Mapping[str, Any],
) -> str:
    """One sentence that says what a run is, as MLflow shows it above a run.

    Training of npc_screening 0.1.0 (train with phantom, linear_probe) on phantom exams (training 120, validation 40), seed 1, from
    bundles/nasal_pretraining/models/model.pt.

    Args:
        kind: "training" or "evaluation".
        tags: of the run; bundle and version are said.
        configs: as `config_names` gives them.
        data: as `tracking_facts.datalist_facts` gives them, or None.
        seed: of the run, or None.
        settings: flattened config; `checkpoint` or else `pretrained_checkpoint` is what the run began with.
    """
    parts = [kind.capitalize()]
    if "bundle" in tags:
        parts.append(" of " + " ".join(str(tags[name]) for name in ("bundle", "version") if name in tags))
    if configs:
        first, *overlays = configs
        parts.append(f" ({first} with {', '.join(overlays)})" if overlays else f" ({first})")
    if data is not None:
        sizes = ", ".join(f"{split} {size}" for split, size in data["sizes"].items())
        parts.append(f" on {data['name']} ({sizes})")
    if seed is not None:
        parts.append(f", seed {seed}")
    start = settings.get("checkpoint") or settings.get("pretrained_checkpoint")
    if start:
        parts.append(f", from {start}")
    return "".join(parts) + "."
