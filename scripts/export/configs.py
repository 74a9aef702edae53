"""The configs of a bundle that stands alone: overlays merged in, paths within the bundle, metadata that tells of its weights."""

import json
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import nn

from scripts.files.errors import UserError
from scripts.networks.image_only import ImageOnly
from scripts.weights.model_file import read_state

MAIN = ("train", "evaluate", "inference")
"""Configs that run alone; all others merge over one of them."""
IMAGE_ONLY = "image_only"
"""Config that merges over inference and makes `network_def` what MONAI's tools can verify and export."""
SIZES = ("film_size", "image_size", "volume_size")
"""What checkpoints call the size of the network's input: one number for the sides of a picture, or each side of a volume."""
NORMALIZED_HALF = {"class": "NormalizeHalfd"}
"""How checkpoints describe the normalization to [-1, 1]."""
IN_METADATA = {"torch": "pytorch_version", "monai": "monai_version", "numpy": "numpy_version"}
"""Distributions whose versions have keys of their own there."""


def stand_alone_configs(bundle: Path, overlays: Sequence[str], files: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The configs of a bundle by name, without metadata, as they stand in its export.

    Args:
        bundle: its folder.
        overlays: configs that are merged into train, evaluate and inference, later over earlier; they are not exported themselves.
            An overlay's keys that a config lacks have no meaning there and stay away.
        files: config key -> path within the bundle of a file that is its value from now on.

    Raises:
        UserError: no such overlay, a file that is no JSON, or a key that inference.json lacks.
    """
    configs = {path.stem: _read(path) for path in sorted((bundle / "configs").glob("*.json"))}
    del configs["metadata"]
    unknown = sorted(set(overlays) - (configs.keys() - set(MAIN)))
    if unknown:
        raise UserError(
            f"{bundle}/configs has no overlay {', '.join(unknown)}; it has {', '.join(sorted(configs.keys() - set(MAIN)))}"
        )
    absent = sorted(set(files) - configs["inference"].keys())
    if absent:
        raise UserError(f"{bundle}/configs/inference.json has no key {', '.join(absent)} that a file could be the value of")
    merged = [configs.pop(name) for name in overlays]
    inside = {key: f"$@bundle_root + '/{path}'" for key, path in files.items()}
    for name in MAIN:
        config = configs[name]
        for values in [*merged, inside, {"bundle_root": "."}]:
            config |= {key: value for key, value in values.items() if key != "_desc_" and _top_level(key) in config}
    # MONAI requires the id also where an engine asks the network itself, as a classifier's does.
    configs["inference"].setdefault("inferer", {"_target_": "SimpleInferer"})
    configs[IMAGE_ONLY] = {
        "_desc_": "Merges over inference for verify_net_in_out, ckpt_export and onnx_export: an image in, a tensor out.",
        "network_def": {"_target_": "scripts.networks.image_only.ImageOnly", "network": configs["inference"]["network_def"]},
    }
    known = set().union(*(configs[name] for name in MAIN)) - {"_desc_"}
    return {name: config for name, config in configs.items() if known & config.keys()}  # others are studies, for the command line


def image_only_network(folder: Path) -> ImageOnly:
    """The exported bundle's network as MONAI's tools will see it, from its configs and weights.

    Raises:
        UserError: the weights do not fit the configs; the message names the differences.
    """
    parser = ConfigParser(
        ConfigParser.load_config_files([str(folder / "configs" / f"{n}.json") for n in ("inference", IMAGE_ONLY)])
    )
    parser["bundle_root"] = str(folder)
    try:
        return parser.get_parsed_content("network_def")
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise UserError(f"{cause}; here with --overlays NAME") from error


def stand_alone_metadata(bundle: Path, model: Path, network: ImageOnly, imported: Collection[str]) -> dict[str, Any]:
    """The bundle's metadata with the sizes that this network takes and gives, and with all packages that the code imports.

    Args:
        bundle: its folder.
        model: file of the weights, which says how images were prepared for them.
        network: as `image_only_network` gives it.
        imported: top-level names that the code imports.
    """
    metadata = _read(bundle / "configs" / "metadata.json")
    image, pred = (metadata["network_data_format"][side][name] for side, name in (("inputs", "image"), ("outputs", "pred")))
    facts = read_state(model).get("preprocessing", {})
    size = next((facts[name] for name in SIZES if name in facts), image["spatial_shape"])
    image["spatial_shape"] = [size, size] if isinstance(size, int) else list(size)
    if facts.get("normalization", NORMALIZED_HALF) != NORMALIZED_HALF:
        image["value_range"] = []  # of no fixed range
    pred["num_channels"], *spatial = _output_shape(network, [image["num_channels"], *image["spatial_shape"]])
    pred["spatial_shape"] = spatial or [1]
    classes = getattr(network.network, "classes", None)
    if classes is not None:
        pred["channel_def"] = {str(channel): name for channel, name in enumerate(classes)}
    metadata["required_packages_version"] |= _versions(imported)
    return metadata


@torch.inference_mode()
def _output_shape(network: nn.Module, shape: Sequence[int]) -> list[int]:
    """Shape of what the network makes of one image, without the batch."""
    return list(network.eval()(torch.zeros(1, *shape)).shape[1:])


def _versions(imported: Collection[str]) -> dict[str, str]:
    """Distribution -> installed version, of imported top-level names; what is not installed is optional to the code."""
    owners = packages_distributions()
    names = {name if name in owners[name] else owners[name][0] for name in imported - sys.stdlib_module_names if name in owners}
    return {name: version(name) for name in sorted(names - IN_METADATA.keys(), key=str.lower)}


def requirements(metadata: Mapping[str, Any]) -> str:
    """What `pip install -r` takes, from the versions in metadata."""
    own = {name: metadata[key] for name, key in IN_METADATA.items()}
    return "".join(f"{name}=={number}\n" for name, number in (own | metadata["required_packages_version"]).items())


def _top_level(key: str) -> str:
    """The top-level key of what a config's key sets: `train` of `+train#handlers`, which MONAI resolves when it reads the file."""
    return re.split("#|::", key.lstrip("+~"))[0]


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}): give the folder of a bundle, such as bundles/cxr_localization"
        ) from error
