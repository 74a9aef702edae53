"""MLflow runs on SQLite: what is recorded, how runs end, how they continue."""

import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib
import mlflow
import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events

from scripts.tracking.recorder import MLflowTracker
from scripts.tracking.sender import Sender, send_folder
from scripts.tracking.spool import Spool

matplotlib.use("agg")


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """A database with MLflow's tables, copied by tests because making the tables takes seconds."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(empty_database, tmp_path):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture(autouse=True)
def no_tracker_left_open(monkeypatch):
    """A thread that still sends for an earlier test may hold locks when a later one forks, and its child would wait forever."""
    started = []
    start = MLflowTracker.start
    monkeypatch.setattr(MLflowTracker, "start", lambda self: started.append(self) or start(self))
    yield
    for tracker in started:
        tracker.close()


def make_trainer(seconds=0.0):
    def step(engine, batch):
        time.sleep(seconds)
        return {"loss": torch.tensor(1.0 / engine.state.iteration), "loss_report": 2.0, "image_embeddings": batch}

    return Engine(step)


def train(tracker, iterations=10, epochs=1, seconds=0.0, start=0, die_at=None, error=None, on_error=None):
    """Run a tracked training of `iterations` an epoch; from `start` as a resumed one; `error` is raised at `die_at`."""
    trainer = make_trainer(seconds)
    tracker.attach(trainer, "train")
    if start:
        trainer.add_event_handler(Events.STARTED, lambda: setattr(trainer.state, "iteration", start))
    if on_error:
        trainer.add_event_handler(Events.EXCEPTION_RAISED, on_error)
    if die_at:

        @trainer.on(Events.ITERATION_COMPLETED(once=die_at))
        def die():
            raise error

    trainer.run([torch.zeros(4, 2)] * iterations, max_epochs=epochs)
    return trainer


def history(uri, run_id, name):
    return [(point.step, point.value) for point in mlflow.MlflowClient(uri).get_metric_history(run_id, name)]


def runs(uri, experiment="e"):
    client = mlflow.MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], order_by=["start_time"]) if found else []


def artifacts(uri, run_id, folder):
    return sorted(Path(item.path).name for item in mlflow.MlflowClient(uri).list_artifacts(run_id, folder))


def test_run_records_what_it_was_made_of(uri, tmp_path):
    datalist = tmp_path / "datalist.json"
    datalist.write_text(json.dumps({"name": "films", "task": "cxr", "training": [{}] * 3, "validation": [{}]}))
    tracker = MLflowTracker(
        "e", tmp_path / "out", run_name="first", tracking_uri=uri, datalist=datalist, seed=7,
        params={"a": {"b": [1, 2]}, "text": "x" * 7000, "store": "https://me:pw@host/x", "hub_token": "t0p"},
        tags={"bundle": "cxr_localization", "version": "0.1.0"},
    )  # fmt: skip
    train(tracker, iterations=12)
    (run,) = runs(uri)
    assert run.info.status == "FINISHED" and run.info.run_name == "first"
    assert (tmp_path / "out" / "mlflow_run_id").read_text().strip() == run.info.run_id == tracker.run_id
    params = run.data.params
    assert params["a.b"] == "[1, 2]" and params["seed"] == "7" and len(params["text"]) == 6000
    assert params["store"] == "https://***@host/x" and params["hub_token"] == "***"
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "films" and json.loads(data.dataset.profile)["training"] == 3
    assert params["datalist.sha256"] == subprocess.check_output(["sha256sum", datalist], text=True).split()[0]
    tags = run.data.tags
    assert tags["bundle"] == "cxr_localization" and tags["version.torch"] == torch.__version__ and tags["epochs"] == "1 of 1"
    assert tags["process.pid"] == str(os.getpid()) and sys.argv[0] in tags["command_line"]
    assert tags["datalist"] == "films" and run.data.metrics["train/memory_mib"] > 10
    said = "Training of cxr_localization 0.1.0 on films (training 3, validation 1), seed 7."
    assert tags["mlflow.note.content"] == said
    assert [step for step, _ in history(uri, run.info.run_id, "train/loss")] == list(range(1, 13))
    assert history(uri, run.info.run_id, "train/loss")[3][1] == pytest.approx(0.25)
    assert "train/image_embeddings" not in run.data.metrics and run.data.metrics["train/samples_per_second"] > 0
    config = mlflow.MlflowClient(uri).download_artifacts(run.info.run_id, "config/config.yaml", str(tmp_path))
    assert "x" * 7000 in Path(config).read_text() and "t0p" not in Path(config).read_text()


def test_figures_images_tables_and_files_arrive_and_leave_no_copies(uri, tmp_path):
    import matplotlib.pyplot as plt

    table = tmp_path / "slices.csv"
    table.write_text("slice,cnr\nseen,1.5\n")
    tracker = MLflowTracker("e", tmp_path / "out", tracking_uri=uri, params={})
    tracker.start()
    figure, axes = plt.subplots()
    axes.plot([0, 1])
    tracker.log_figure("cnr", figure, step=5)
    plt.close(figure)
    tracker.log_table(table)
    table.write_text("changed after it was logged")
    tracker.log_dict({"pneumonia": {"cnr": 1.5}}, "results/by_finding.yaml")
    tracker.log_metrics({"test": {"cnr": 1.25}, "ci": np.float64(0.5)}, step=3)
    tracker.finish()
    run_id = tracker.run_id
    tracker.log_metrics({"test/late": 1.0})
    tracker.close()
    assert artifacts(uri, run_id, "figures") == ["cnr_00000005.png"]
    assert artifacts(uri, run_id, "results") == ["by_finding.yaml"]
    saved = mlflow.MlflowClient(uri).download_artifacts(run_id, "tables/slices.csv", str(tmp_path / "out"))
    assert "seen,1.5" in Path(saved).read_text()
    assert history(uri, run_id, "test/cnr") == [(3, 1.25)] and history(uri, run_id, "ci") == [(3, 0.5)]
    assert history(uri, run_id, "test/late") == [(0, 1.0)]
    (folder,) = (tmp_path / "out" / "mlflow_spool").iterdir()
    assert {path.name for path in folder.iterdir()} <= {"run.json", "owner.json", "sent.json", "sending.lock"}


def test_validation_logs_into_the_training_at_its_step(uri, tmp_path):
    tracker = MLflowTracker("e", tmp_path / "out", tracking_uri=uri, params={})
    trainer, validator = make_trainer(), Engine(lambda engine, batch: {"loss": 9.0})
    tracker.attach(validator)  # as in a bundle, where the evaluator is built first
    tracker.attach(trainer, "train")
    tracker.attach(trainer, "train")  # twice is as once

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate():
        validator.run([0, 1])

    @validator.on(Events.COMPLETED)
    def note():
        assert len(runs(uri)) == 1

    validator.add_event_handler(Events.ITERATION_COMPLETED, lambda: validator.state.metrics.update(auc=0.5, detail="x"))
    trainer.run([torch.zeros(4, 2)] * 5, max_epochs=2)
    (run,) = runs(uri)
    assert history(uri, run.info.run_id, "val/auc") == [(5, 0.5), (10, 0.5)]
    assert history(uri, run.info.run_id, "train/epoch") == [(5, 1.0), (10, 2.0)]
    assert len(history(uri, run.info.run_id, "train/loss")) == 10


def test_evaluation_is_a_run_of_its_own_under_its_training(uri, tmp_path):
    train(MLflowTracker("e", tmp_path / "training", tracking_uri=uri, params={}))
    tracker = MLflowTracker("e", tmp_path / "eval", tracking_uri=uri, params={}, parent_run=tmp_path / "training")
    evaluator = Engine(lambda engine, batch: engine.state.metrics.update(cnr=1.5))
    tracker.attach(evaluator)
    evaluator.run([0])
    training, evaluation = runs(uri)
    assert evaluation.info.run_id == (tmp_path / "eval" / "mlflow_evaluation_run_id").read_text().strip()
    assert evaluation.data.metrics["test/cnr"] == 1.5 and evaluation.data.tags["kind"] == "evaluation"
    assert evaluation.data.tags["parent_run"] == evaluation.data.tags["mlflow.parentRunId"] == training.info.run_id


def _raise_again(engine, error):
    """As MONAI's StatsHandler does; handlers after it are not called."""
    raise error


@pytest.mark.parametrize(("error", "status"), [(ValueError("bad film c17"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
@pytest.mark.parametrize("on_error", [None, _raise_again])
def test_a_run_that_dies_says_how(uri, tmp_path, error, status, on_error):
    tracker = MLflowTracker("e", tmp_path / "out", tracking_uri=uri, params={})
    with pytest.raises(type(error)):
        train(tracker, die_at=4, error=error, on_error=on_error)
    (run,) = runs(uri)
    assert run.info.status == status and run.data.tags["error"].startswith(type(error).__name__)
    text = mlflow.MlflowClient(uri).download_artifacts(run.info.run_id, "error.txt", str(tmp_path))
    assert "Traceback" in Path(text).read_text() and str(error) in Path(text).read_text()
    assert len(history(uri, run.info.run_id, "train/loss")) >= 3


def test_failure_outside_the_engine_ends_the_run_as_failed(uri, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: shown.append(error))
    previous = sys.excepthook
    tracker = MLflowTracker("e", tmp_path / "out", tracking_uri=uri, params={})
    train(tracker)
    assert [run.info.status for run in runs(uri)] == ["FINISHED"]
    error = RuntimeError("no such checkpoint")
    sys.excepthook(RuntimeError, error, None)  # what Python does with an exception that nobody caught
    tracker.close()
    (run,) = runs(uri)
    assert run.info.status == "FAILED" and run.data.tags["error"] == "RuntimeError: no such checkpoint"
    assert shown == [error] and sys.excepthook is previous


def test_program_that_ends_before_its_engine_was_killed(uri, tmp_path):
    tracker = MLflowTracker("e", tmp_path / "out", tracking_uri=uri, params={})
    tracker.start()
    tracker.close()  # as atexit does
    (run,) = runs(uri)
    assert run.info.status == "KILLED" and "before its engine" in run.data.tags["error"]


def _train_in_child(uri, output_dir, iterations, seconds, resume=False):
    tracker = MLflowTracker("e", output_dir, run_name=Path(output_dir).name, tracking_uri=uri, params={}, resume=resume)
    train(tracker, iterations=iterations, seconds=seconds)


def _child(*arguments):
    process = multiprocessing.get_context("fork").Process(target=_train_in_child, args=arguments, daemon=True)
    process.start()
    return process


def _wait_until(condition, seconds=30.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def _logged_lines(output_dir):
    return sum(len(path.read_bytes().splitlines()) for path in Path(output_dir).glob("mlflow_spool/*/records.jsonl"))


def test_two_trainings_into_one_database_at_once(uri, tmp_path):
    children = [_child(uri, tmp_path / name, 400, 0.002) for name in ("one", "two")]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    found = runs(uri)
    assert [run.info.status for run in found] == ["FINISHED", "FINISHED"]
    for run in found:
        assert [step for step, _ in history(uri, run.info.run_id, "train/loss")] == list(range(1, 401))


def test_killed_runs_are_marked_and_never_continued_by_accident(uri, tmp_path):
    terminated, dead = _child(uri, tmp_path / "one", 10**6, 0.005), _child(uri, tmp_path / "two", 10**6, 0.005)
    for child, name in ((terminated, "one"), (dead, "two")):
        _wait_until(lambda child=child, name=name: _logged_lines(tmp_path / name) > 300)
        os.kill(child.pid, signal.SIGTERM if child is terminated else signal.SIGKILL)
        child.join(30)
    by_name = {run.info.run_name: run for run in runs(uri)}
    assert terminated.exitcode == 128 + signal.SIGTERM and by_name["one"].info.status == "KILLED"
    assert dead.exitcode == -signal.SIGKILL and by_name["two"].info.status == "RUNNING"

    logged = _logged_lines(tmp_path / "two")
    tracker = MLflowTracker("e", tmp_path / "two", run_name="again", tracking_uri=uri, params={})
    train(tracker)
    tracker.close()
    by_name = {run.info.run_name: run for run in runs(uri)}
    assert by_name["two"].info.status == "KILLED" and by_name["again"].info.status == "FINISHED"
    assert len(history(uri, by_name["again"].info.run_id, "train/loss")) == 10
    # Everything that stood in the killed run's file is in the store now.
    assert len(history(uri, by_name["two"].info.run_id, "train/loss")) > 0.9 * logged - 20


def test_resumed_run_continues_after_its_last_step(uri, tmp_path, caplog):
    settings = {"experiment": "e", "output_dir": tmp_path / "out", "tracking_uri": uri}
    first = MLflowTracker(**settings, params={"max_epochs": 1, "lr": 0.1})
    with pytest.raises(ValueError):
        train(first, iterations=20, die_at=8, error=ValueError("x"))
    second = MLflowTracker(**settings, params={"max_epochs": 2, "lr": 0.1}, resume=True)
    train(second, iterations=20, start=5)  # the checkpoint was made at step 5
    (run,) = runs(uri)
    assert run.info.run_id == first.run_id == second.run_id and run.info.status == "FINISHED"
    assert [step for step, _ in history(uri, run.info.run_id, "train/loss")] == list(range(1, 21))
    assert run.data.params["max_epochs"] == "1" and run.data.tags["params_changed"] == "max_epochs: 1 -> 2"
    assert len(artifacts(uri, run.info.run_id, "config")) == 2
    with caplog.at_level(logging.WARNING):
        train(MLflowTracker("e", tmp_path / "other", tracking_uri=uri, params={}, resume=True))
    assert "no run to resume" in caplog.text and len(runs(uri)) == 2


def test_run_of_a_live_process_is_not_resumed(uri, tmp_path):
    child = _child(uri, tmp_path / "out", 10**6, 0.005)
    _wait_until(lambda: _logged_lines(tmp_path / "out") > 20)
    with pytest.raises(RuntimeError, match="still writes it"):
        train(MLflowTracker("e", tmp_path / "out", tracking_uri=uri, params={}, resume=True))
    assert "still runs" in send_folder(tmp_path / "out")[0]
    os.kill(child.pid, signal.SIGKILL)
    child.join(30)
    assert send_folder(tmp_path / "out") == []
    assert [run.info.status for run in runs(uri)] == ["KILLED"]


def test_other_ranks_make_nothing(uri, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    tracker = MLflowTracker("e", tmp_path / "out", tracking_uri=uri, params={})
    trainer = train(tracker)
    tracker.log_metrics({"x": 1.0})
    tracker.log_dict({}, "x.yaml")
    assert trainer.state.iteration == 10 and tracker.run_id is None
    assert runs(uri) == [] and not (tmp_path / "out").exists()


def _spool(uri, tmp_path):
    run = {"tracking_uri": uri, "artifacts": (tmp_path / "mlartifacts").as_uri(), "experiment": "e", "run_name": "r"}
    return Spool.create(tmp_path / "mlflow_spool", {**run, "run_id_file": str(tmp_path / "mlflow_run_id")})


def test_sending_everything_again_changes_nothing(uri, tmp_path):
    spool = _spool(uri, tmp_path)
    points = [{"kind": "metrics", "step": s, "time": 1000 + s, "values": {"a": 0.1 * s, "b": float("nan")}} for s in range(1500)]
    spool.append_all(points)
    spool.append("params", values={"p": "1"})
    spool.append("dataset", name="d", path="/d.json", sha256="0" * 64, sizes={"training": 2}, context="training")
    path = spool.new_artifact_path("note.txt")
    path.write_text("hello")
    spool.add_file(path, "notes")
    spool.end("FINISHED")
    copy = shutil.copytree(spool.folder, tmp_path / "copy")
    assert Sender(spool).send() == 1504
    assert not path.exists() and Sender(spool).send() == 0
    (copy / "sent.json").write_text(json.dumps({}))  # the position and the run's id are lost
    assert Sender(Spool(copy)).send() == 1504
    (run,) = runs(uri)
    assert history(uri, run.info.run_id, "a") == [(s, 0.1 * s) for s in range(1500)]
    assert len(history(uri, run.info.run_id, "b")) == 1500 and len(run.inputs.dataset_inputs) == 1
    assert artifacts(uri, run.info.run_id, "notes") == ["note.txt"]


def test_a_record_that_the_store_refuses_does_not_hold_up_the_others(uri, tmp_path, caplog):
    spool = _spool(uri, tmp_path)
    spool.append("metrics", step=0, time=1, values={"good": 1.0, "": 2.0})
    spool.append("artifact", file="files/gone/x.txt", folder="")
    spool.append("metrics", step=1, time=2, values={"good": 3.0})
    sender = Sender(spool)
    for _ in range(2):
        with pytest.raises(Exception, match=r"x\.txt"):
            sender.send()
    sender.send()
    (run,) = runs(uri)
    assert history(uri, run.info.run_id, "good") == [(0, 1.0), (1, 3.0)]
    refused = [json.loads(line) for line in (spool.folder / "refused.jsonl").read_text().splitlines()]
    assert [record["kind"] for record in refused] == ["metrics", "artifact"] and "set aside" in caplog.text


def test_a_run_deleted_in_the_store_keeps_its_records_here(uri, tmp_path):
    spool = _spool(uri, tmp_path)
    spool.append("metrics", step=0, time=1, values={"a": 1.0})
    Sender(spool).send()
    mlflow.MlflowClient(uri).delete_run(spool.sent()["run_id"])
    spool.append("metrics", step=1, time=2, values={"a": 1.0})
    spool.end("FINISHED")
    (left,) = send_folder(tmp_path)
    assert "was deleted in the store" in left and spool.waiting() == 2


def test_a_torn_last_line_is_cut_off(uri, tmp_path):
    spool = _spool(uri, tmp_path)
    spool.append("metrics", step=0, time=1, values={"a": 1.0})
    with spool.records.open("a") as file:
        file.write('{"kind": "metr')
    assert spool.waiting() == 1
    again = Spool(spool.folder)
    again.acquire()
    again.append("metrics", step=1, time=2, values={"a": 2.0})
    assert [record["step"] for record, _ in again.read(0)] == [0, 1]
