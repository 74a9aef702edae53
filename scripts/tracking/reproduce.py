"""Runs a tracked run again from its record alone, and compares the two."""

import json
import math
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import yaml
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from scripts.files.atomic import sha256_of, write_json_atomically
from scripts.files.errors import UserError
from scripts.files.text_table import text_table
from scripts.tracking import facts
from scripts.tracking.models import run_of
from scripts.tracking.moved import moved_names
from scripts.tracking.sender import unsent_id

BLANK = "***"
GONE = "gone"
RESTORED = ("hardware.processes", "hardware.threads")
COSTS = ("samples_per_second", "memory_mib", "energy_kwh")
"""Metrics of the machine's speed and load, which no two runs share."""


@dataclass
class Difference:
    """Something that is not today what the record says: name, then and now."""

    name: str
    then: str
    now: str


@dataclass
class Pair:
    """A metric of both runs: its last values (NaN where a run lacks it), and whether all values agree to the last bit."""

    name: str
    first: float
    second: float
    identical: bool


class Record:
    """What a run has written down about itself, enough to run it again.

    Args:
        client: of its store.
        run_id: the run.

    Raises:
        UserError: no such run, or one without a config that names a tracker.
    """

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self.client, self.run = client, run_of(client, run_id)
        self.params, self.tags = self.run.data.params, self.run.data.tags
        names = [file.path for file in client.list_artifacts(run_id, "config")]
        # Of a resumed run the last part says how far it was to go.
        resumed = sorted(name for name in names if name.startswith("config/resumed_"))
        name = resumed[-1] if resumed else "config/config.yaml"
        with tempfile.TemporaryDirectory() as folder:
            try:
                text = Path(client.download_artifacts(run_id, name, folder)).read_text(encoding="utf-8")
            except (MlflowException, OSError) as error:
                raise UserError(f"run {run_id} cannot be run again: its {name} cannot be read ({error})") from error
        self.config: dict[str, Any] = yaml.safe_load(text)
        if "tracker" not in self.config:
            raise UserError(f"run {run_id} cannot be run again: its config has no tracker, so it was no run of a bundle")
        moved = moved_names(self.config)
        if moved:
            told = ", ".join(f"{old} ({f'now {new}' if new else 'no more'})" for old, new in moved.items())
            raise UserError(f"run {run_id} cannot be run again: its config names {told}; check out its git.revision")

    def differences(self) -> list[Difference]:
        """What is not as the record says: code, packages, machine, data, and files that are gone."""
        today = {**facts.git_facts(), **facts.package_versions(), **facts.hardware()}
        names = [name for name in today if name not in RESTORED and name in self.tags]
        found = [Difference(name, self.tags[name], today[name]) for name in names if self.tags[name] != today[name]]
        if self.tags.get("git.dirty") == "true":
            found.append(Difference("code", "with files that differed from its revision", "these cannot be told from the record"))
        return found + self._data() + self._gone()

    def _data(self) -> list[Difference]:
        found = []
        for given in self.run.inputs.dataset_inputs:
            path = Path(json.loads(given.dataset.source)["uri"])
            then = json.loads(given.dataset.profile)["sha256"]
            now = sha256_of(path) if path.is_file() else GONE
            found += [Difference(f"datalist {path}", then, now)] if now != then else []
        return found

    def _gone(self) -> list[Difference]:
        """Settings that name a file or folder which does not exist now."""
        made = self.params.get("output_dir", "")
        found = []
        for name, value in self.params.items():
            path = Path(value)
            is_path = "." not in name and len(path.parts) > 1 and not value.startswith(("@", "$", "%", "["))
            # A first folder that is not here is the owner of a model on a hub.
            if is_path and not value.startswith(made or value) and Path(path.parts[0]).exists() and not path.exists():
                found.append(Difference(name, value, GONE))
        return found

    def again(self, output_dir: Path, values: Mapping[str, Any]) -> dict[str, Any]:
        """The config to run: the recorded one, as a run of its own beneath the recorded run.

        Args:
            output_dir: of the new run.
            values: in place of recorded ones, by the config's top-level ids.

        Raises:
            UserError: the datalist is gone, or secrets are in use, and `values` has nothing in their place; all are listed.
        """
        config = {**self.config, **values, "output_dir": str(output_dir)}
        faults = [
            f"{line.name} is gone" for line in self._data() if line.now == GONE and not {"datalist", "dataset_dir"} & set(values)
        ]
        # The store's address is taken from the environment.
        config |= {"tracking_uri": None} if "tracking_uri" in config else {}
        blank = {name.partition(".")[0] for name, value in facts.flatten(config).items() if BLANK in str(value)}
        faults += [f"the value of {name} was secret and is not in the record" for name in sorted(blank - {"tracker"})]
        if faults:
            run_id = self.run.info.run_id
            raise UserError(
                f"run {run_id} cannot be run again: {'; '.join(faults)}. Give what is missing, as in --dataset_dir data/moved"
            )
        config |= {"resume": False} if "resume" in config else {}
        if config.get("calibrate"):  # stands beside the checkpoint otherwise, which others use
            config["calibration"] = str(output_dir / "calibration.pt")
        own = {"tracking_uri": None, "parent_run": self.run.info.run_id, "run_name": f"{self.run.info.run_name} again"}
        tags = {**(config["tracker"].get("tags") or {}), "reproduces": self.run.info.run_id}
        config["tracker"] = {**config["tracker"], **own, "tags": tags}
        return config

    def run_again(self, output_dir: Path, values: Mapping[str, Any]) -> Run:
        """Run in a process of its own, with as many processes and threads as then; the command's output passes through.

        Args and raises as `again`; UserError also when the command fails, or the store has nothing of it.
        """
        config = self.again(output_dir, values)
        output_dir.mkdir(parents=True)
        write_json_atomically(output_dir / "reproduced.json", config)
        processes = int(self.tags.get("hardware.processes", 1))
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes > 1 else []
        command = [sys.executable, *launcher, "-m", "monai.bundle", "run", "--config_file", str(output_dir / "reproduced.json")]
        logging_file = Path(self.params.get("bundle_root", "")) / "configs" / "logging.conf"
        if logging_file.is_file():
            command += ["--logging_file", str(logging_file)]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": self.client.tracking_uri}
        if "hardware.threads" in self.tags:
            environment["OMP_NUM_THREADS"] = self.tags["hardware.threads"]
        status = subprocess.run(command, check=False, env=environment).returncode
        if status:
            raise UserError(f"{shlex.join(command)} ended with status {status}; what it printed says why")
        run_id = (output_dir / self._id_file).read_text().strip()
        if run_id.startswith(unsent_id("")):
            raise UserError(
                f"the run has ended, but its records wait in {output_dir}: send them with "
                f"python -m scripts.tracking.sender {output_dir}"
            )
        return run_of(self.client, run_id)

    @property
    def _id_file(self) -> str:
        return "mlflow_evaluation_run_id" if self.tags.get("kind") == "evaluation" else "mlflow_run_id"


def compare(client: mlflow.MlflowClient, first: Run, second: Run) -> list[Pair]:
    """Metrics of two runs, by name; those that measure the machine are left out."""
    names = sorted(first.data.metrics.keys() | second.data.metrics.keys())
    pairs = []
    for name in names:
        if name.startswith("system/") or name.endswith(COSTS):
            continue
        # As text, because NaN is to be equal to NaN.
        values = [
            sorted((point.step, repr(point.value)) for point in client.get_metric_history(run.info.run_id, name))
            for run in (first, second)
        ]
        last = [run.data.metrics.get(name, math.nan) for run in (first, second)]
        pairs.append(Pair(name, *last, identical=values[0] == values[1]))
    return pairs


def describe_differences(differences: list[Difference]) -> str:
    """A line each, for the screen."""
    if not differences:
        return "Nothing differs from the record."
    return "\n".join(["Not as in the record:", *(f"  {line.name}: {line.then}, now {line.now}" for line in differences)])


def describe_pairs(pairs: list[Pair]) -> str:
    """Metrics side by side, and whether the runs are identical in them, for the screen."""
    rows = [[one.name, f"{one.first:.8g}", f"{one.second:.8g}", "identical" if one.identical else "differ"] for one in pairs]
    differ = sum(not pair.identical for pair in pairs)
    said = f"{len(pairs)} metrics, every value at every step: " + (f"{differ} differ" if differ else "identical")
    return f"{text_table(['metric', 'recorded', 'again', 'values'], rows)}\n{said}"
