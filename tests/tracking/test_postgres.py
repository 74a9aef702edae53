"""MLflow runs in PostgreSQL, as a team keeps them, on a cluster made for these tests."""

import logging
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import pytest
import requests
import torch
import yaml
from ignite.engine import Engine, Events

from scripts.tracking.models import find_runs, register_model
from scripts.tracking.recorder import MLflowTracker
from scripts.tracking.registered import checkpoint_file
from scripts.tracking.sender import send_folder

pytestmark = pytest.mark.slow
TEAM = yaml.safe_load((Path(__file__).resolve().parents[2] / "mlflow" / "compose.yaml").read_text())


class Cluster:
    """A PostgreSQL cluster in a folder, reached through a socket there and nowhere else."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        # PostgreSQL refuses to run as root; Debian's package brings an account.
        self.account = "postgres" if os.geteuid() == 0 else None
        if self.account:
            owner = pwd.getpwnam(self.account)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._call("initdb", "--username", "mlflow", "--auth", "trust", "--no-sync", "--encoding", "UTF8", "--locale", "C.UTF-8")
        self.uri = f"postgresql+psycopg2://mlflow@/postgres?host={folder}"

    def start(self) -> None:
        options = f"-c listen_addresses='' -c fsync=off -k {self.folder}"
        self._call("pg_ctl", "start", "--wait", "--log", str(self.folder / "log"), "--options", options)

    def stop(self) -> None:
        self._call("pg_ctl", "stop", "--wait", "--mode", "immediate")

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "--pgdata", str(self.folder / "data"), *arguments]
        # Not a pipe: the server would hold it open.
        with open(self.folder / "output", "a+", encoding="utf-8") as output:
            done = subprocess.run(
                command, user=self.account, cwd=self.folder, stdout=output, stderr=output, timeout=120, check=False
            )
            output.seek(0)
            assert done.returncode == 0, output.read()[-2000:]


def programs() -> Path | None:
    """Folder of initdb and pg_ctl; Debian keeps them out of the PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").is_file()), None)


@pytest.fixture(scope="module")
def cluster():
    folder = programs()
    if folder is None:
        message = "PostgreSQL is not installed (initdb, pg_ctl): apt-get install postgresql"
        assert os.environ.get("CI") != "1", message
        pytest.skip(message)
    pytest.importorskip("psycopg2", reason="pip install -r requirements-dev.txt brings psycopg2-binary")
    with tempfile.TemporaryDirectory(prefix="cluster-", dir="/tmp") as place:  # a socket's path has 107 characters at most
        cluster = Cluster(Path(place), folder)
        cluster.start()
        mlflow.MlflowClient(cluster.uri).search_experiments()  # makes the tables
        yield cluster
        if (Path(place) / "data" / "postmaster.pid").exists():
            cluster.stop()


@pytest.fixture
def client(cluster, tmp_path):
    """The store, with an experiment whose artifacts stand in the test's folder, as an object store would hold them."""
    client = mlflow.MlflowClient(cluster.uri)
    client.create_experiment(tmp_path.name, artifact_location=tmp_path.as_uri())
    return client


def train(client, output_dir, iterations=100, on_iteration=None, wait=60.0):
    tracker = MLflowTracker(
        output_dir.parent.name, output_dir, run_name=output_dir.name, tracking_uri=client.tracking_uri, wait=wait,
        params={"lr": 0.1}, tags={"bundle": "small"},
    )  # fmt: skip

    def step(engine, batch):
        return {"loss": 1.0 / engine.state.iteration, "nan": float("nan")}

    trainer = Engine(step)
    tracker.attach(trainer, "train")
    if on_iteration is not None:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, on_iteration)
    saved = {"iteration": iterations, "network": {"w": torch.tensor([hash(output_dir.name)])}}
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: torch.save(saved, output_dir / "checkpoint_best.pt"))
    trainer.run([torch.zeros(4, 2)] * iterations)
    return tracker


def steps(client, run_id):
    return [point.step for point in client.get_metric_history(run_id, "train/loss")]


def test_run_and_model_in_postgresql(client, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    tracker = train(client, tmp_path / "one")
    tracker.close()
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED" and run.data.params["lr"] == "0.1" and run.data.tags["bundle"] == "small"
    assert steps(client, tracker.run_id) == list(range(1, 101))
    best = tmp_path / "one" / "checkpoint_best.pt"
    assert [(found.info.run_id, name) for found, name in find_runs(client, best)] == [(tracker.run_id, "checkpoint_best")]
    register_model(client, tracker.run_id, tmp_path.name, "champion")
    fetched = checkpoint_file(f"models:/{tmp_path.name}@champion", client.tracking_uri)
    assert Path(fetched).read_bytes() == best.read_bytes()


def test_two_trainings_at_once(client, tmp_path):
    one = MLflowTracker(tmp_path.name, tmp_path / "one", tracking_uri=client.tracking_uri, params={}, wait=60)
    one.attach(engine := Engine(lambda engine, batch: {"loss": 1.0}), "train")
    # The second training runs whole within the first.
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=50), lambda: train(client, tmp_path / "two").close())
    engine.run([torch.zeros(4, 2)] * 100)
    one.close()
    runs = client.search_runs([client.get_experiment_by_name(tmp_path.name).experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert [steps(client, run.info.run_id) for run in runs] == [list(range(1, 101))] * 2


def test_cluster_stopped_in_the_middle_and_started_again(cluster, client, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    slowest, last = [0.0], [time.monotonic()]

    def on_iteration(engine):
        slowest[0] = max(slowest[0], time.monotonic() - last[0])
        if engine.state.iteration == 100:
            cluster.stop()
        if 100 < engine.state.iteration < 300:
            time.sleep(0.01)
        if engine.state.iteration == 300:
            cluster.start()
        last[0] = time.monotonic()

    tracker = train(client, tmp_path / "middle", 500, on_iteration, wait=90)
    tracker.close()
    assert "cannot be written to" in caplog.text and "answers again" in caplog.text
    assert client.get_run(tracker.run_id).info.status == "FINISHED" and steps(client, tracker.run_id) == list(range(1, 501))
    assert not list(tmp_path.glob("middle/mlflow_spool/*/records.jsonl"))
    assert slowest[0] < 5  # no iteration waited for the store; loose, because the machine may be busy


def filled(text, values):
    """Text of the compose file as Compose fills it."""
    return re.sub(r"\$\{(\w+)(?::[?-])?\}", lambda match: values[match[1]], text)


@pytest.fixture
def team(cluster, tmp_path):
    """The team's server as mlflow/compose.yaml starts it, on this cluster, with a folder in place of the object store."""
    pytest.importorskip("flask_wtf", reason="pip install -r requirements-dev.txt brings Flask-WTF")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    values = {"DATABASE_PASSWORD": "none", "ADMIN_PASSWORD": "secretsecret", "SESSION_KEY": "k", "ENDPOINT": "", "BUCKET": "b"}
    values |= {"ACCESS_KEY": "a", "SECRET_KEY": "s", "HOST_NAME": f"127.0.0.1:{port}"}
    database = "postgresql+psycopg2://mlflow:none@database/mlflow"

    def here(text):
        return filled(text, values).replace(database, cluster.uri).replace("s3://b", str(tmp_path / "store"))

    service, config = TEAM["services"]["mlflow"], tmp_path / "auth.ini"
    config.write_text(here(TEAM["configs"]["auth"]["content"]))
    environment = {name: here(value) for name, value in service["environment"].items()}
    environment = {**os.environ, **environment, "MLFLOW_AUTH_CONFIG_PATH": str(config)}
    command = [here(word).replace("--port=5000", f"--port={port}") for word in service["command"]]
    assert cluster.uri in command[5] and str(tmp_path) in command[6]
    with open(tmp_path / "server.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command, "--workers=1"], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    uri, until = f"http://127.0.0.1:{port}", time.monotonic() + 300
    try:
        while not _answers(uri):
            assert server.poll() is None and time.monotonic() < until, (tmp_path / "server.log").read_text()[-3000:]
            time.sleep(0.3)
        yield uri
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(uri):
    try:
        return requests.get(f"{uri}/health", timeout=1).ok
    except requests.RequestException:
        return False


def test_the_teams_server_takes_runs_and_models_from_members_only(team, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert requests.get(f"{team}/api/2.0/mlflow/experiments/search?max_results=1", timeout=30).status_code == 401
    client = mlflow.MlflowClient(team)
    tracker = train(client, tmp_path / "out", wait=0.5)  # nobody has logged in: the records wait
    tracker.close()
    assert tracker.run_id.startswith("unsent-") and "cannot be written to" in caplog.text

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secretsecret")
    assert send_folder(tmp_path / "out") == []
    run_id = (tmp_path / "out" / "mlflow_run_id").read_text().strip()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED" and steps(client, run_id) == list(range(1, 101))
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    name = f"team_{tmp_path.name}"
    register_model(client, run_id, name, "champion")
    fetched = checkpoint_file(f"models:/{name}@champion", team)
    assert Path(fetched).read_bytes() == (tmp_path / "out" / "checkpoint_best.pt").read_bytes()
    assert list((tmp_path / "store").rglob("checkpoint_best.pt"))


def test_the_teams_secrets_stand_in_no_file_of_the_project():
    text = (Path(__file__).resolve().parents[2] / "mlflow" / "compose.yaml").read_text()
    secrets = re.findall(r"^\s*(\w*(?:PASSWORD|SECRET|KEY)\w*): (.*)$", text, re.MULTILINE)
    assert len(secrets) == 5 and all(re.fullmatch(r"\$\{\w+:\?\}", value) for _, value in secrets), secrets
    assert all(port.startswith("127.0.0.1:") for service in TEAM["services"].values() for port in service.get("ports", []))
