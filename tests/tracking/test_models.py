"""Models of finished trainings: logged, registered, fetched by name, found by their hash."""

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path

import mlflow
import pytest
import torch
from ignite.engine import Engine, Events

from scripts.files.errors import UserError
from scripts.tracking.models import find_runs, register_model
from scripts.tracking.recorder import MLflowTracker
from scripts.tracking.registered import checkpoint_file
from scripts.tracking.sender import Sender, StoreAway
from scripts.tracking.spool import Spool


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """A database with MLflow's tables, copied by tests because making the tables takes seconds."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def client(empty_database, tmp_path, monkeypatch):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


def save(path, iteration, weight):
    torch.save({"iteration": iteration, "network": {"w": torch.tensor([weight])}}, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)


def train(client, output_dir, best_epoch=2, weight=1.0, wait=60.0):
    """Three epochs of four iterations that leave checkpoints as `CheckpointHandler` does; the run's id."""
    output_dir.mkdir(parents=True, exist_ok=True)
    bundle = output_dir.parent / "bundle"
    (bundle / "configs").mkdir(parents=True, exist_ok=True)
    (bundle / "configs" / "inference.json").write_text("{}")
    recipe = {"bundle_root": str(bundle), "lr": 0.1, "hub_token": "t0p"}
    tags = {"bundle": "small", "version": "0.1.0"}
    tracker = MLflowTracker("e/1", output_dir, tracking_uri=client.tracking_uri, params=recipe, tags=tags, wait=wait)
    trainer, evaluator = Engine(lambda engine, batch: {"loss": 1.0}), Engine(lambda engine, batch: None)

    @evaluator.on(Events.EPOCH_COMPLETED)
    def measure():
        evaluator.state.metrics = {"auc": 0.5 + 0.1 * trainer.state.epoch}

    tracker.attach(trainer, "train")
    tracker.attach(evaluator)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        evaluator.run([0])
        (output_dir / "text_model").mkdir(exist_ok=True)
        (output_dir / "text_model" / "vocab.txt").write_text("lung")
        for name in ["last"] + ["best"] * (engine.state.epoch == best_epoch):
            save(output_dir / f"checkpoint_{name}.pt", engine.state.iteration, weight + engine.state.epoch)

    trainer.run([torch.zeros(4, 2)] * 4, max_epochs=3)
    run_id = tracker.run_id
    tracker.close()
    return run_id


def model_of(client, run_id):
    (output,) = client.get_run(run_id).outputs.model_outputs
    return client.get_logged_model(output.model_id)


def digest_of(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_finished_training_logs_its_bundle_folder(client, tmp_path):
    run_id = train(client, tmp_path / "out")
    run, model = client.get_run(run_id), model_of(client, run_id)
    assert model.status == "READY" and model.name == "e_1" and model.source_run_id == run_id
    assert model.tags["bundle"] == "small" and model.tags["checkpoint.sha256"] == digest_of(tmp_path / "out" / "checkpoint_best.pt")
    assert run.data.tags["checkpoint_last.sha256"] == digest_of(tmp_path / "out" / "checkpoint_last.pt")
    # The values are those of the best epoch, not of the last.
    assert [(metric.key, metric.value, metric.step) for metric in model.metrics] == [("val/auc", pytest.approx(0.7), 8)]
    assert len(client.get_metric_history(run_id, "val/auc")) == 3
    folder = Path(checkpoint_file(f"models:/{model.model_id}", client.tracking_uri)).parents[1]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    configs = {"configs/inference.json", "configs/trained.json"}
    assert files == {"MLmodel", *configs, "models/checkpoint_best.pt", "models/text_model/vocab.txt"}
    recipe = json.loads((folder / "configs" / "trained.json").read_text())
    assert recipe["lr"] == 0.1 and recipe["hub_token"] == "***"
    (spool,) = (tmp_path / "out" / "mlflow_spool").iterdir()
    assert not (spool / "files").exists() and (tmp_path / "out" / "checkpoint_best.pt").is_file()


def test_no_model_of_a_training_without_checkpoints_of_its_own(client, tmp_path, caplog):
    run_id = train(client, tmp_path / "out", best_epoch=0)  # no epoch was best
    assert model_of(client, run_id).tags["checkpoint"] == "models/checkpoint_last.pt"
    output_dir = tmp_path / "other"
    output_dir.mkdir()
    save(output_dir / "checkpoint_best.pt", 1, 0.0)
    os.utime(output_dir / "checkpoint_best.pt", (1, 1))  # an earlier run's
    run_id = train(client, output_dir, best_epoch=0)
    assert "checkpoint_best.sha256" not in client.get_run(run_id).data.tags
    tracker = MLflowTracker("e", tmp_path / "third", tracking_uri=client.tracking_uri, params={})
    trainer = Engine(lambda engine, batch: (tmp_path / "third" / "checkpoint_best.pt").write_text("x"))
    tracker.attach(trainer, "train")
    with caplog.at_level(logging.WARNING):
        trainer.run([0])
    assert not client.get_run(tracker.run_id).outputs.model_outputs and "is not logged" in caplog.text
    tracker.close()


def test_a_model_whose_sending_was_cut_off_is_sent_again_and_stays_one(client, tmp_path, monkeypatch):
    upload, calls = mlflow.MlflowClient.log_model_artifacts, []

    def cut_off(self, model_id, folder):
        calls.append(model_id)
        if len(calls) == 1:
            raise ConnectionError("artifacts are away")
        upload(self, model_id, folder)

    monkeypatch.setattr(mlflow.MlflowClient, "log_model_artifacts", cut_off)
    run_id = train(client, tmp_path / "out")
    assert len(calls) == 2 and calls[0] == calls[1] and model_of(client, run_id).status == "READY"


def test_a_model_waits_in_the_spool_with_its_own_content(client, tmp_path, monkeypatch):
    def away(self):
        raise StoreAway("away")

    output_dir = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Sender, "send", away)
        run_id = train(client, output_dir, wait=0.05)
    digest = digest_of(output_dir / "checkpoint_best.pt")
    assert run_id.startswith("unsent-")
    save(output_dir / "checkpoint_best.pt", 99, 5.0)  # another training goes on in the same folder
    (folder,) = (output_dir / "mlflow_spool").iterdir()
    spool = Spool(folder)
    Sender(spool).send()
    model = model_of(client, spool.sent()["run_id"])
    assert digest_of(checkpoint_file(f"models:/{model.model_id}", client.tracking_uri)) == digest == model.tags["checkpoint.sha256"]


def test_registered_under_an_alias_and_run_by_it(client, tmp_path):
    first, second = train(client, tmp_path / "one"), train(client, tmp_path / "two", weight=7.0)
    calibration = tmp_path / "calibration.pt"
    calibration.write_bytes(b"fitted")
    uri = client.tracking_uri
    version = register_model(client, first, "small", "champion", calibration)
    assert int(version.version) == 1
    assert register_model(client, first, "small").version == version.version
    best = checkpoint_file("models:/small@champion", uri)
    assert digest_of(best) == digest_of(tmp_path / "one" / "checkpoint_best.pt")
    assert Path(best).with_name("calibration.pt").read_bytes() == b"fitted"
    assert (Path(best).parent / "text_model" / "vocab.txt").read_text() == "lung"
    register_model(client, second, "small", "champion")
    assert digest_of(checkpoint_file("models:/small@champion", uri)) == digest_of(tmp_path / "two" / "checkpoint_best.pt")
    assert checkpoint_file("models:/small/1", uri) == best
    assert client.get_model_version_by_alias("small", "champion").run_id == second
    assert checkpoint_file(tmp_path / "own.pt") == str(tmp_path / "own.pt")
    shutil.rmtree(tmp_path / "mlartifacts")  # fetched once, and there without the store's copy
    assert checkpoint_file("models:/small/1", uri) == best


def test_what_cannot_be_registered_or_fetched_is_told_with_the_way_out(client, tmp_path):
    uri = client.tracking_uri
    with pytest.raises(UserError, match="no run abc in sqlite"):
        register_model(client, "abc", "small")
    experiment = client.create_experiment("bare", artifact_location=tmp_path.as_uri())
    bare = client.create_run(experiment).info.run_id
    with pytest.raises(UserError, match=r"no model: only trainings that have FINISHED do \(it is RUNNING\)"):
        register_model(client, bare, "small")
    for address in ("models:/small@champion", "models:/small/3", "models:/m-0123"):
        with pytest.raises(UserError, match="register-model"):
            checkpoint_file(address, uri)
    foreign = client.create_logged_model(experiment, "foreign").model_id
    with pytest.raises(UserError, match="not logged by a training of this project"):
        checkpoint_file(f"models:/{foreign}", uri)
    client.create_registered_model("other")
    client.create_model_version("other", "/srv/other")
    with pytest.raises(UserError, match="its files are /srv/other"):
        checkpoint_file("models:/other/1", uri)


def test_a_checkpoints_hash_leads_to_its_run(client, tmp_path):
    first, second = train(client, tmp_path / "one"), train(client, tmp_path / "two", weight=7.0)
    best = tmp_path / "one" / "checkpoint_best.pt"
    found = [(run.info.run_id, name) for run, name in find_runs(client, digest_of(best))]
    assert found == [(first, "checkpoint_best")]
    found = [(run.info.run_id, name) for run, name in find_runs(client, tmp_path / "two" / "checkpoint_last.pt")]
    assert found == [(second, "checkpoint_last")]
    assert [run.info.run_id for run, _ in find_runs(client, digest_of(best)[:8].upper())] == [first]
    assert find_runs(client, "0" * 64) == []
    with pytest.raises(UserError, match="neither a file nor 8 to 64 digits"):
        find_runs(client, "models/gone.pt")
