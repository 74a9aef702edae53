"""How tests run a bundle: as its users do, from the repository's root."""

import os
import socket
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
from tests.ranks import run_ranks

ROOT = Path(__file__).resolve().parents[2]
TWO_RANKS = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


class Bundle:
    """A bundle by its name; `run` merges its configs and gives what was printed."""

    def __init__(self, name: str) -> None:
        self.root = f"bundles/{name}"
        self.folder = ROOT / self.root

    def run(self, configs: Sequence[str], *arguments: Any, launcher: Sequence[str] = (), ranks: int = 1) -> str:
        """Run configs by their names, later over earlier.

        Args:
            launcher: what stands before `-m monai.bundle` in a command that is run as such; without, this process runs it.
            ranks: of a distributed run, where these are the subject and not the launcher.
        """
        files = "[" + ",".join(f"'{self.root}/configs/{name}.json'" for name in configs) + "]"
        words = ["run", "--bundle_root", self.root, "--config_file", files, *map(str, arguments)]
        if launcher:
            command = [sys.executable, *launcher, "-m", "monai.bundle", *words]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
            results = [(done.returncode, done.stdout, done.stderr)]
        elif ranks > 1:
            results = run_ranks(_run_rank, words, ranks, _free_port(), ranks=ranks)
        else:
            results = [_run_here(words)]
        for status, _, err in results:
            assert status == 0, err[-4000:]
        return "".join(out + err for _, out, err in results)


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def _run_here(words: Sequence[str]) -> tuple[int, str, str]:
    """What `python -m monai.bundle` does, in this process."""
    return run_here(partial(fire.Fire, {"run": monai.bundle.run}), [f"{monai.bundle.__path__[0]}/__main__.py", *words], ROOT)


def _run_rank(rank: int, words: Sequence[str], ranks: int, port: int) -> tuple[int, str, str]:
    """The same as one of several ranks, with the environment that torchrun gives them."""
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_PORT": port}
    os.environ.update({"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in places.items()}})
    return _run_here(words)


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
