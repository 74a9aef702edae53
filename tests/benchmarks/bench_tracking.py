"""What tracking costs an iteration, on SQLite: nothing attached, our tracker, MONAI's MLFlowHandler.

    python tests/benchmarks/bench_tracking.py [ITERATIONS] [ROUNDS]

All train the same small network in one process; each round runs all three, so that a busy moment meets all. A loop
must last many seconds: our thread sends once a second; in a short loop most of its work would fall behind the end.
Figures are ms an iteration above "none" of the same round, as median [lowest .. highest] over the rounds:

    wall     the loop by the clock; other programs on the machine disturb it
    thread   processor time of the training thread: what the handlers themselves take
    process  processor time of all threads; "wall" on an idle machine lies between "thread" and this
"""

import logging
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.handlers import MLFlowHandler
from monai.inferers import SimpleInferer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.files.text_table import text_table
from scripts.tracking.recorder import MLflowTracker


def make_trainer(iterations: int) -> SupervisedTrainer:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1))
    batch = {"image": torch.randn(64, 256), "label": torch.randn(64, 1)}
    trainer = SupervisedTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=[batch] * iterations,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=1e-3),
        loss_function=torch.nn.MSELoss(),
        inferer=SimpleInferer(),
        decollate=False,
    )
    # As in our bundles: a loss and its named terms.
    terms = {f"loss_{name}": torch.tensor(0.5) for name in ("report", "sentence", "word")}
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: trainer.state.output.update(terms))
    return trainer


def clocks() -> tuple[float, float, float]:
    return time.perf_counter(), time.thread_time(), time.process_time()


def measure(kind: str, iterations: int, folder: Path) -> list[float]:
    """Milliseconds an iteration, by wall, thread and process clock."""
    trainer, marks, uri = make_trainer(iterations), [], f"sqlite:///{folder}/{kind}.db"
    tracker = MLflowTracker("bench", tempfile.mkdtemp(dir=folder), tracking_uri=uri, params={})
    if kind == "ours":
        tracker.attach(trainer)
    if kind == "MONAI":
        names = ("loss", "loss_report", "loss_sentence", "loss_word")
        MLFlowHandler(
            uri,
            output_transform=lambda output: {name: float(output[name]) for name in names},
            experiment_name="bench",
            close_on_complete=True,
        ).attach(trainer)
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda: marks.append(clocks()))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: marks.append(clocks()))
    trainer.run()
    tracker.close()
    return [(after - before) / iterations * 1000 for before, after in zip(*marks, strict=True)]


def main(iterations: int = 5000, rounds: int = 5) -> None:
    logging.disable(logging.INFO)
    # MONAI's handler writes at every iteration: a hundredth is enough to know its cost.
    lengths = {"none": iterations, "ours": iterations, "MONAI": max(1, iterations // 100)}
    added: dict[str, list[list[float]]] = {"ours": [], "MONAI": []}
    bare = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in lengths:
            measure(kind, 5, Path(folder))  # imports, tables
        for _ in range(rounds):
            times = {kind: measure(kind, n, Path(folder)) for kind, n in lengths.items()}
            bare.append(times["none"])
            for kind, rows in added.items():
                rows.append([mine - none for mine, none in zip(times[kind], times["none"], strict=True)])
            # Each round at once: where "none" itself varies between rounds, wall times say more about the neighbours.
            print({kind: [round(value, 3) for value in row] for kind, row in times.items()}, flush=True)
    print(f"{iterations} iterations, {rounds} rounds, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    rows = [
        [name, *(f"{statistics.median(c):.3f} [{min(c):.3f} .. {max(c):.3f}]" for c in zip(*measured, strict=True))]
        for name, measured in {"none, total": bare, **{f"{kind}, added": rows for kind, rows in added.items()}}.items()
    ]
    print(text_table(["", "wall", "thread", "process"], rows))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
