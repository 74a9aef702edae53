"""A training's model in the tracking store: logged when the training has finished, registered under a name, found by its hash."""

import json
import logging
import os
import pickle
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import torch
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from scripts.files.atomic import sha256_of, write_json_atomically
from scripts.files.errors import UserError
from scripts.tracking.facts import without_secrets
from scripts.tracking.spool import Spool

logger = logging.getLogger(__name__)

CHECKPOINTS = ("checkpoint_best", "checkpoint_last")
"""Files of a training whose hashes its run carries, as tags such as checkpoint_best.sha256; the first is the model."""
CHECKPOINT_TAG, DIGEST_TAG = "checkpoint", "checkpoint.sha256"
MODEL_TYPE = "monai_bundle"
_MIN_DIGITS = 8


def spool_model(spool: Spool, output_dir: Path, recipe: Mapping[str, Any], tags: Mapping[str, Any]) -> None:
    """Put the bundle folder of a finished training into its spool: the store gets it as a LoggedModel when it has time.

        MLmodel                        MLflow's description, written when it is sent
        configs/                       the bundle's own, and trained.json: the whole config of this training
        models/checkpoint_best.pt      checkpoint_last.pt where no epoch was best
        models/text_model/             the tokenizer, where there is one

    Checkpoints become hard links, so that neither time nor room is spent; trainings replace their checkpoints and never write into
    them. A training without checkpoints of `CheckpointHandler` hands over nothing.

    Args:
        spool: of the run.
        output_dir: folder of the training.
        recipe: its config.
        tags: of the model: bundle, version and the like.
    """
    # Older files in the folder are those of another run.
    since = spool.run["started"] * 10**6
    files = [output_dir / f"{name}.pt" for name in CHECKPOINTS]
    files = [path for path in files if path.is_file() and path.stat().st_mtime_ns >= since]
    if not files:
        return
    try:
        folder = spool.new_artifact_path("model")
        digests = {f"{path.stem}.sha256": sha256_of(path) for path in files}
        iteration = torch.load(files[0], map_location="cpu", weights_only=True, mmap=True)["iteration"]
        _bundle_folder(folder, files[0], recipe)
    except (OSError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        logger.warning("MLflow: the model of this run is not logged (%r); it stays in %s", error, files[0])
        return
    spool.append("tags", values=digests)
    facts = {str(key): str(value) for key, value in tags.items()}
    facts |= {CHECKPOINT_TAG: f"models/{files[0].name}", DIGEST_TAG: digests[f"{files[0].stem}.sha256"]}
    spool.append("model", file=str(folder.relative_to(spool.folder)), tags=facts, step=iteration)


def _bundle_folder(folder: Path, checkpoint: Path, recipe: Mapping[str, Any]) -> None:
    own = Path(str(recipe.get("bundle_root", ""))) / "configs"
    if "bundle_root" in recipe and own.is_dir():
        shutil.copytree(own, folder / "configs")
    write_json_atomically(folder / "configs" / "trained.json", dict(recipe))
    (folder / "models").mkdir()
    _link(checkpoint, folder / "models" / checkpoint.name)
    texts = checkpoint.parent / "text_model"
    if texts.is_dir():
        shutil.copytree(texts, folder / "models" / "text_model", copy_function=_link)


def _link(source: str | Path, place: str | Path) -> None:
    try:
        os.link(source, place)
    except OSError:  # a file system without links
        shutil.copyfile(source, place)


def log_model(client: mlflow.MlflowClient, run_id: str, folder: Path, tags: Mapping[str, str], step: int) -> None:
    """Make a run's model folder a LoggedModel; sent a second time, nothing changes.

    Args:
        client: of the store, which has the run's metrics already.
        run_id: the training's run.
        folder: as `spool_model` made it.
        tags: of the model.
        step: iteration of its checkpoint.

    Raises:
        MlflowException, OSError: the store or the place of its artifacts does not take it.
    """
    run = client.get_run(run_id)
    model = _logged(client, run, tags[DIGEST_TAG])
    if model is None:
        name = re.sub(r"""[/:.%"']""", "_", client.get_experiment(run.info.experiment_id).name)
        model = client.create_logged_model(run.info.experiment_id, name, run_id, dict(tags), model_type=MODEL_TYPE)
    if model.status != LoggedModelStatus.READY:
        described = Model(run_id=run_id, model_id=model.model_id)
        described.add_flavor(MODEL_TYPE, checkpoint=tags[CHECKPOINT_TAG])
        described.save(folder / "MLmodel")
        client.log_model_artifacts(model.model_id, str(folder))
        if not client.get_logged_model(model.model_id).metrics:
            client.log_batch(run_id, metrics=_values_at(step, client, run, model.model_id))
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    if model.model_id not in _models_of(run):
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])


def _models_of(run: Run) -> list[str]:
    return [output.model_id for output in run.outputs.model_outputs] if run.outputs else []


def _logged(client: mlflow.MlflowClient, run: Run, digest: str) -> LoggedModel | None:
    found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    return next((model for model in found if model.tags.get(DIGEST_TAG) == digest), None)


def _values_at(step: int, client: mlflow.MlflowClient, run: Run, model_id: str) -> list[Metric]:
    """The validation metrics of the model's own step, said again of the model: MLflow then compares models in one table."""
    names = [name for name in run.data.metrics if name.startswith("val/")]
    points = [point for name in names for point in client.get_metric_history(run.info.run_id, name) if point.step == step]
    return [Metric(p.key, p.value, p.timestamp, p.step, model_id=model_id) for p in points]


def register_model(
    client: mlflow.MlflowClient, run_id: str, name: str, alias: str | None = None, calibration: str | Path | None = None
) -> ModelVersion:
    """Register the model that a training logged; a model that stands under this name already keeps its version.

    Args:
        client: of the store.
        run_id: the training's run.
        name: name of the registered model; made where it does not exist.
        alias: moves to this version ("champion").
        calibration: calibration.pt that an evaluation fitted for this checkpoint; joins the model's folder.

    Raises:
        UserError: no such run, a run without a model, or no file at `calibration`.
    """
    run = run_of(client, run_id)
    models = [client.get_logged_model(model_id) for model_id in _models_of(run)]
    if not models:
        folder = run.data.params.get("output_dir", "OUTPUT_DIR")
        raise UserError(
            f"run {run_id} has logged no model: only trainings that have FINISHED do (it is {run.info.status}). If its records "
            f"still wait, send them: python -m scripts.tracking.sender {folder}"
        )
    model = max(models, key=lambda model: model.creation_timestamp)
    if calibration is not None:
        if not Path(calibration).is_file():
            raise UserError(f"no calibration at {calibration}: evaluate.json with `calibrate` writes one beside its checkpoint")
        client.log_model_artifact(model.model_id, str(calibration), "models")
    version = _version(client, name, model)
    if alias is not None:
        client.set_registered_model_alias(name, alias, version.version)
    return version


def _version(client: mlflow.MlflowClient, name: str, model: LoggedModel) -> ModelVersion:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.source == model.artifact_location:
            return version
    # Not models:/..., which a database store would look up in whatever store is MLflow's default at the moment.
    version = client.create_model_version(name, model.artifact_location, model.source_run_id, model_id=model.model_id)
    known = json.loads(model.tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    known.append({"name": name, "version": version.version})
    client.set_logged_model_tags(model.model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(known)})
    return version


def run_of(client: mlflow.MlflowClient, run_id: str) -> Run:
    """A run by its id.

    Raises:
        UserError: there is none in this store.
    """
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UserError(
            f"no run {run_id} in {without_secrets(client.tracking_uri)}: mlflow_run_id in a training's output folder holds its id; "
            "another store is named by --tracking_uri"
        ) from error


def find_runs(client: mlflow.MlflowClient, checkpoint: str | Path) -> list[tuple[Run, str]]:
    """Trainings that ended with a checkpoint.

    Args:
        client: of the store.
        checkpoint: a file, or the first digits, 8 at least, of its SHA-256, as predictions.jsonl has it (`checkpoint_sha256`).

    Returns:
        runs, each with the name of its checkpoint ("checkpoint_best").

    Raises:
        UserError: neither a file nor digits of a SHA-256.
    """
    digest = sha256_of(checkpoint) if Path(checkpoint).is_file() else str(checkpoint).lower()
    if not re.fullmatch(rf"[0-9a-f]{{{_MIN_DIGITS},64}}", digest):
        raise UserError(f"{checkpoint} is neither a file nor {_MIN_DIGITS} to 64 digits of a SHA-256 (0-9, a-f)")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = []
    for name in CHECKPOINTS:
        runs = client.search_runs(experiments, f"tags.`{name}.sha256` LIKE '{digest}%'")
        found += [(run, name) for run in runs]
    return found
