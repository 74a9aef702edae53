"""A tracked run of a small bundle run again from its record."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from scripts.files.errors import UserError
from scripts.tracking.reproduce import Record, compare
from tests.commands.test_cli import ROOT, run

SEED = 7


def config(folder: Path) -> dict:
    """A training whose result hangs on the seed and on the data, with a tracker; 6 iterations."""
    return {
        "imports": ["$import json", "$import torch", "$import monai"],
        "bundle_root": str(folder),
        "dataset_dir": str(folder / "data"),
        "datalist": "$@dataset_dir + '/datalist.json'",
        "output_dir": "$@bundle_root + '/runs/train'",
        "tracking_uri": None,
        "seed": SEED,
        "site_token": None,
        "values": "$torch.tensor([case['value'] for case in json.load(open(@datalist))['training']])",
        "network": {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1},
        "optimizer": {"_target_": "torch.optim.SGD", "params": "$@network.parameters()", "lr": 0.1},
        "tracker": {
            "_target_": "scripts.tracking.MLflowTracker", "experiment": "small", "output_dir": "@output_dir", "run_name": "first",
            "tracking_uri": "@tracking_uri", "datalist": "@datalist", "seed": "@seed", "tags": {"bundle": "small"},
        },
        "train": {
            "trainer": {
                "_target_": "SupervisedTrainer", "device": "$torch.device('cpu')", "max_epochs": 2, "network": "@network",
                "train_data_loader": {"_target_": "DataLoader", "dataset": "$[{'image': v, 'label': v * 2} for v in @values]",
                                      "batch_size": 2, "shuffle": True},
                "optimizer": "@optimizer", "loss_function": "$torch.nn.MSELoss()", "train_handlers": ["@tracker"],
                "decollate": False,
            }
        },
        "initialize": ["$monai.utils.set_determinism(seed=@seed)"],
        "run": ["$@train#trainer.run()"],
    }  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A store with one run of a bundle: its folder, client and run id."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "data").mkdir()
    values = [{"value": [0.1 * number]} for number in range(6)]
    (folder / "data" / "datalist.json").write_text(json.dumps({"name": "numbers", "training": values}))
    (folder / "train.json").write_text(json.dumps(config(folder)))
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    client.search_experiments()  # makes the tables
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(folder / "train.json")]
    command += ["--tracking_uri", client.tracking_uri, "--site_token", "geheim"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, client, (folder / "runs" / "train" / "mlflow_run_id").read_text().strip()


def reproduce(recorded, name, *arguments):
    """Exit status, output and new run of the verb."""
    folder, client, run_id = recorded
    output = folder / "runs" / name
    tracking = ("--tracking_uri", client.tracking_uri)
    done = run("reproduce", run_id, "--output", output, *tracking, *arguments, cwd=ROOT, timeout=600)
    id_file = output / "mlflow_run_id"
    again = client.get_run(id_file.read_text().strip()) if id_file.is_file() else None
    return done, again


@pytest.mark.slow
def test_the_same_config_and_seed_give_identical_metrics(recorded):
    _, client, run_id = recorded
    done, again = reproduce(recorded, "same", "--site_token", "geheim")
    assert done.returncode == 0 and "every value at every step: identical" in done.stdout, done.stdout
    assert again.data.tags["reproduces"] == run_id == again.data.tags["mlflow.parentRunId"] and again.data.tags["bundle"] == "small"
    first, second = ([p.value for p in client.get_metric_history(i, "train/loss")] for i in (run_id, again.info.run_id))
    assert len(first) == 6 and first == second and len(set(first)) == 6
    assert again.data.params["seed"] == str(SEED) and again.data.params["site_token"] == "***"
    assert "geheim" not in "".join(again.data.params.values())


@pytest.mark.slow
def test_what_differs_today_is_named_and_another_seed_is_seen(recorded):
    _, client, run_id = recorded
    tags = client.get_run(run_id).data.tags
    then = {"git.revision": "0" * 40, "version.torch": "1.0.0", "git.dirty": "true"}
    for name, value in then.items():
        client.set_tag(run_id, name, value)
    try:
        done, again = reproduce(recorded, "other", "--seed", SEED + 1, "--site_token", "x")
    finally:
        for name in then:
            client.set_tag(run_id, name, tags[name])
    assert f"git.revision: {'0' * 40}, now {tags['git.revision']}" in done.stdout
    assert f"version.torch: 1.0.0, now {tags['version.torch']}" in done.stdout
    assert "code: with files that differed from its revision" in done.stdout and "version.monai" not in done.stdout
    assert done.returncode == 1 and again.data.params["seed"] == str(SEED + 1)
    assert "train/loss" in done.stdout and "differ" in done.stdout.splitlines()[-2]


def test_data_that_changed_or_moved(recorded):
    folder, client, run_id = recorded
    datalist = folder / "data" / "datalist.json"
    record, text = Record(client, run_id), datalist.read_text()
    names = [line.name for line in record.differences()]
    assert not any("datalist" in name or name in ("bundle_root", "dataset_dir", "output_dir") for name in names)
    datalist.write_text(text + " ")
    try:
        (line,) = (line for line in record.differences() if line.name.startswith("datalist"))
        assert str(datalist) in line.name and line.then != line.now != "gone"
        datalist.unlink()
        assert [line.now for line in record.differences() if line.name.startswith("datalist")] == ["gone", "gone"]
        with pytest.raises(UserError, match=r"datalist\.json is gone; the value of site_token was secret"):
            record.again(folder / "new", {})
        values = {"dataset_dir": "data/moved", "site_token": "x"}
        assert record.again(folder / "new", values)["dataset_dir"] == "data/moved"
    finally:
        datalist.write_text(text)


def test_a_calibrating_evaluation_leaves_the_old_calibration_alone(recorded):
    folder, client, run_id = recorded
    record = Record(client, run_id)
    record.config |= {"calibrate": True, "calibration": "models/calibration.pt", "resume": True}
    config = record.again(folder / "new", {"site_token": "x"})
    assert config["calibration"] == str(folder / "new" / "calibration.pt") and config["resume"] is False


def test_metrics_are_compared_at_every_step(recorded):
    _, client, run_id = recorded
    first = client.get_run(run_id)
    others = [client.create_run(first.info.experiment_id).info.run_id for _ in range(2)]
    for index, other in enumerate(others):
        for step, value in enumerate((1.0, 2.0 + index, float("nan"))):
            client.log_metric(other, "val/auc", value, step=step)
        client.log_metric(other, "train/samples_per_second", index)
    client.log_metric(others[1], "val/loss", 3.0)
    one, two = map(client.get_run, others)
    pairs = {pair.name: pair.identical for pair in compare(client, one, two)}
    assert pairs == {"val/auc": False, "val/loss": False}
    assert [pair.identical for pair in compare(client, one, one)] == [True]


def test_what_cannot_be_run_again_is_told(recorded):
    _, client, run_id = recorded
    with pytest.raises(UserError, match="no run abc"):
        Record(client, "abc")
    bare = client.create_run(client.get_run(run_id).info.experiment_id).info.run_id
    with pytest.raises(UserError, match=r"config/config\.yaml cannot be read"):
        Record(client, bare)
    done = run("reproduce", run_id, "--tracking_uri", client.tracking_uri, "--sede", 3, cwd=ROOT)
    assert done.returncode == 2 and 'perhaps "seed" is meant' in done.stderr
