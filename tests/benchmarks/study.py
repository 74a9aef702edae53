"""Comparisons of trainings: variants x seeds of a bundle on phantoms."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

from scripts.studies import BundleRuns


class Study:
    """A bundle's trainings and evaluations on phantoms, in its runs/NAME; an interrupted study goes on where it stopped.

    Args:
        bundle: folder of the bundle.
        name: of the study.
        data: prepared phantoms.
    """

    def __init__(self, bundle: str, name: str, data: str) -> None:
        self.bundle = bundle
        self.runs = BundleRuns(Path(bundle) / "runs" / name, {"dataset_dir": data})

    def trained(self, variant: str, seed: int, overlays: Sequence[str] = (), **arguments: Any) -> Path:
        """Checkpoint of a variant."""
        folder = f"{variant.replace(' ', '_')}_{seed}"
        return (
            self.runs.run(folder, self.bundle, ["train", "phantom", *overlays], {**arguments, "seed": seed}) / "checkpoint_last.pt"
        )

    def evaluated(self, name: str, checkpoint: Path, overlays: Sequence[str] = (), **arguments: Any) -> dict[str, Any]:
        """metrics.json of a checkpoint."""
        where = {"checkpoint": checkpoint, "parent_run": checkpoint.parent}
        folder = f"{checkpoint.parent.name}/{name}"
        done = self.runs.run(folder, self.bundle, ["evaluate", "phantom", *overlays], {**arguments, **where})
        return json.loads((done / "metrics.json").read_text())


def interval(values: Sequence[float]) -> str:
    """Mean and 95% interval of the mean over seeds (Student's t)."""
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ({np.mean(values) - half:.3f} to {np.mean(values) + half:.3f})"
