"""The tracker in a bundle's config, written there or brought by MONAI's `--tracking`."""

import json
from pathlib import Path

import mlflow
import pytest
import yaml
from monai.bundle import ConfigWorkflow

TRACKING = Path(__file__).resolve().parents[2] / "mlflow" / "tracking.json"
METADATA = ("version", "monai_version", "pytorch_version", "numpy_version", "description", "spatial_shape")
HANDLER = {"_target_": "$lambda: @tracker"}
TRACKER = {
    "_target_": "scripts.tracking.recorder.MLflowTracker",
    "experiment": "e",
    "output_dir": "@output_dir",
    "tracking_uri": "@tracking_uri",
    "seed": "@seed",
    "tags": {"bundle": "phantom"},
}


def config(folder, tracker):
    """A training bundle with MONAI's property names and as little else as they allow."""
    dataset = {"_target_": "Dataset", "data": "$[{'image': torch.ones(2), 'label': torch.ones(1)} for _ in range(8)]"}
    shared = {"device": "@device", "network": "@network_def", "decollate": False}
    loader = {"_target_": "DataLoader", "dataset": "@train#dataset", "batch_size": 2}
    handlers = {"train": [HANDLER], "validate": ["@tracker"]} if tracker else {"train": [], "validate": []}
    train_handlers = [{"_target_": "ValidationHandler", "interval": "@val_interval", "validator": "@validate#evaluator"}]
    return {
        "bundle_root": str(folder), "dataset_dir": "x", "output_dir": "$@bundle_root + '/runs'", "val_interval": 1,
        "tracking_uri": f"sqlite:///{folder}/mlflow.db", "seed": 4, "lr": 0.1, "site_password": "geheim",
        "device": "$torch.device('cpu')",
        "network_def": {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 1},
        "optimizer": {"_target_": "torch.optim.SGD", "params": "$@network_def.parameters()", "lr": "@lr"},
        **({"tracker": TRACKER} if tracker else {}),
        "train": {
            "dataset": dataset, "dataloader": loader, "inferer": {"_target_": "SimpleInferer"},
            "handlers": [*train_handlers, *handlers["train"]],
            "trainer": {
                "_target_": "SupervisedTrainer", **shared, "max_epochs": 2, "inferer": "@train#inferer",
                "train_data_loader": "@train#dataloader",
                "optimizer": "@optimizer", "loss_function": "$torch.nn.MSELoss()", "train_handlers": "@train#handlers",
            },
        },
        "validate": {
            "dataset": dataset, "dataloader": {**loader, "dataset": "@validate#dataset"},
            "handlers": handlers["validate"],
            "inferer": {"_target_": "SimpleInferer"},
            "key_metric": {"mean": {"_target_": "ignite.metrics.Average", "output_transform": "$lambda _: 3.0"}},
            "evaluator": {
                "_target_": "SupervisedEvaluator", **shared, "inferer": "@validate#inferer",
                "val_data_loader": "@validate#dataloader",
                "key_val_metric": "@validate#key_metric",
                "val_handlers": "@validate#handlers",
            },
        },
        "run": ["$@train#trainer.run()"],
    }  # fmt: skip


@pytest.mark.parametrize("by_option", [False, True])
def test_bundle_with_tracker_in_its_config_or_by_option(tmp_path, by_option):
    # Making the tables takes seconds, on a busy machine more than the tracker waits at the end of a run.
    mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").search_experiments()
    path = tmp_path / "train.json"
    path.write_text(json.dumps(config(tmp_path, tracker=not by_option)))
    (tmp_path / "metadata.json").write_text(json.dumps(dict.fromkeys(METADATA, "0.1")))
    workflow = ConfigWorkflow(
        str(path), str(tmp_path / "metadata.json"), logging_file=False, workflow_type="train", lr=0.25,
        tracking=str(TRACKING) if by_option else None,
    )  # fmt: skip
    workflow.initialize()
    if not by_option:
        assert not workflow.check_properties()
    workflow.run()
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    run = client.get_run((tmp_path / "runs" / "mlflow_run_id").read_text().strip())
    params = run.data.params
    # Overrides, references and expressions have come out; the password has not.
    assert params["lr"] == params["optimizer.lr"] == "0.25" and params["output_dir"] == f"{tmp_path}/runs"
    assert params["site_password"] == "***" and params["train.trainer.max_epochs"] == "2"
    recipe = yaml.safe_load(Path(client.download_artifacts(run.info.run_id, "config/config.yaml")).read_text())
    assert recipe["optimizer"]["lr"] == "@lr" and recipe["lr"] == 0.25 and recipe["site_password"] == "***"
    assert [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, "val/mean")] == [(4, 3.0), (8, 3.0)]
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 8
    experiment = client.get_experiment(run.info.experiment_id).name
    assert experiment == (tmp_path.name if by_option else "e")
    assert run.info.status == "FINISHED" and run.data.metrics["train/samples_per_second"] > 0
