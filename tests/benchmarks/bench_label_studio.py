"""A thousand films with masks to Label Studio and back: seconds of push and of pull, against a real server.

    python -m tests.benchmarks label_studio

The server is the one that `serve` starts, on SQLite, on the same machine and its cores. Films and masks are 512 x 512; a film has
two findings with masks and a report. Reviews are written in between through the server's interface, as the page submits them, and
are not part of the time.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from label_studio_sdk import LabelStudio

from integrations.label_studio.client import connect
from integrations.label_studio.pull import pull
from integrations.label_studio.push import push
from integrations.label_studio.server.process import running
from integrations.label_studio.workspace import Workspace
from scripts.cases.finding import Finding
from scripts.datalists.datalist import save_datalist
from scripts.predictions.predictions import PredictionWriter
from tests.benchmarks.measure import print_table

FILMS, SIDE, PORT = 1000, 512, 18080
PROJECT = "benchmark"
MODEL = {"bundle": "benchmark", "version": "0", "checkpoint_sha256": "0" * 64, "mlflow_run_id": None}
DRAWN = ("Mass", "Effusion")


def write_films(folder: Path) -> None:
    """Films, their predictions and their datalist."""
    random = np.random.default_rng(0)
    records = []
    with PredictionWriter(folder, "cxr", MODEL) as writer:
        for number in range(FILMS):
            film = cv2.GaussianBlur(random.integers(0, 255, (SIDE, SIDE), dtype=np.uint8), (0, 0), 4)
            image = folder / f"film{number}.png"
            cv2.imwrite(str(image), film)
            findings = []
            for label in DRAWN:
                canvas = np.zeros((SIDE, SIDE), np.uint8)
                centre, axes = random.integers(SIDE // 4, SIDE - SIDE // 4, 2), random.integers(20, SIDE // 6, 2)
                cv2.ellipse(canvas, centre.tolist(), axes.tolist(), float(random.uniform(0, 180)), 0, 360, 1, -1)
                findings.append(Finding(label, probability=0.8, confidence=float(random.random()), mask=canvas > 0))
            writer.add(f"film{number}", [image], findings)
            report = "A mass of the right lung. A small effusion."
            records.append({"study_id": f"film{number}", "patient_id": f"patient{number}", "image": str(image), "report": report})
    save_datalist(folder / "datalist.json", "cxr", {"training": records})


def submit_all(client: LabelStudio, project_id: int) -> None:
    """A review of every task, which leaves everything as it is."""
    for task in client.tasks.list(project=project_id, fields="all"):
        (prediction,) = task.predictions
        parent = prediction.id
        client.annotations.create(id=task.id, result=prediction.result, parent_prediction=parent, lead_time=1.0)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        films, workspace = Path(folder) / "films", Workspace(Path(folder) / "label_studio")
        write_films(films)
        with running(workspace, PORT) as url:
            client = connect(workspace, url)

            def send() -> None:
                push(client, workspace, films, PROJECT, datalist=films / "datalist.json")

            first, again = timed(send), timed(send)
            submit_all(client, next(iter(client.projects.list(title=PROJECT))).id)
            back = timed(lambda: pull(client, workspace, PROJECT, Path(folder) / "reviewed"))
    rows = [["push", f"{first:.1f}", "<= 30"], ["push again", f"{again:.1f}", ""], ["pull", f"{back:.1f}", "<= 20"]]
    print_table(f"{FILMS:,} films of {SIDE} x {SIDE} with {len(DRAWN)} masks each", ["", "seconds", "target"], rows)


if __name__ == "__main__":
    main()
