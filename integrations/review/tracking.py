"""Agreement in the tracking store: one run for each model version, beneath the training that the model comes from."""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from integrations.review.record import ReviewError
from scripts.tracking.address import store_address
from scripts.tracking.models import find_runs, run_of
from scripts.tracking.recorder import MLflowTracker

EXPERIMENT = "expert_review"
"""For models whose training the store does not know."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tracked:
    """The run of one model version; `parent_run` is the training's, None where the store does not know it."""

    model_version: str
    run_id: str
    parent_run: str | None


def trainings(versions: Sequence[str], tracking_uri: str | None, run_id: str | None) -> dict[str, tuple[str, str] | None]:
    """Experiment and run id of the training behind each model version, which ends with digits of its checkpoint's SHA-256.

    Args:
        run_id: the training, told instead of looked up.

    Returns:
        None for versions whose training the store does not know; they are warned of.

    Raises:
        ReviewError: no such store, or one that does not answer.
        UserError: no run of this id.
    """
    # MLflow would retry a call for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    try:
        client = mlflow.MlflowClient(store_address(tracking_uri)[0])
        found = {version: run_of(client, run_id) if run_id else _training(client, version) for version in versions}
        return {
            version: run and (client.get_experiment(run.info.experiment_id).name, run.info.run_id) for version, run in found.items()
        }
    except MlflowException as error:
        raise ReviewError(f"the tracking store does not answer ({error.error_code}); see --tracking_uri") from error
    except ValueError as error:
        raise ReviewError(str(error)) from error


def track(
    version: str,
    table: pd.DataFrame,
    output: Path,
    training: tuple[str, str] | None,
    facts: Mapping[str, Any],
    tracking_uri: str | None,
) -> Tracked:
    """Log a model version's measures (`agreement/FINDING/MEASURE`, with its bounds) and, beside them, the experts' (`experts/...`).

    A store that stops answering meanwhile keeps nobody waiting: the records stay below `output` and say how to send them.

    Args:
        table: as in agreement.csv, of all models.
        output: folder that holds agreement.csv and agreement.png.
        training: as `trainings` gives it.
        facts: the run's parameters.
    """
    experiment, parent = training or (EXPERIMENT, None)
    tracker = MLflowTracker(
        experiment,
        output / "tracking" / re.sub(r"\W+", "_", version),
        f"agreement of {version}",
        tracking_uri,
        params={"model_version": version, **facts},
        parent_run=parent,
    )
    tracker.start()
    tracker.log_tags({"kind": "agreement", "model_version": version})
    tracker.log_metrics(metrics_of(table[(table["comparison"] == "model") & (table["model_version"] == version)], "agreement"), 0)
    tracker.log_metrics(metrics_of(table[table["comparison"] == "experts"], "experts"), 0)
    tracker.log_table(output / "agreement.csv")
    tracker.log_artifact(output / "agreement.png", "figures")
    tracker.finish()
    run_id = tracker.run_id
    tracker.close()
    return Tracked(version, run_id, parent)


def metrics_of(rows: pd.DataFrame, prefix: str) -> dict[str, float]:
    """Metrics by name; what is not defined is left out."""
    parts = {"": "estimate", "_lower": "lower", "_upper": "upper"}
    named = {
        f"{prefix}/{row['finding']}/{row['measure']}{ending}": float(row[part])
        for row in rows.to_dict("records")
        for ending, part in parts.items()
    }
    return {name: value for name, value in named.items() if value == value}


def _training(client: mlflow.MlflowClient, version: str) -> Run | None:
    """The newest training that ended with a version's checkpoint."""
    digits = re.search(r"\(([0-9a-f]{8,64})\)$", version)
    runs = [run for run, _ in find_runs(client, digits[1])] if digits else []
    if not runs:
        logger.warning("%s: no training in this store ended with its checkpoint; its run stands alone (see --run_id)", version)
        return None
    return max(runs, key=lambda run: run.info.start_time)
