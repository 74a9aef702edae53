"""Comparisons of trainings: variants x seeds by a bundle's own commands. An interrupted one goes on where it stopped."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t


class Study:
    """A bundle's trainings and evaluations on phantoms, each in a folder of its own.

    Args:
        bundle: folder of the bundle.
        name: the runs go to its runs/NAME, and what they print to log.txt there.
        data: prepared phantoms.
    """

    def __init__(self, bundle: str, name: str, data: str) -> None:
        self.bundle, self.folder, self.data = bundle, Path(bundle) / "runs" / name, data
        self.folder.mkdir(parents=True, exist_ok=True)

    def _run(self, configs: Sequence[str], *arguments: str) -> None:
        files = ",".join(f"'{self.bundle}/configs/{name}.json'" for name in configs)
        command = [sys.executable, "-m", "monai.bundle", "run", "--bundle_root", self.bundle, "--config_file", f"[{files}]"]
        command += ["--dataset_dir", self.data, *arguments]
        log = self.folder / "log.txt"
        with open(log, "a", encoding="utf-8") as file:
            done = subprocess.run(command, stdout=file, stderr=file, check=False, env={**os.environ, "PYTHONUNBUFFERED": "1"})
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)} failed; the end of {log} tells why")

    def trained(self, variant: str, seed: int, *arguments: str, overlays: Sequence[str] = ()) -> Path:
        """Checkpoint of a variant, trained if it is not there yet."""
        folder = self.folder / f"{variant.replace(' ', '_')}_{seed}"
        done = folder / "done"
        if not done.is_file():
            where = ["--output_dir", str(folder), "--run_name", f"{self.folder.name} {variant} {seed}", "--seed", str(seed)]
            self._run(("train", "phantom", *overlays), *where, *arguments)
            done.touch()
        return folder / "checkpoint_last.pt"

    def evaluated(self, name: str, checkpoint: Path, *arguments: str, overlays: Sequence[str] = ()) -> dict[str, Any]:
        """metrics.json of a checkpoint, evaluated if it is not there yet."""
        folder = checkpoint.parent / name
        if not (folder / "metrics.json").is_file():
            where = ["--checkpoint", str(checkpoint), "--output_dir", str(folder), "--training_run", str(checkpoint.parent)]
            self._run(("evaluate", "phantom", *overlays), *where, *arguments)
        return json.loads((folder / "metrics.json").read_text())


def interval(values: Sequence[float]) -> str:
    """Mean and 95% interval of the mean over seeds (Student's t)."""
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ({np.mean(values) - half:.3f} to {np.mean(values) + half:.3f})"
