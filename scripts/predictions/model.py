"""What a prediction says of the model that made it."""

from pathlib import Path

from scripts.files.atomic import sha256_of


def model_facts(bundle: str, version: str, weights: str | Path, mlflow_run_id: str | None) -> dict[str, str | None]:
    """The `model` of a case in predictions.jsonl, with the sha256 of the weights' file.

    Args:
        bundle: the bundle's name.
        version: its version.
        weights: file of the checkpoint.
        mlflow_run_id: of the training; None where it was not tracked.
    """
    return {"bundle": bundle, "version": version, "checkpoint_sha256": sha256_of(weights), "mlflow_run_id": mlflow_run_id}
