"""What a step of 20 metrics costs until it is in the store: our tracker on SQLite and, where it is installed, PostgreSQL.

    python -m tests.benchmarks stores
    python tests/benchmarks/bench_stores.py [RUNS] [STEPS]

Runs follow each other in one process, 50 of 1,000 steps by default, a million values. "the caller's" is the time that
`log_metrics` keeps the program; "until stored" is everything, from the first value to the end of the last run, by the
clock and by the processor (of this process; PostgreSQL's own is not in it). PostgreSQL runs as a throw-away cluster on
this machine, or at VLM_POSTGRES_URI.
"""

import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.tracking.recorder import MLflowTracker
from tests.benchmarks.measure import print_table
from tests.tracking.test_postgres import Cluster, programs

METRICS = 20


@contextmanager
def postgres() -> Iterator[str | None]:
    """Address of a PostgreSQL store; None where there is none."""
    if given := os.environ.get("VLM_POSTGRES_URI"):
        yield given
        return
    folder = programs()
    if folder is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="cluster-", dir="/tmp") as place:  # a socket's path has 107 characters at most
        cluster = Cluster(Path(place), folder)
        cluster.start()
        try:
            yield cluster.uri
        finally:
            cluster.stop()


def measure(name: str, address: str, runs: int, steps: int) -> list[str]:
    """One line of the table."""
    experiment = f"bench {time.time_ns()}"
    with tempfile.TemporaryDirectory() as folder:
        client = MlflowClient(address)
        number = client.create_experiment(experiment, artifact_location=Path(folder).as_uri())
        names = [f"train/measure_{index}" for index in range(METRICS)]
        called, clock, processor = 0.0, time.perf_counter(), time.process_time()
        for run in range(runs):
            tracker = MLflowTracker(experiment, Path(folder) / str(run), tracking_uri=address, params={"lr": 0.1}, wait=600)
            tracker.start()
            for step in range(steps):
                values = {metric: random.random() for metric in names}
                before = time.perf_counter()
                tracker.log_metrics(values, step)
                called += time.perf_counter() - before
            tracker.finish()
            tracker.close()
        taken = (called, time.perf_counter() - clock, time.process_time() - processor)
        stored = client.search_runs([number], max_results=runs)
        whole = sum(len(client.get_metric_history(run.info.run_id, names[0])) for run in stored[:3]) == min(3, runs) * steps
    cells = [f"{seconds / (runs * steps) * 1000:.3f}" for seconds in taken]
    return [name, *cells, "yes" if whole and len(stored) == runs else "NO"]


def main(runs: int = 50, steps: int = 1000) -> None:
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder, postgres() as address:
        rows = [measure("SQLite", f"sqlite:///{folder}/mlflow.db", runs, steps)]
        if address is not None:
            rows.append(measure("PostgreSQL", address, runs, steps))
    notes = [] if address is not None else ["PostgreSQL is not installed and VLM_POSTGRES_URI is not set"]
    title = f"Tracking, ms a step: {runs} runs x {METRICS} metrics x {steps:,} steps"
    print_table(title, ["store", "the caller's", "until stored", "of the processor", "all there"], rows, notes)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
