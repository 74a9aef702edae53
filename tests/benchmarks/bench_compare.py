"""How long `python mlflow/compare.py` takes on many runs, from its start to its end.

    python -m tests.benchmarks compare
    python tests/benchmarks/bench_compare.py [RUNS ...]

Every run has 20 metrics of 1,000 steps, 200 parameters, metrics.json, and the tables of 400 films that an evaluation of
cxr_localization leaves. Rows go into MLflow's SQLite tables directly: logging ten million values would take hours, and
how long that takes is `bench_tracking`'s matter. Processor time stands beside the clock's, which other programs disturb.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow import MlflowClient
from sqlalchemy import create_engine

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.measure import print_table

PROJECT = Path(__file__).resolve().parents[2]
METRICS, STEPS, PARAMS = 20, 1000, 200
FILMS, LABELS = 400, 10
TARGETS = {50: 10, 500: 60}


def make_store(folder: Path, runs: int) -> tuple[str, list[str]]:
    """A store with its artifacts; its address and the runs' ids."""
    address, artifacts = f"sqlite:///{folder}/mlflow.db", folder / "mlartifacts"
    experiment = MlflowClient(address).create_experiment("bench", artifact_location=artifacts.as_uri())
    ids = [uuid.uuid4().hex for _ in range(runs)]
    rng = np.random.default_rng(0)
    names = [f"test/measure_{number}" for number in range(METRICS)]
    steps = np.tile(np.arange(STEPS), METRICS)
    with create_engine(address).begin() as connection:
        # Rows are made as MLflow makes them: a history, and the last values apart.
        for number, run in enumerate(ids):
            info = {"run_uuid": run, "name": f"run {number}", "experiment_id": int(experiment), "status": "FINISHED", "user_id": ""}
            info |= {"start_time": 1_790_000_000_000 + number, "end_time": 1_790_003_600_000 + number, "lifecycle_stage": "active"}
            info |= {"artifact_uri": (artifacts / run / "artifacts").as_uri(), "source_type": "LOCAL"}
            pd.DataFrame([info]).to_sql("runs", connection, if_exists="append", index=False)
            history = pd.DataFrame({"key": np.repeat(names, STEPS), "value": rng.random(METRICS * STEPS), "step": steps})
            history = history.assign(timestamp=steps, run_uuid=run, is_nan=False)
            history.to_sql("metrics", connection, if_exists="append", index=False)
            history.iloc[STEPS - 1 :: STEPS].to_sql("latest_metrics", connection, if_exists="append", index=False)
            values = [str(number if position < 10 else position) for position in range(PARAMS)]
            params = pd.DataFrame({"key": [f"setting_{position}" for position in range(PARAMS)], "value": values, "run_uuid": run})
            params.to_sql("params", connection, if_exists="append", index=False)
            _write_files(artifacts / run / "artifacts", history, rng)
    return address, ids


def _write_files(folder: Path, history: pd.DataFrame, rng: np.random.Generator) -> None:
    (folder / "figures").mkdir(parents=True)
    last = history.iloc[STEPS - 1 :: STEPS]
    intervals = {
        key.partition("/")[2]: {"estimate": value, "lower": value - 0.1, "upper": value + 0.1}
        for key, value in zip(last["key"], last["value"], strict=True)
    }
    (folder / "metrics.json").write_text(json.dumps({"localization": {"all": intervals}}))
    films = np.arange(FILMS)
    who = {"case_id": [f"film-{film}" for film in films], "patient_id": [f"patient-{film}" for film in films]}
    measures = {name: rng.random(FILMS) for name in ("pointing", "cnr", "miou", "mdice", "region_iou", "probability")}
    labels = [f"finding {film % LABELS}" for film in films]
    cases = pd.DataFrame(who | {"kind": "present", "label": labels, "text": "a finding", "area_fraction": films / FILMS} | measures)
    cases.to_csv(folder / "per_case.csv", index=False)
    asked = pd.DataFrame(who).merge(pd.DataFrame({"label": sorted(set(labels))}), how="cross")
    asked = asked.assign(truth=np.arange(len(asked)) % 3 // 2, probability=rng.random(len(asked)))
    asked.to_csv(folder / "per_label.csv", index=False)
    Figure(figsize=(6, 6)).savefig(folder / "figures" / "overlays_00000000.png")


def measure(runs: int) -> list[str]:
    """One line of the table: the whole command in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        address, ids = make_store(Path(folder), runs)
        page = Path(folder) / "comparison.html"
        command = [sys.executable, str(PROJECT / "mlflow" / "compare.py"), *ids, "--tracking_uri", address, "--output", str(page)]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
        clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        size = f"{page.stat().st_size / 2**20:.1f}"
        return [str(runs), f"{clock:.1f}", f"{processor:.1f}", size, f"{TARGETS[runs]} s" if runs in TARGETS else "-"]


def main(*counts: int) -> None:
    rows = [measure(runs) for runs in counts or TARGETS]
    title = f"compare.py: runs of {METRICS} metrics x {STEPS:,} steps, {PARAMS} parameters, tables of {FILMS} films"
    print_table(title, ["runs", "seconds", "of the processor", "page, MiB", "target"], rows)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
