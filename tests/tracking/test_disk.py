"""MLflow runs on a disk that is full for a while."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from scripts.tracking.spool import Spool

ROOT = Path(__file__).resolve().parents[2]
# A small disk of its own, in a namespace of its own, which ends with the process.
ON_SMALL_DISK = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=4m none "$0" && exec "$@"')
FILL = """
import sys
from pathlib import Path

disk = Path(sys.argv[1])
ballast = disk / "ballast"

def fill():
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(64))
        except OSError as error:
            print("full:", error.strerror)
"""
TRAINING = """
import logging, time
import torch
from ignite.engine import Engine, Events
from matplotlib.figure import Figure
from scripts.tracking.recorder import MLflowTracker

def fill_and_free(engine):
    if engine.state.iteration == 50:
        fill()
        tracker.log_figure("while_full", Figure())
        tracker.log_tags({"while": "full"})
    if engine.state.iteration == 150:
        ballast.unlink()
        tracker.log_figure("after", Figure())
    time.sleep(0.02)

logging.basicConfig(level=logging.INFO)
trainer = Engine(lambda engine, batch: {"loss": 1.0 / engine.state.iteration})
tracker = MLflowTracker("e", disk / "out", tracking_uri=sys.argv[2], params={"lr": 0.1}, wait=120)
tracker.attach(trainer, "train")
trainer.add_event_handler(Events.ITERATION_COMPLETED, fill_and_free)
trainer.run([torch.zeros(4, 2)] * 200)
"""
SENDING = """
from scripts.tracking.sender import Sender, StoreAway
from scripts.tracking.spool import Spool

(spool,) = Spool.all_under(Path(sys.argv[2]))
sender = Sender(spool)
sender.send()
fill()
spool.append_all([{"kind": "metrics", "step": s, "time": s, "values": {"a": 0.1 * s}} for s in range(3000)])
try:
    sender.send()
except StoreAway as error:
    print("StoreAway", error)
ballast.unlink()
sender.send()
print("arrived:", len(sender.client.get_metric_history(spool.sent()["run_id"], "a")))
"""


def spool_in(tmp_path, uri="sqlite:///unused.db"):
    run = {"tracking_uri": uri, "artifacts": (tmp_path / "mlartifacts").as_uri(), "experiment": "e", "run_name": "r"}
    return Spool.create(tmp_path / "mlflow_spool", {**run, "run_id_file": str(tmp_path / "mlflow_run_id")})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_records_are_kept_until_there_is_room(tmp_path, caplog):
    spool = spool_in(tmp_path)
    spool.records.symlink_to("/dev/full")
    for step in range(3):
        spool.append("metrics", step=step, time=1, values={"a": 1.0})
    assert caplog.text.count("records stay in memory until there is room") == 1 and "No space left" in caplog.text
    os.close(spool._file)
    spool._file = None
    spool.records.unlink()
    spool.append("metrics", step=3, time=1, values={"a": 1.0})
    assert [record["step"] for record, _ in spool.read(0)] == [0, 1, 2, 3]


def test_a_line_torn_by_the_full_disk_is_completed(tmp_path, monkeypatch):
    spool, write, room = spool_in(tmp_path), os.write, [30]

    def small_disk(file, data):
        if not room[0]:
            raise OSError(28, "No space left on device")
        count = write(file, data[: room[0]])
        room[0] -= count
        return count

    monkeypatch.setattr("scripts.tracking.spool.os.write", small_disk)
    spool.append("metrics", step=0, time=1, values={"a": 1.0})
    assert len(spool.records.read_bytes()) == 30 and spool.waiting() == 0
    room[0] = 10**6
    spool.append("metrics", step=1, time=2, values={"a": 2.0})
    assert [json.loads(line)["step"] for line in spool.records.read_text().splitlines()] == [0, 1]


def test_another_fault_of_the_disk_is_not_swallowed(tmp_path, monkeypatch):
    spool = spool_in(tmp_path)

    def broken(file, data):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("scripts.tracking.spool.os.write", broken)
    with pytest.raises(OSError, match="Input/output"):
        spool.append("tags", values={})


def on_small_disk(tmp_path, script, *arguments):
    """Run a script whose first argument is the folder of a disk of 4 MiB; what it printed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run([*ON_SMALL_DISK, disk, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a disk of one's own needs mount namespaces, which this machine refuses")
    command = [*ON_SMALL_DISK, disk, sys.executable, "-c", FILL + script, disk, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_training_goes_on_while_the_disk_is_full(tmp_path):
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.search_experiments()  # makes the tables
    printed = on_small_disk(tmp_path, TRAINING, client.tracking_uri)
    assert "full: No space left" in printed and "figures/while_full.png is not logged" in printed
    (run,) = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    assert run.info.status == "FINISHED" and run.data.tags["while"] == "full"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "train/loss")] == list(range(1, 201))
    assert [file.path for file in client.list_artifacts(run.info.run_id, "figures")] == ["figures/after.png"]


@pytest.mark.slow
def test_records_wait_while_the_stores_own_disk_is_full(tmp_path):
    spool_in(tmp_path, f"sqlite:///{tmp_path}/disk/mlflow.db")
    printed = on_small_disk(tmp_path, SENDING, tmp_path)
    assert "full: No space left" in printed and "StoreAway" in printed and "arrived: 3000" in printed
    assert not list(tmp_path.glob("mlflow_spool/*/refused.jsonl"))
