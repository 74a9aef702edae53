"""A bundle of this project -> a folder or an archive that runs without the project."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.export.code import copy_code, modules_of, names_in, other_packages
from scripts.export.configs import image_only_network, requirements, stand_alone_configs, stand_alone_metadata
from scripts.export.rules import SCHEMA, faults_of, too_large
from scripts.files.atomic import atomic_path, sha256_of, write_atomically, write_json_atomically
from scripts.files.errors import UserError
from scripts.weights import export_weights
from scripts.weights.model_file import read_state

SUMS = "SHA256SUMS"
README = SCHEMA.with_name("README.md")
"""What an exported bundle's README begins with."""


class Export(NamedTuple):
    """What was written. path: folder or archive. model_sha256: of models/model.pt. too_large: bytes of the files that the model zoo
    would not store, by their path in the bundle."""

    path: Path
    model_sha256: str
    too_large: dict[str, int]


def export_bundle(
    bundle: str | Path,
    output: str | Path,
    checkpoint: str | Path | None = None,
    overlays: Sequence[str] = (),
    files: Mapping[str, str | Path] | None = None,
) -> Export:
    """Write a bundle with its code and weights, so that `monai.bundle run` needs nothing else of this project.

        export_bundle("bundles/npc_screening", "npc_screening.zip", "runs/mine/checkpoint_best.pt", files={"prompts": "mine.json"})

    Args:
        bundle: its folder.
        output: a folder that is empty or not there, or a file that ends in .zip and may be replaced; the archive holds one folder,
            named as the bundle. Either is whole or not there.
        checkpoint: weights; `text_model` and `calibration.pt` beside them come along. By default the bundle's own models/model.pt
            or, where there is none, the phantom weights that ship, with the overlay phantom.
        overlays: names of configs to merge into train, evaluate and inference: those that the weights were trained with.
        files: key of inference.json -> file that shall be its value in the export, and comes along.

    Raises:
        UserError: no such bundle, weights or file; weights that were trained otherwise than the configs say; an output that is not
            empty; or what MONAI asks of a bundle is missing, all at once.
    """
    bundle, output, files = Path(bundle).resolve(), Path(output), {key: Path(file) for key, file in (files or {}).items()}
    if checkpoint is None:
        checkpoint, overlays = _own_weights(bundle, overlays)
    absent = [str(path) for path in (bundle / "configs" / "metadata.json", *files.values()) if not path.is_file()]
    if absent:
        raise UserError(f"no {' and no '.join(absent)}: give the folder of a bundle, and files that are there")
    zipped = output.suffix.lower() == ".zip"
    if not zipped and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} is not an empty folder: give another, or one that is not there yet")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export.", dir=output.parent) as temporary:
        folder = Path(temporary) / bundle.name
        _write(bundle, folder, Path(checkpoint), overlays, files)
        faults = faults_of(folder)
        if faults:
            raise UserError(f"{bundle} is not what MONAI takes for a bundle:\n  " + "\n  ".join(faults))
        _write_sums(folder)
        export = Export(output, sha256_of(folder / "models" / "model.pt"), too_large(folder))
        if zipped:
            _zip(folder, output)
        else:
            os.replace(folder, output)
    return export


def _own_weights(bundle: Path, overlays: Sequence[str]) -> tuple[Path, Sequence[str]]:
    own, phantom = bundle / "models" / "model.pt", bundle / "models" / "phantom" / "model.pt"
    if own.is_file() or not phantom.is_file():
        return own, overlays
    return phantom, overlays or ["phantom"]


def _write(bundle: Path, folder: Path, checkpoint: Path, overlays: Sequence[str], files: Mapping[str, Path]) -> None:
    brought = {key: f"files/{key}{file.suffix}" for key, file in files.items()}
    for name, config in (configs := stand_alone_configs(bundle, overlays, brought)).items():
        write_json_atomically(folder / "configs" / f"{name}.json", config)
    modules = modules_of(names_in(list(configs.values())))
    copy_code(modules, folder)
    for key, file in files.items():
        _copy(file, folder / brought[key])
    for name in ("LICENSE", "configs/logging.conf"):
        if (bundle / name).is_file():
            _copy(bundle / name, folder / name)
    shutil.copytree(bundle / "docs", folder / "docs")
    _copy(SCHEMA, folder / "docs" / SCHEMA.name)
    _write_weights(checkpoint, folder / "models")
    model = folder / "models" / "model.pt"
    metadata = stand_alone_metadata(bundle, model, image_only_network(folder), other_packages(modules.values()))
    write_json_atomically(folder / "configs" / "metadata.json", metadata)
    write_atomically(folder / "requirements.txt", requirements(metadata))
    head = README.read_text(encoding="utf-8").format(
        name=metadata["name"],
        bundle=bundle.name,
        version=metadata["version"],
        weights=checkpoint.name,
        digest=sha256_of(model),
        overlays="".join(f", with {name}.json merged into the configs" for name in overlays),
    )
    readme = folder / "docs" / "README.md"
    write_atomically(readme, head + readme.read_text(encoding="utf-8"))


def _write_weights(checkpoint: Path, folder: Path) -> None:
    """Weights, tokenizer and calibration; a file that is ready to hand on keeps its bytes and so its hash."""
    state, texts = read_state(checkpoint), checkpoint.parent / "text_model"
    if "optimizer" in state:
        export_weights(checkpoint, folder)
    else:
        _copy(checkpoint, folder / "model.pt")
        if "text_encoder" in state:  # a classifier of exams reads no text
            if not (texts / "tokenizer_config.json").is_file():
                raise UserError(f"{texts} holds no tokenizer: the one that the weights were trained with is needed there")
            shutil.copytree(texts, folder / "text_model")
    calibration = checkpoint.parent / "calibration.pt"
    if calibration.is_file():
        _copy(calibration, folder / calibration.name)


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write_sums(folder: Path) -> None:
    """SHA-256 of every file, as `sha256sum --check` reads them."""
    lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in _files_in(folder)]
    write_atomically(folder / SUMS, "".join(lines))


def _zip(folder: Path, output: Path) -> None:
    """One archive of the folder; the same content gives the same bytes."""
    with atomic_path(output) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in _files_in(folder):
            entry = zipfile.ZipInfo(file.relative_to(folder.parent).as_posix())
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
