"""Verbs of `python -m scripts` that are about tracked runs: run again, register, find."""

import time
from pathlib import Path
from typing import Any

from scripts.commands.command_line import UsageError, check_paths, known


def reproduce_command(run_id: str, *, output: str | None = None, tracking_uri: str | None = None, **values: Any) -> int:
    """Run a tracked run again from its record: same config, seed and data; says what differs today and whether the metrics do.

    Checks out nothing: the code is today's. The new run stands beneath the recorded one, with the tag `reproduces`. Exit status 1
    if any metric differs at any step.

    Examples:
        python -m scripts reproduce 9c2d8a0b6f2e4b7d8f8a4e0f4f6e1a2b
        python -m scripts reproduce 9c2d8a0b6f2e4b7d8f8a4e0f4f6e1a2b --dataset_dir /mnt/moved --output runs/again

    Args:
        run_id: MLflow's id of a training or evaluation; mlflow_run_id or mlflow_evaluation_run_id in its output folder holds it.
        output: folder of the new run, which must not exist; by default beside the recorded one's.
        tracking_uri: store of the run; by default MLFLOW_TRACKING_URI, else mlflow.db in the project folder.
        values: settings of the config in place of recorded ones: data that has moved, secrets.
    """
    check_paths(run_id=run_id, output=output, tracking_uri=tracking_uri)
    import yaml

    from scripts.tracking.reproduce import Record, compare, describe_differences, describe_pairs

    record = Record(_client(tracking_uri), run_id)
    given = {known("setting of the run", name, record.config): yaml.safe_load(str(value)) for name, value in values.items()}
    folder = Path(output or f"{record.params.get('output_dir', 'runs/train')}_again_{time.strftime('%Y%m%d-%H%M%S')}")
    if folder.exists():
        raise UsageError(f"--output {folder} exists; give a folder that does not")
    print(describe_differences(record.differences()), flush=True)
    again = record.run_again(folder, given)
    pairs = compare(record.client, record.run, again)
    print(f"{describe_pairs(pairs)}\nrun {again.info.run_id} in {folder}")
    return 0 if all(pair.identical for pair in pairs) else 1


def register_model_command(
    run_id: str, *, name: str, alias: str | None = None, calibration: str | None = None, tracking_uri: str | None = None
) -> None:
    """Register the model that a finished training has logged; evaluations and inference take it as models:/NAME@ALIAS.

    Examples:
        python -m scripts register-model 9c2d8a0b6f2e4b7d8f8a4e0f4f6e1a2b --name cxr_localization --alias champion
        python -m monai.bundle run ... --checkpoint models:/cxr_localization@champion

    Args:
        run_id: MLflow's id of the training; mlflow_run_id in its output folder holds it.
        name: name of the registered model; made where it does not exist.
        alias: moves from another version to this one.
        calibration: calibration.pt that evaluate.json wrote for this checkpoint, which inference needs.
        tracking_uri: store of the run; by default MLFLOW_TRACKING_URI, else mlflow.db in the project folder.
    """
    check_paths(run_id=run_id, name=name, alias=alias, calibration=calibration, tracking_uri=tracking_uri)
    from scripts.tracking.models import register_model

    version = register_model(_client(tracking_uri), run_id, name, alias, calibration)
    print(f"models:/{name}/{version.version}" + (f" is models:/{name}@{alias}" if alias else ""))


def find_run_command(checkpoint: str, *, tracking_uri: str | None = None) -> int:
    """Find the training that a checkpoint comes from. Exit status 1 if the store knows none.

    Examples:
        python -m scripts find-run models/checkpoint_best.pt
        python -m scripts find-run 1f3c9a77        # checkpoint_sha256 of predictions.jsonl, 8 digits or more

    Args:
        checkpoint: the file, or the first digits of its SHA-256.
        tracking_uri: store to search; by default MLFLOW_TRACKING_URI, else mlflow.db in the project folder.
    """
    check_paths(checkpoint=checkpoint, tracking_uri=tracking_uri)
    from scripts.tracking.models import find_runs

    found = find_runs(_client(tracking_uri), checkpoint)
    for run, name in found:
        digest, folder = run.data.tags[f"{name}.sha256"], run.data.params.get("output_dir", "")
        print(f"{run.info.run_id}  {run.info.run_name}  {name} {digest[:8]}  {folder}")
    if not found:
        print("no training in this store ended with this checkpoint; weights that export-weights wrote have a hash of their own")
    return 0 if found else 1


def _client(tracking_uri: str | None) -> Any:
    """MLflow's client of a store, imported here because that takes seconds."""
    import mlflow

    from scripts.tracking.address import store_address

    try:
        return mlflow.MlflowClient(store_address(tracking_uri)[0])
    except ValueError as error:
        raise UsageError(str(error)) from error
