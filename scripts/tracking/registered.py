"""Checkpoints that a tracking store keeps, by the names under which they are registered there."""

import logging
import re
import secrets
import shutil
from pathlib import Path

import mlflow
import torch
from mlflow.exceptions import MlflowException

from scripts.files.errors import UserError
from scripts.tracking.address import store_address
from scripts.tracking.facts import without_secrets
from scripts.tracking.models import CHECKPOINT_TAG

logger = logging.getLogger(__name__)

SCHEME = "models:/"


def checkpoint_file(checkpoint: str | Path | None, tracking_uri: str | None = None) -> str | None:
    """A checkpoint's file: its own path, or that of a registered model, fetched once.

        checkpoint_file("runs/train/checkpoint_best.pt")            itself
        checkpoint_file("models:/cxr_localization@champion")        the version that has this alias now
        checkpoint_file("models:/cxr_localization/3")               version 3
        checkpoint_file("models:/m-fa14a09f7e294ac488ad057eaff11223")

    Beside a fetched file lies the model's `text_model`, and calibration.pt where it was registered with one. Models stay in Torch's
    folder for downloads (TORCH_HOME).

    Args:
        checkpoint: path, or address beginning with models:/; None, for a start from random weights, is handed back.
        tracking_uri: store of the model; None as in `scripts.tracking.MLflowTracker`.

    Raises:
        UserError: no such model, or one that no training of this project has logged.
    """
    if not str(checkpoint).startswith(SCHEME):
        return None if checkpoint is None else str(checkpoint)
    uri = store_address(tracking_uri)[0]
    client = mlflow.MlflowClient(uri)
    try:
        model = client.get_logged_model(_model_id(client, str(checkpoint)))
    except MlflowException as error:
        raise UserError(
            f"{checkpoint} is not in {without_secrets(uri)} ({' '.join(str(error).split())}): `register-model` puts a training's "
            "model there; another store is named by tracking_uri or MLFLOW_TRACKING_URI"
        ) from error
    if CHECKPOINT_TAG not in model.tags:
        raise UserError(f"{checkpoint} was not logged by a training of this project: it has no tag {CHECKPOINT_TAG}")
    folder = Path(torch.hub.get_dir()) / "tracked_models" / model.model_id
    if not folder.is_dir():
        _fetch(model.artifact_location, folder, uri)
    logger.info("%s is %s, of run %s", checkpoint, folder, model.source_run_id)
    return str(folder / model.tags[CHECKPOINT_TAG])


def _model_id(client: mlflow.MlflowClient, address: str) -> str:
    name = address.removeprefix(SCHEME)
    if "@" in name:
        version = client.get_model_version_by_alias(*name.rsplit("@", 1))
    elif "/" in name:
        version = client.get_model_version(*name.rsplit("/", 1))
    else:
        return name
    # MLflow's databases keep a version's source alone, which is a folder named after the model.
    ids = re.findall(r"\bm-[0-9a-f]{32}\b", version.source)
    if not ids:
        raise UserError(f"{address} was not logged by a training of this project: its files are {version.source}")
    return ids[-1]


def _fetch(location: str, folder: Path, tracking_uri: str) -> None:
    """Download beside first, so that a folder that is there is whole."""
    temporary = folder.with_name(f".{secrets.token_hex(4)}")
    temporary.mkdir(parents=True)
    try:
        mlflow.artifacts.download_artifacts(artifact_uri=location, dst_path=str(temporary), tracking_uri=tracking_uri)
        # Where a store puts the folder beneath dst_path depends on its kind.
        next(temporary.rglob("MLmodel")).parent.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was not quicker
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
