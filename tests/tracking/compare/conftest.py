"""Stores with runs as evaluations leave them."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient

# As `python mlflow/compare.py` has it: the folder is no package, and `import mlflow` stays the installed one.
sys.path.append(str(Path(__file__).resolve().parents[3] / "mlflow"))

from scripts.tracking.compare.store import RunStore


class Runs:
    """A SQLite store into which runs can be put."""

    def __init__(self, folder: Path) -> None:
        self.address = f"sqlite:///{folder}/mlflow.db"
        self.client = MlflowClient(self.address)
        self.folder = folder
        self.experiments: dict[str, str] = {}

    def add(self, name="run", experiment="films", metrics=(), params=(), tags=(), files=(), status="FINISHED") -> str:
        """A run and its files, {path among its artifacts: text, table, figure or mapping}; gives its id."""
        if experiment not in self.experiments:
            place = (self.folder / "mlartifacts").as_uri()
            self.experiments[experiment] = self.client.create_experiment(experiment, artifact_location=place)
        run_id = self.client.create_run(self.experiments[experiment], run_name=name).info.run_id
        for key, value in dict(metrics).items():
            self.client.log_metric(run_id, key, value)
        for key, value in dict(params).items():
            self.client.log_param(run_id, key, value)
        for key, value in dict(tags).items():
            self.client.set_tag(run_id, key, value)
        for path, content in dict(files).items():
            self._log(run_id, path, content)
        if status != "RUNNING":
            self.client.set_terminated(run_id, status)
        return run_id

    def _log(self, run_id: str, path: str, content) -> None:
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(index=False)
        if isinstance(content, dict):
            content = json.dumps(content)
        if isinstance(content, Figure):
            self.client.log_figure(run_id, content, path)
        else:
            self.client.log_text(run_id, content, path)

    def read(self, *ids: str):
        return RunStore(self.address).runs(ids)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """A database with MLflow's tables and nothing in them: making them takes seconds, a copy none."""
    folder = tmp_path_factory.mktemp("empty")
    MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def runs(tmp_path, empty_store) -> Runs:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    return Runs(folder)
