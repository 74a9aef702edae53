"""Experiment tracking in MLflow that a training never waits for."""

import functools
import logging
import shutil
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ignite.engine import Engine, Events
from matplotlib.figure import Figure
from monai.engines import Trainer

from scripts.files.atomic import write_atomically
from scripts.tracking import facts
from scripts.tracking.address import store_address
from scripts.tracking.exits import ExitWatch
from scripts.tracking.meter import EngineMeter, scalars
from scripts.tracking.models import spool_model
from scripts.tracking.sender import unsent_id
from scripts.tracking.spool import DISK_FULL, ENDED, Spool, now
from scripts.tracking.words import config_names, description, run_name
from scripts.tracking.worker import Worker

logger = logging.getLogger(__name__)

FIRST_ANSWER_SECONDS = 4.5
KILLED_WAIT_SECONDS = 5.0


class MLflowTracker:
    """Ignite handler: one MLflow run for each training, and one for each evaluation or inference.

    Nothing here waits for the store. Records go to a file (`output_dir/mlflow_spool`), a thread sends them; if the
    store is away, at the start or later, they stay in the file and are sent when it answers: by this process, by the
    next one with this `output_dir`, or by `python -m scripts.tracking.sender OUTPUT_DIR`.

    Attached to a MONAI trainer, a run of the trainer is an MLflow run; evaluators attached as well log into it, as
    `val/...` at the trainer's iteration. Attached to evaluators only, each run of one is an MLflow run of its own, with
    metrics `test/...`. With `parent_run`, a run is nested under that one. Only rank 0 does anything.

    A run ends FINISHED; FAILED (tag `error`, artifact error.txt) when an exception leaves the engine or, after `start`,
    the program; KILLED on Ctrl-C or SIGTERM. After `kill -9` the next start with this `output_dir` marks it KILLED.
    `resume` continues the run named in `output_dir/mlflow_run_id`. Steps between the checkpoint and the end of the
    first part are run twice; the store keeps the values of the first part.

        "tracker":  {"_target_": "scripts.tracking.MLflowTracker", "experiment": "cxr", "output_dir": "@output_dir"},
        "train":    {"handlers": [{"_target_": "$lambda: @tracker"}, ...], ...},
        "validate": {"handlers": ["@tracker", ...], ...}

    Args:
        experiment: MLflow experiment; made where it does not exist.
        output_dir: folder for mlflow_run_id (mlflow_evaluation_run_id for an evaluation) and mlflow_spool.
        run_name: the run's name; None makes it of the configs and the seed: `train phantom, seed 1`.
        tracking_uri: server or database; None takes MLFLOW_TRACKING_URI, else mlflow.db in the project folder.
        params: settings, nested as they like; None takes the whole bundle config in which the tracker stands.
        datalist: datalist file, or anything with its `path`; name, sha256 and sizes are tracked, records are not.
        seed: seed of the run.
        tags: bundle, version, paper and whatever else runs are searched by.
        resume: continue the run in `output_dir`.
        parent_run: run that this one stands under (an evaluation's training, a training's study): its id, its output folder, or its
            mlflow_run_id file; None for none.
        prefix: first part of the metrics' names in an evaluation.
        wait: seconds to wait for the store at the end of a run.

    Raises:
        ValueError: a `tracking_uri` that MLflow no longer takes (a folder).
        FileNotFoundError: `datalist` or a `parent_run` file does not exist (at the start of the run).
        RuntimeError: `resume` of a run that another process still writes (at the start of the run).
    """

    def __init__(
        self,
        experiment: str,
        output_dir: str | Path,
        run_name: str | None = None,
        tracking_uri: str | None = None,
        params: Mapping[str, Any] | None = None,
        datalist: Any = None,
        seed: int | None = None,
        tags: Mapping[str, Any] | None = None,
        resume: bool = False,
        parent_run: str | Path | None = None,
        prefix: str = "test",
        wait: float = 30.0,
    ) -> None:
        self.experiment, self.run_name, self.resume, self.prefix, self.wait = experiment, run_name, resume, prefix, wait
        self.output_dir = Path(output_dir)
        self.tracking_uri, self.artifacts = store_address(tracking_uri)
        self.params, self.datalist, self.seed, self.tags = params, datalist, seed, dict(tags or {})
        self.parent_run = parent_run
        self.config = facts.running_config() if params is None else None
        self._trainer: Engine | None = None
        self._meters: dict[Engine, EngineMeter] = {}
        self._depth = 0
        self._spool: Spool | None = None
        self._worker: Worker | None = None
        self._open = self._running = False
        self._reported: BaseException | None = None
        self._exits = ExitWatch()

    # --- engines ----------------------------------------------------------------------------------

    def attach(self, engine: Engine, prefix: str | None = None) -> None:
        """Track an engine; a second call for the same engine changes nothing.

        Args:
            engine: MONAI or Ignite engine.
            prefix: "train" for the engine whose run is the MLflow run. None: "train" for a MONAI trainer; "val" for
                other engines beside a trainer, else the constructor's `prefix`.
        """
        if engine in self._meters:
            return
        if prefix == "train" or (prefix is None and isinstance(engine, Trainer)):
            self._trainer, prefix = engine, "train"
        self._meters[engine] = EngineMeter(prefix or "", self._emit)
        engine.run = self._watched(engine, engine.run)
        engine.add_event_handler(Events.EPOCH_STARTED, lambda: self._meters[engine].epoch_started())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._iteration_completed)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def _watched(self, engine: Engine, run: Callable[..., Any]) -> Callable[..., Any]:
        """`engine.run` that begins and ends the MLflow run.

        Ignite's EXCEPTION_RAISED is no place for this: having a handler there makes Ignite swallow the exception, and a
        handler before ours that raises it again keeps ours from being called.
        """

        @functools.wraps(run)
        def watched_run(*args: Any, **kwargs: Any) -> Any:
            main = self._trainer in (None, engine)
            meter = self._meters[engine]
            meter.prefix = meter.prefix or (self.prefix if self._trainer is None else "val")
            if self._spool is None or (main and not self._running):
                self.start()
            self._depth += 1
            try:
                result = run(*args, **kwargs)
            except BaseException as error:
                if self._depth == 1:
                    self._died(error)
                raise
            finally:
                self._depth -= 1
            if main:
                self.log_tags({"epochs": f"{engine.state.epoch} of {engine.state.max_epochs}"})
                self.finish()
            return result

        return watched_run

    @property
    def _step(self) -> int:
        return self._trainer.state.iteration if self._trainer is not None else 0

    def _iteration_completed(self, engine: Engine) -> None:
        if self._open:
            self._meters[engine].iteration_completed(engine, self._step)

    def _epoch_completed(self, engine: Engine) -> None:
        if self._open:
            self._meters[engine].epoch_completed(engine, self._step)

    def _emit(self, records: list[dict[str, Any]]) -> None:
        if self._open:
            self._spool.append_all(records)

    # --- the run's life ---------------------------------------------------------------------------

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; `unsent-...` until the store has given one, None before `start` and on ranks
        other than 0.
        """
        if self._spool is None:
            return None
        return self._spool.sent()["run_id"] or unsent_id(self._spool.run["key"])

    def start(self) -> None:
        """Begin a run. Engines do this by themselves; call it earlier to track failures before the engine as well.

        Waits for the store's first answer, at most five seconds, so that the log says where the run goes.
        """
        if facts.rank() != 0:
            return
        self.close()
        id_file = self.output_dir / ("mlflow_run_id" if self._kind == "training" else "mlflow_evaluation_run_id")
        backlog = Spool.all_under(self.output_dir / "mlflow_spool")
        self._spool = self._continued(id_file, backlog) if self.resume else None
        resumed = self._spool is not None
        if not resumed:
            self._spool = self._new_spool(id_file)
        for spool in backlog:
            if spool.folder != self._spool.folder and spool.is_abandoned():
                logger.warning("MLflow: the run in %s was killed by process %s; marked KILLED", spool.folder, spool.owner["pid"])
                spool.acquire()
                spool.end("KILLED")
        self._open = True
        self._describe(resumed)
        ended = [spool for spool in backlog if spool.folder != self._spool.folder and spool.status in ENDED]
        self._running, self._reported = True, None
        self._worker = Worker(self._spool, [spool for spool in ended if spool.waiting()])
        self._worker.start()
        self._exits.watch(self._died_outside, self.close)
        self._announce(resumed)

    @property
    def _kind(self) -> str:
        return "evaluation" if self._trainer is None else "training"

    def _new_spool(self, id_file: Path) -> Spool:
        run = {"tracking_uri": self.tracking_uri, "artifacts": self.artifacts, "experiment": self.experiment}
        name = self.run_name or run_name(self._kind, config_names(), self.seed)
        run |= {"run_name": name, "run_id_file": str(id_file.resolve())}
        spool = Spool.create(self.output_dir / "mlflow_spool", run)
        write_atomically(id_file, unsent_id(spool.run["key"]) + "\n")
        return spool

    def _continued(self, id_file: Path, spools: list[Spool]) -> Spool | None:
        """The run that `id_file` names, taken over from its last process; None where there is nothing to continue."""
        run_id = id_file.read_text().strip() if id_file.is_file() else None
        spool = next((s for s in spools if run_id in (s.sent()["run_id"], unsent_id(s.run["key"]))), None)
        if spool is None:
            logger.warning("MLflow: no run to resume in %s (mlflow_run_id: %s); a new run begins", self.output_dir, run_id)
            return None
        if spool.status not in ENDED:
            alive = facts.is_alive(spool.owner)
            if alive:
                raise RuntimeError(
                    f"cannot resume the run in {spool.folder}: process {spool.owner['pid']} still writes it. "
                    "Stop that process, or set another output_dir"
                )
            if alive is None:
                logger.warning("MLflow: resuming a run of host %s, which cannot be seen from here", spool.owner["host"])
        spool.acquire()
        spool.append("resume")
        return spool

    def _describe(self, resumed: bool) -> None:
        if self.config is not None:
            recipe, settings = facts.recipe(self.config), facts.settings(self.config)
        else:
            recipe = facts.without_secrets(self.params or {})
            settings = facts.flatten(recipe)
        settings |= {} if self.seed is None else {"seed": self.seed}
        tags = {**self.tags, **facts.git_facts(), **facts.package_versions(), **facts.hardware()}
        tags |= {"kind": self._kind, "mlflow.source.git.commit": tags["git.revision"], **facts.process_tags()}
        if self.parent_run is not None:
            tags["parent_run"] = facts.parent_run_id(self.parent_run)
        data = None
        if self.datalist is not None:
            data = facts.datalist_facts(getattr(self.datalist, "path", self.datalist))
            self._spool.append("dataset", **data, context=self._kind)
            settings["datalist.sha256"], tags["datalist"] = data["sha256"], data["name"]
        tags = {"mlflow.note.content": description(self._kind, tags, config_names(), data, self.seed, settings), **tags}
        self.log_tags(tags)
        self._spool.append("params", values={name: str(value) for name, value in settings.items()})
        self._recipe = recipe
        if recipe:
            self.log_dict(recipe, f"config/resumed_{now()}.yaml" if resumed else "config/config.yaml")

    def _announce(self, resumed: bool) -> None:
        if not self._worker.wait_for_first_try(FIRST_ANSWER_SECONDS):
            logger.warning(
                "MLflow: %s has not answered within %g s. The run goes on; its records wait in %s until it does",
                facts.without_secrets(self.tracking_uri),
                FIRST_ANSWER_SECONDS,
                self._spool.folder,
            )
        elif self._worker.trouble is None:
            logger.info("MLflow: run %s %s", self.run_id, "continues" if resumed else "begins")

    def finish(self, status: str = "FINISHED") -> None:
        """End the run, wait a bounded time for what is not sent yet, and say where it is.

        Args:
            status: FINISHED, FAILED or KILLED.
        """
        if not self._open:
            return
        for meter in self._meters.values():
            meter.flush()
        self._spool.end(status)
        self._running = False
        if status == "FINISHED" and self._kind == "training":
            spool_model(self._spool, self.output_dir, self._recipe, self.tags)
        done = self._worker.flush(min(self.wait, KILLED_WAIT_SECONDS) if status == "KILLED" else self.wait)
        self._conclude(status, done)

    def _conclude(self, status: str, done: bool) -> None:
        uri, sent = str(facts.without_secrets(self.tracking_uri)), self._spool.sent()
        if not done:
            logger.warning(
                "MLflow: %d records of the %s run wait in %s, because %s cannot be written to (%s). "
                "Send them later: python -m scripts.tracking.sender %s",
                self._spool.waiting(),
                status,
                self._spool.folder,
                uri,
                self._worker.trouble or "it is slow",
                self.output_dir,
            )
        server = uri.startswith("http")
        root = uri.rstrip("/") if server else "http://127.0.0.1:5000"
        page = f"{root}/#/experiments/{sent['experiment_id']}/runs/{sent['run_id']}"
        look = "" if server else f" (mlflow ui --backend-store-uri {uri})"
        logger.info("MLflow: %s run %s at %s%s", status, self.run_id, page if sent["run_id"] else uri, look)

    def close(self) -> None:
        """Let go of the run: at the end of the program and before another run. A run that has not ended by then was
        KILLED.
        """
        if not self._open:
            return
        if self._running:
            self.log_tags({"error": "the program ended before its engine did"})
            self.finish("KILLED")
        elif not self._worker.flush(0.0) and self._worker.trouble is None:
            self._worker.flush(min(self.wait, KILLED_WAIT_SECONDS))
        self._worker.stop(timeout=2.0)
        if self._spool.folder.is_dir():
            self._spool.cleanup()
        self._open = False
        self._exits.unwatch()

    # --- how runs die -----------------------------------------------------------------------------

    def _died(self, error: BaseException) -> None:
        if error is self._reported or not self._open:
            return
        self._reported = error
        self.log_tags({"error": f"{type(error).__name__}: {error}"})
        self._log_file("", "error.txt", lambda path: path.write_text("".join(traceback.format_exception(error))))
        self.finish("KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED")

    def _died_outside(self, error: BaseException) -> None:
        if self._running or not isinstance(error, KeyboardInterrupt):
            self._died(error)

    # --- what others log --------------------------------------------------------------------------

    def log_metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers under their full names (`test/cnr`); nested mappings become `a/b`. Default step: the
        trainer's iteration.
        """
        if self._open:
            numbers = {name.removeprefix("/"): float(value) for name, value in scalars(values, "").items()}
            self._spool.append("metrics", step=self._step if step is None else step, time=now(), values=numbers)

    def log_tags(self, values: Mapping[str, Any]) -> None:
        """Set tags; values become strings."""
        if self._open:
            self._spool.append("tags", values={name: str(facts.without_secrets(v, name)) for name, v in values.items()})

    def log_figure(self, name: str, figure: Figure, step: int | None = None) -> None:
        """Log a Matplotlib figure as figures/name[_step].png."""
        self._log_file("figures", f"{_stepped(name, step)}.png", lambda path: figure.savefig(path, bbox_inches="tight"))

    def log_table(self, path: str | Path) -> None:
        """Log a table file (CSV, JSON) under tables/."""
        self.log_artifact(path, "tables")

    def log_artifact(self, path: str | Path, folder: str = "") -> None:
        """Log a file, copied now, under `folder` of the run's artifacts."""
        self._log_file(folder, Path(path).name, lambda place: shutil.copyfile(path, place))

    def log_dict(self, values: Mapping[str, Any], name: str) -> None:
        """Log a nested mapping as the YAML file `name`, which may hold folders."""
        self._log_file("", name, lambda path: path.write_text(yaml.safe_dump(dict(values), sort_keys=False)))

    def _log_file(self, folder: str, name: str, write: Callable[[Path], Any]) -> None:
        if self._open:
            inner = Path(folder) / name
            try:
                path = self._spool.new_artifact_path(inner.name)
                write(path)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                return logger.warning("MLflow: %s is not logged: %s", inner, error)
            self._spool.add_file(path, "" if inner.parent == Path() else inner.parent.as_posix())


def _stepped(name: str, step: int | None) -> str:
    return name if step is None else f"{name}_{step:08d}"
