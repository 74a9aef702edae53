"""Reads runs from an MLflow store or server: what was asked for, in few queries, never the history of a metric."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, RunStatus, ViewType
from mlflow.exceptions import MlflowException

from scripts.files.errors import UserError

_PAGE = 100  # runs a query
_RUN_ID = re.compile(r"[0-9A-Za-z_-]+")


class ComparisonError(UserError):
    """Runs cannot be compared as asked; lists all reasons."""


@dataclass(frozen=True)
class TrackedRun:
    """One run as the store's tables have it.

    seconds: how long it took, None while it runs. metrics: last value of each. place: where its artifacts are.
    """

    id: str
    name: str
    experiment: str
    experiment_id: str
    status: str
    started: datetime
    seconds: float | None
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]
    place: str


class RunStore:
    """A tracking store or server, for reading.

    Args:
        address: absolute address, `sqlite:////path/mlflow.db`, `postgresql://...` or `http://host:5000`.

    Raises:
        ComparisonError: a SQLite file that does not exist (MLflow would make an empty one), or no answer.
    """

    def __init__(self, address: str) -> None:
        file = Path(address.removeprefix("sqlite:///"))
        if address.startswith("sqlite:///") and not file.is_file():
            raise ComparisonError(
                f"{file} does not exist: nothing has been tracked there. "
                "Give the address of the runs' store, --tracking_uri sqlite:///path/mlflow.db or http://host:5000"
            )
        # A person waits: MLflow's own retries would take minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        self.address = address
        try:
            self._client = MlflowClient(address)
            self._experiments = {found.experiment_id: found for found in self._all_experiments()}
        except MlflowException as error:
            raise ComparisonError(f"{shown_address(address)} does not answer: {_words(error)}") from error

    def runs(self, ids: Sequence[str]) -> list[TrackedRun]:
        """The runs with these ids, in their order.

        Raises:
            ComparisonError: lists all ids that are unknown or deleted.
        """
        askable = [run_id for run_id in ids if _RUN_ID.fullmatch(run_id)]
        found = {}
        for start in range(0, len(askable), _PAGE):
            names = ", ".join(f"'{run_id}'" for run_id in askable[start : start + _PAGE])
            for run in self._search(list(self._experiments), f"attributes.run_id IN ({names})", view=ViewType.ALL):
                found[run.info.run_id] = run
        faults = [_missing(run_id) for run_id in ids if run_id not in found]
        faults += [
            f"run {run.info.run_id} was deleted; `mlflow runs restore --run-id {run.info.run_id}` brings it back"
            for run in found.values()
            if run.info.lifecycle_stage != "active"
        ]
        if faults:
            raise ComparisonError(f"{shown_address(self.address)}:\n" + "\n".join(f"  {fault}" for fault in faults))
        return [self._tracked(found[run_id]) for run_id in ids]

    def best(self, experiments: Sequence[str] | None, metric: str, lowest: bool, top: int) -> list[TrackedRun]:
        """The finished runs of each experiment with the best last value of a metric, best first.

        Args:
            experiments: their names; None takes all that have such runs.
            metric: full name, such as `test/auc_macro`.
            lowest: a lower value is better.
            top: runs of each experiment, at most.

        Raises:
            ComparisonError: lists all experiments that are unknown or have no finished run with the metric.
        """
        active = {e.name: e for e in self._experiments.values() if e.lifecycle_stage == "active"}
        runs: list[TrackedRun] = []
        faults = []
        for name in active if experiments is None else experiments:
            if name not in active:
                faults.append(f"no experiment '{name}'; there are: {', '.join(sorted(active)) or 'none'}")
                continue
            chosen = self._best_of(active[name], metric, lowest, top)
            runs += chosen
            if not chosen and experiments is not None:
                faults.append(
                    f"experiment '{name}' has no finished run with the metric {metric}; {self._known_metrics(active[name])}"
                )
        if not runs and not faults:
            faults.append(f"no experiment has a finished run with the metric {metric}")
        if faults:
            raise ComparisonError(f"{shown_address(self.address)}:\n" + "\n".join(f"  {fault}" for fault in faults))
        return runs

    def _best_of(self, experiment: Experiment, metric: str, lowest: bool, top: int) -> list[TrackedRun]:
        order = [f"metrics.`{metric}` {'ASC' if lowest else 'DESC'}"]
        chosen = []
        for run in self._search([experiment.experiment_id], "attributes.status = 'FINISHED'", order):
            value = run.data.metrics.get(metric)
            if value is None:  # runs without the metric come last
                break
            if value == value:
                chosen.append(self._tracked(run))
            if len(chosen) == top:
                break
        return chosen

    def _known_metrics(self, experiment: Experiment) -> str:
        runs = islice(self._search([experiment.experiment_id], "attributes.status = 'FINISHED'"), _PAGE)
        names = sorted({name for run in runs for name in run.data.metrics})
        return f"its latest runs have: {', '.join(names)}" if names else "its latest runs have no metrics"

    def _search(
        self, experiments: list[str], condition: str, order: Sequence[str] = (), view: str = ViewType.ACTIVE_ONLY
    ) -> Iterator[Run]:
        """Runs page by page; the next page is asked for only when it is needed."""
        token = None
        while True:
            try:
                runs = self._client.search_runs(experiments, condition, view, _PAGE, list(order), token)
            except MlflowException as error:
                raise ComparisonError(f"{shown_address(self.address)} refused to list runs: {_words(error)}") from error
            yield from runs
            token = runs.token
            if not token:
                return

    def _all_experiments(self) -> Iterator[Experiment]:
        token = None
        while True:
            found = self._client.search_experiments(ViewType.ALL, page_token=token)
            yield from found
            token = found.token
            if not token:
                return

    def _tracked(self, run: Run) -> TrackedRun:
        info = run.info
        return TrackedRun(
            id=info.run_id,
            name=info.run_name or info.run_id[:8],
            experiment=self._experiments[info.experiment_id].name,
            experiment_id=info.experiment_id,
            status=RunStatus.to_string(info.status) if isinstance(info.status, int) else info.status,
            started=datetime.fromtimestamp(info.start_time / 1000),
            seconds=None if info.end_time is None else (info.end_time - info.start_time) / 1000,
            metrics=dict(run.data.metrics),
            params=dict(run.data.params),
            tags=dict(run.data.tags),
            place=info.artifact_uri,
        )


def shown_address(address: str) -> str:
    """The address without a login, for eyes."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", address)


def _missing(run_id: str) -> str:
    if run_id.startswith("unsent-"):
        return f"run {run_id} has not reached a store yet: python -m scripts.tracking.sender ITS_OUTPUT_DIR"
    return f"no run has the id {run_id}"


def _words(error: Exception) -> str:
    text = " ".join(shown_address(str(error)).split())
    return text if len(text) < 400 else text[:397] + "..."
