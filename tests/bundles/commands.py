"""How tests run a bundle: as its users do, from the repository's root."""

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import fire
import monai.bundle
from mlflow import MlflowClient

from tests.own_process import run_here

ROOT = Path(__file__).resolve().parents[2]
TWO_RANKS = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


class Bundle:
    """A bundle by its name; `run` merges its configs and gives what was printed."""

    def __init__(self, name: str) -> None:
        self.root = f"bundles/{name}"
        self.folder = ROOT / self.root

    def run(self, configs: Sequence[str], *arguments: Any, launcher: Sequence[str] = ()) -> str:
        """Run configs by their names, later over earlier: in this process, or in those that a `launcher` starts, which then stands
        before `-m monai.bundle`.
        """
        files = "[" + ",".join(f"'{self.root}/configs/{name}.json'" for name in configs) + "]"
        words = ["run", "--bundle_root", self.root, "--config_file", files, *map(str, arguments)]
        if launcher:
            command = [sys.executable, *launcher, "-m", "monai.bundle", *words]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
            status, out, err = done.returncode, done.stdout, done.stderr
        else:
            main = partial(fire.Fire, {"run": monai.bundle.run})  # what `python -m monai.bundle` calls
            status, out, err = run_here(main, [f"{monai.bundle.__path__[0]}/__main__.py", *words], ROOT)
        assert status == 0, err[-4000:]
        return out + err


def tracked(output: Path, uri: str) -> tuple[dict[str, float], list[str]]:
    """Last metrics and names of the figures of the training that wrote to a folder."""
    client = MlflowClient(uri)
    run_id = (output / "mlflow_run_id").read_text().strip()
    return client.get_run(run_id).data.metrics, [Path(file.path).name for file in client.list_artifacts(run_id, "figures")]


class NoTracker:
    """In the tracker's place for a training in the test's own process."""

    def attach(self, engine: Any) -> None:
        """Nothing is recorded."""

    def log_figure(self, name: str, figure: Any, step: int) -> None:
        figure.canvas.draw()  # what is drawn can be drawn
