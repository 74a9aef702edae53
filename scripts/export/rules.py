"""What the MONAI model zoo asks of a bundle, checked without the network."""

import json
from pathlib import Path
from typing import Any

import jsonschema
from monai.bundle import ConfigParser
from monai.bundle.properties import InferProperties, TrainProperties
from monai.utils import BundleProperty, BundlePropertyConfig

SCHEMA = Path(__file__).parent / "files" / "metadata_schema.json"
"""Our own statement of what metadata must hold, after MONAI's bundle specification; MONAI's schema lies on the internet."""
NEEDED = ("LICENSE", "configs/metadata.json", "configs/inference.json", "docs/README.md", "models/model.pt")
MAX_BYTES = 25 * 2**20
"""Bytes of one file that the zoo stores itself."""


def faults_of(folder: Path) -> list[str]:
    """Everything that keeps an exported bundle from being a MONAI bundle; empty if nothing does."""
    absent = [f"{name} is missing" for name in NEEDED if not (folder / name).is_file()]
    if absent:
        return absent
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    faults = _metadata_faults(metadata)
    for name, properties in (("inference", InferProperties), ("train", TrainProperties)):
        path = folder / "configs" / f"{name}.json"
        if path.is_file():
            faults += [f"configs/{path.name} lacks {key}" for key in _lacking(path, properties)]
    return faults


def too_large(folder: Path) -> dict[str, int]:
    """Files that the zoo would have elsewhere, with their address in `large_files.yml`: path in the folder -> bytes."""
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: size for name, size in sizes.items() if size > MAX_BYTES}


def _metadata_faults(metadata: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    faults = [f"metadata {error.json_path}: {error.message}" for error in validator.iter_errors(metadata)]
    if metadata.get("version") not in metadata.get("changelog", {}):
        faults.append(f"metadata $.changelog says nothing of version {metadata.get('version')}")
    return faults


def _lacking(path: Path, properties: dict[str, dict[str, Any]]) -> list[str]:
    """Ids of MONAI's required properties that a config does not have."""
    parser = ConfigParser(ConfigParser.load_config_file(path))
    required = (entry for entry in properties.values() if entry[BundleProperty.REQUIRED])
    return [entry[BundlePropertyConfig.ID] for entry in required if entry[BundlePropertyConfig.ID] not in parser]
