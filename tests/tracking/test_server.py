"""MLflow runs on a server that is away for a while."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
import requests
import torch
from ignite.engine import Engine, Events

from scripts.tracking.recorder import MLflowTracker
from scripts.tracking.sender import send_folder


class Server:
    """A real `mlflow server` on loopback that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self, wait=True):
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"),
                *("--artifacts-destination", f"{self.folder}/mlartifacts"),
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        until = time.monotonic() + 90
        while wait and not self.answers():
            assert time.monotonic() < until, "mlflow server did not start"
            time.sleep(0.2)

    def answers(self):
        try:
            return requests.get(f"{self.uri}/health", timeout=1).ok
        except requests.RequestException:
            return False

    def stop(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


def run_on(server, name):
    client = mlflow.MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("e")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.mlflow.runName = '{name}'")
    return client, run


def train(tracker, iterations, seconds=0.0, on_iteration=None):
    def step(engine, batch):
        time.sleep(seconds)
        return {"loss": 1.0 / engine.state.iteration}

    trainer = Engine(step)
    tracker.attach(trainer, "train")
    if on_iteration is not None:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, on_iteration)
    trainer.run([torch.zeros(4, 2)] * iterations)


def steps(client, run, name="train/loss"):
    return [point.step for point in client.get_metric_history(run.info.run_id, name)]


@pytest.mark.slow
def test_server_away_at_the_start_then_back(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    tracker = MLflowTracker("e", tmp_path, run_name="early", tracking_uri=server.uri, params={"a": 1}, wait=0.5)
    began = time.monotonic()
    first = []
    train(tracker, 50, on_iteration=lambda: first or first.append(time.monotonic() - began))
    assert first[0] < 5 and "cannot be written to" in caplog.text and "ConnectionError" in caplog.text
    assert "scripts.tracking.sender" in caplog.text and tracker.run_id.startswith("unsent-")
    note = tmp_path / "note.txt"
    note.write_text("late")
    tracker.log_artifact(note)
    tracker.close()

    server.start()
    assert send_folder(tmp_path) == []
    client, run = run_on(server, "early")
    assert run.info.status == "FINISHED" and run.data.params["a"] == "1" and steps(client, run) == list(range(1, 51))
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["config", "note.txt"]
    assert (tmp_path / "mlflow_run_id").read_text().strip() == run.info.run_id
    # The run began and ended when it was trained, not when it was sent.
    assert run.info.end_time - run.info.start_time < 10_000


@pytest.mark.slow
def test_server_stopped_in_the_middle_and_started_again(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    if server.process is None:
        server.start()
    tracker = MLflowTracker("e", tmp_path, run_name="middle", tracking_uri=server.uri, params={}, wait=60)
    slowest, last = [0.0], [time.monotonic()]

    def on_iteration(engine):
        slowest[0] = max(slowest[0], time.monotonic() - last[0])
        if engine.state.iteration == 600:
            server.stop()
        if engine.state.iteration == 1200:
            assert "cannot be written to" in caplog.text
            server.start(wait=False)
        last[0] = time.monotonic()

    train(tracker, 1500, seconds=0.004, on_iteration=on_iteration)
    assert "answers again" in caplog.text and f"{server.uri}/#/experiments/" in caplog.text
    client, run = run_on(server, "middle")
    assert run.info.status == "FINISHED" and steps(client, run) == list(range(1, 1501))
    tracker.close()
    assert not list(tmp_path.glob("mlflow_spool/*/records.jsonl"))
    # No iteration waited for the network; loose, because the machine may be busy.
    assert slowest[0] < 5
