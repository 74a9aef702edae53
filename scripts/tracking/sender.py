"""Brings spooled runs to the MLflow store: in a thread of the training, or by hand.

python -m scripts.tracking.sender FOLDER   # an output folder, its mlflow_spool, or one run in it
"""

import argparse
import json
import logging
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import mlflow
import requests
from filelock import Timeout
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import (
    MAX_DATASET_DIGEST_SIZE,
    MAX_ENTITY_KEY_LENGTH,
    MAX_METRICS_PER_BATCH,
    MAX_PARAM_VAL_LENGTH,
    MAX_PARAMS_TAGS_PER_BATCH,
    MAX_TAG_VAL_LENGTH,
)

from scripts.files.atomic import write_atomically
from scripts.tracking.facts import is_alive, without_secrets
from scripts.tracking.models import log_model
from scripts.tracking.spool import ENDED, Spool

logger = logging.getLogger(__name__)

KEY_TAG = "tracking_key"
# MLflow's words for "not now": anything else that it says about a record would be said again tomorrow.
_PASSING = {"TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"}
_PASSING |= {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED", "DEADLINE_EXCEEDED"}
_ARTIFACT_TRIES = 3


class StoreAway(Exception):
    """The store does not answer or is busy; everything is kept and another try may succeed."""


class RunGone(Exception):
    """The run was deleted, in the store or here, so that nothing more can be added to it."""


class Sender:
    """Sends one run's records to its store, in order, each once.

    Metrics, parameters, tags, data sets and status have the same effect sent twice as once (MLflow keeps one of two
    metrics that agree in name, step, time and value), artifacts overwrite themselves, and a run is looked up by its key
    before it is made. So the position in sent.json, written after each batch, may be behind the store but never ahead.

    Args:
        spool: the run's folder.
    """

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.offset = 0
        self.client: mlflow.MlflowClient | None = None
        self._tries: Counter[str] = Counter()
        # MLflow would retry a call for minutes; a thread that sends comes back by itself.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

    def send(self) -> int:
        """Send everything that waits.

        Returns:
            the number of records sent.

        Raises:
            StoreAway: not all could be sent now.
            RunGone: the run was deleted, in the store or here.
        """
        if not (self.spool.folder / "run.json").is_file():
            raise RunGone(f"its folder {self.spool.folder} was deleted")
        try:
            with self.spool.sending:
                sent = self._with_run(self.spool.sent())
                return self._send_from(sent)
        except Timeout:
            raise StoreAway("another process is sending this run") from None
        except (MlflowException, requests.RequestException, OSError) as error:
            raise StoreAway(_words(error)) from error

    def _send_from(self, sent: dict[str, Any]) -> int:
        count, metrics = 0, []
        self.offset = sent["offset"]
        for record, offset in self.spool.read(sent["offset"]):
            if record["kind"] == "metrics":
                points = self._points(record, sent)
                if len(metrics) + len(points) > MAX_METRICS_PER_BATCH:
                    self._send_metrics(metrics, sent)
                    metrics = []
                metrics += points
            else:
                self._send_metrics(metrics, sent)
                metrics = []
                self._guarded(record, sent)
            sent["offset"] = offset
            count += 1
            if "file" in record:
                self.spool.save_sent(sent)
                self._drop_copy(record)
        if count:
            self._send_metrics(metrics, sent)
            self.spool.save_sent(sent)
        self.offset = sent["offset"]
        return count

    def _with_run(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Find or make the run."""
        run = self.spool.run
        if reason := unreachable(run["tracking_uri"]):
            raise StoreAway(reason)
        if self.client is None:
            if run["tracking_uri"].startswith("sqlite:///"):
                Path(run["tracking_uri"].removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            self.client = mlflow.MlflowClient(run["tracking_uri"])
        if sent["run_id"] is None:
            experiment_id = self._experiment(run["experiment"])
            found = self.find(experiment_id, run["key"])
            if found is None:
                tags = {KEY_TAG: run["key"]}
                found = self.client.create_run(experiment_id, run["started"], tags, run["run_name"]).info.run_id
            sent |= {"run_id": found, "experiment_id": experiment_id}
            self.spool.save_sent(sent)
        id_file = Path(run["run_id_file"])
        if id_file.is_file() and id_file.read_text().strip() == unsent_id(run["key"]):
            write_atomically(id_file, sent["run_id"] + "\n")
        return sent

    def _experiment(self, name: str) -> str:
        for _ in range(2):
            experiment = self.client.get_experiment_by_name(name)
            if experiment is not None and experiment.lifecycle_stage == "active":
                return experiment.experiment_id
            if experiment is not None:
                uri, number = self.spool.run["tracking_uri"], experiment.experiment_id
                raise StoreAway(
                    f"experiment '{name}' is deleted there; "
                    f"MLFLOW_TRACKING_URI={without_secrets(uri)} mlflow experiments restore -x {number} brings it back"
                )
            try:
                return self.client.create_experiment(name, artifact_location=self.spool.run["artifacts"])
            except MlflowException as error:  # another training was quicker: look it up
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
        raise StoreAway(f"experiment '{name}' could neither be found nor made")

    def find(self, experiment_id: str, key: str) -> str | None:
        """Id of the run with this key, or None."""
        runs = self.client.search_runs([experiment_id], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
        return runs[0].info.run_id if runs else None

    def _points(self, record: dict[str, Any], sent: dict[str, Any]) -> list[Metric]:
        points = []
        for name, value in record["values"].items():
            if record["step"] > sent["skip_until"].get(name, -1):
                points.append(Metric(_name(name), value, record["time"], record["step"]))
                sent["last_steps"][name] = max(record["step"], sent["last_steps"].get(name, -1))
        return points

    def _send_metrics(self, metrics: list[Metric], sent: dict[str, Any]) -> None:
        for start in range(0, len(metrics), MAX_METRICS_PER_BATCH):
            batch = metrics[start : start + MAX_METRICS_PER_BATCH]
            try:
                self.client.log_batch(sent["run_id"], metrics=batch)
            except MlflowException as error:
                self._raise_if_passing(error, sent)
                for metric in batch:
                    record = {"kind": "metrics", "step": metric.step, "time": metric.timestamp}
                    self._guarded({**record, "values": {metric.key: metric.value}}, sent)
        if metrics:
            self.spool.save_sent(sent)

    def _guarded(self, record: dict[str, Any], sent: dict[str, Any]) -> None:
        """Send one record; set it aside if the store answers but will not take it."""
        try:
            getattr(self, f"_send_{record['kind']}_record")(record, sent)
        except Exception as error:
            if "file" in record:
                # Artifacts live elsewhere, behind libraries that each have their own errors: a few tries, then the
                # rest goes on.
                self._tries[record["file"]] += 1
                self.client.get_run(sent["run_id"])  # raises where it is the store itself that is away
                if self._tries[record["file"]] < _ARTIFACT_TRIES:
                    raise StoreAway(f"artifact {record['file']}: {_words(error)}") from error
            elif isinstance(error, MlflowException):
                self._raise_if_passing(error, sent)
            else:
                raise
            self.spool.quarantine(record, _words(error))
            logger.warning("MLflow would not take a record, set aside in %s: %s", self.spool.folder, _words(error))

    def _raise_if_passing(self, error: MlflowException, sent: dict[str, Any]) -> None:
        if error.error_code in _PASSING:
            raise error
        try:
            gone = self.client.get_run(sent["run_id"]).info.lifecycle_stage != "active"
        except MlflowException as second:
            if second.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            gone = True
        if gone:
            raise RunGone(f"run {sent['run_id']} was deleted in the store") from error

    def _send_metrics_record(self, record: dict[str, Any], sent: dict[str, Any]) -> None:
        points = [Metric(_name(k), v, record["time"], record["step"]) for k, v in record["values"].items()]
        self.client.log_batch(sent["run_id"], metrics=points)

    def _send_params_record(self, record: dict[str, Any], sent: dict[str, Any]) -> None:
        """Parameters cannot change in MLflow: what a resumed run has otherwise is told in a tag."""
        known = self.client.get_run(sent["run_id"]).data.params
        values = {_name(name): _cut(value, MAX_PARAM_VAL_LENGTH) for name, value in record["values"].items()}
        new = [Param(name, value) for name, value in values.items() if name not in known]
        for start in range(0, len(new), MAX_PARAMS_TAGS_PER_BATCH):
            self.client.log_batch(sent["run_id"], params=new[start : start + MAX_PARAMS_TAGS_PER_BATCH])
        changed = [f"{name}: {known[name]} -> {value}" for name, value in values.items() if known.get(name, value) != value]
        if changed:
            logger.warning("MLflow: settings changed on resuming, kept in the tag 'params_changed': %s", "; ".join(changed))
            self._send_tags_record({"values": {"params_changed": "; ".join(changed)}}, sent)

    def _send_tags_record(self, record: dict[str, Any], sent: dict[str, Any]) -> None:
        tags = dict(record["values"])
        training = tags.get("parent_run")
        if training and training.startswith(unsent_id("")):
            training = self.find(sent["experiment_id"], training.removeprefix(unsent_id(""))) or training
            tags["parent_run"] = training
        if training and not training.startswith(unsent_id("")):
            tags["mlflow.parentRunId"] = training
        for start in range(0, len(tags), MAX_PARAMS_TAGS_PER_BATCH):
            some = list(tags.items())[start : start + MAX_PARAMS_TAGS_PER_BATCH]
            batch = [RunTag(_name(name), _cut(value, MAX_TAG_VAL_LENGTH)) for name, value in some]
            self.client.log_batch(sent["run_id"], tags=batch)

    def _send_dataset_record(self, record: dict[str, Any], sent: dict[str, Any]) -> None:
        dataset = Dataset(
            name=record["name"],
            digest=record["sha256"][:MAX_DATASET_DIGEST_SIZE],
            source_type="local",
            source=json.dumps({"uri": record["path"]}),
            profile=json.dumps({**record["sizes"], "sha256": record["sha256"]}),
        )
        context = InputTag("mlflow.data.context", record["context"])
        self.client.log_inputs(sent["run_id"], datasets=[DatasetInput(dataset, tags=[context])])

    def _send_artifact_record(self, record: dict[str, Any], sent: dict[str, Any]) -> None:
        self.client.log_artifact(sent["run_id"], str(self.spool.folder / record["file"]), record["folder"] or None)

    def _send_model_record(self, record: dict[str, Any], sent: dict[str, Any]) -> None:
        log_model(self.client, sent["run_id"], self.spool.folder / record["file"], record["tags"], record["step"])

    def _send_status_record(self, record: dict[str, Any], sent: dict[str, Any]) -> None:
        self.client.set_terminated(sent["run_id"], record["status"], record["time"])

    def _send_resume_record(self, record: dict[str, Any], sent: dict[str, Any]) -> None:
        """From here on, a metric counts only past its last step: the steps since the checkpoint are run a second
        time.
        """
        self.client.update_run(sent["run_id"], status="RUNNING")
        sent["skip_until"] = dict(sent["last_steps"])

    def _drop_copy(self, record: dict[str, Any]) -> None:
        refused = self.spool.folder / "refused.jsonl"
        if not (refused.is_file() and json.dumps(record["file"]) in refused.read_text()):
            shutil.rmtree((self.spool.folder / record["file"]).parent, ignore_errors=True)


def unsent_id(key: str) -> str:
    """What stands for a run's id until the store has given it one."""
    return f"unsent-{key}"


def unreachable(tracking_uri: str) -> str | None:
    """Why a tracking server does not answer, found within four seconds; None where it does, or is not a server."""
    if not tracking_uri.startswith(("http://", "https://")):
        return None
    try:
        status = requests.get(f"{tracking_uri.rstrip('/')}/health", timeout=(1.5, 2), stream=True).status_code
    except requests.exceptions.SSLError:
        return None  # somebody is there; MLflow has its own settings for certificates
    except requests.RequestException as error:
        return _words(error)
    return f"its gateway says {status}" if status in (502, 503, 504) else None


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return str(without_secrets(f"{type(error).__name__}: {text if len(text) < 300 else text[:297] + '...'}"))


def _name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_-./ :" else "_" for c in name)[:MAX_ENTITY_KEY_LENGTH]


def _cut(value: Any, length: int) -> str:
    text = str(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def send_folder(folder: Path) -> list[str]:
    """Send all runs in `folder` whose process has ended; a run whose process was killed is marked KILLED.

    Returns:
        what is left, in words; empty when the store has everything.
    """
    left = []
    spools = Spool.all_under(folder)
    if not spools:
        return [f"{folder} holds no tracked run (looked for run.json, */run.json and mlflow_spool/*/run.json)"]
    for spool in spools:
        if spool.is_abandoned():
            spool.acquire()
            spool.end("KILLED")
        elif spool.status not in ENDED:
            owner = spool.owner
            state = "still runs" if is_alive(owner) else "runs, or has died, on another host: send it from there"
            left.append(f"{spool.folder}: process {owner['pid']} on {owner['host']} {state}")
            continue
        spool.retry_refused()
        try:
            count = Sender(spool).send()
            logger.info("%s: sent %d records to %s", spool.folder, count, without_secrets(spool.run["tracking_uri"]))
            spool.cleanup()
        except (StoreAway, RunGone) as error:
            left.append(f"{spool.folder}: {spool.waiting()} records wait for {spool.run['tracking_uri']}: {error}")
    return [str(without_secrets(line)) for line in left]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.tracking.sender", description=send_folder.__doc__)
    parser.add_argument("folder", type=Path, help="an output folder, its mlflow_spool, or one run's folder in it")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    left = send_folder(parser.parse_args().folder)
    for line in left:
        logger.warning("%s", line)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
