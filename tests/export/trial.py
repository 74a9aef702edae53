"""An exported bundle as its receiver meets it: unpacked in an empty folder, run by a fresh interpreter, without the network."""

import json
import os
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from scripts.export import export_bundle
from scripts.phantoms import ct, cxr, nasal

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ("cxr_localization", "ct_anatomy_zeroshot", "nasal_pretraining", "npc_screening")
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: whatever reaches for the network fails."""


class Trial(NamedTuple):
    """predictions: lines of predictions.jsonl. found: what `checks.py` printed. folder: the unpacked bundle."""

    predictions: list[dict[str, Any]]
    found: dict[str, Any]
    folder: Path


def try_bundle(name: str, work: Path) -> Trial:
    """Export a bundle with the weights that ship, unpack it in `work`, ask it about one phantom case and let MONAI check it."""
    files, case = _phantom(name, work / "phantoms")
    archive = export_bundle(ROOT / "bundles" / name, work / f"{name}.zip", files=files).path
    (away := work / "away").mkdir()
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(away)
    (elsewhere := work / "elsewhere").mkdir()
    folder = away / name
    python = partial(run_alone, folder, elsewhere, sys.executable)
    config = str(folder / "configs" / "inference.json")
    python("-m", "monai.bundle", "run", "--bundle_root", folder, "--config_file", config, "--output_dir", work / "answer", *case)
    printed = python(Path(__file__).with_name("checks.py"), folder)
    lines = (work / "answer" / "predictions.jsonl").read_text().splitlines()
    return Trial([json.loads(line) for line in lines], json.loads(printed.splitlines()[-1]), folder)


def _phantom(name: str, folder: Path) -> tuple[dict[str, Path], list[Any]]:
    """Files that come along with the bundle, and the flags that name one case."""
    one = {"training": 0, "validation": 0, "test": 1, "workers": 1}
    if name == "cxr_localization":
        return {}, ["--films", cxr.write_phantoms(folder, **one)]
    if name == "ct_anatomy_zeroshot":
        ct.write_phantoms(folder, **one)
        volume, mask = (next((folder / kind).glob("*.nii.gz")) for kind in ("volumes", "masks"))
        return {"prompts": folder / "prompts.json"}, ["--volumes", volume, "--masks", mask]
    return {}, ["--exams", nasal.write_phantoms(folder, **one)]


def run_alone(bundle: Path, cwd: Path, *command: Any) -> str:
    """What a command prints that has the bundle's code and nothing of this project, and no network."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MLFLOW"))}
    offline = {"HF_HUB_OFFLINE": "1", "http_proxy": NOWHERE, "https_proxy": NOWHERE}
    first = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(bundle), "CUDA_VISIBLE_DEVICES": ""}
    words = list(map(str, command))
    done = subprocess.run(words, cwd=cwd, env=kept | offline | first, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
