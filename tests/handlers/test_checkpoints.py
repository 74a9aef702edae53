import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Events

from scripts.files.errors import UserError
from scripts.weights import load_network
from tests.small_afloc import EPOCH_LENGTH, EPOCHS, new_run

ROOT = Path(__file__).resolve().parents[2]


class Interrupted(Exception):
    pass


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order here and in the processes that tests start."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs that nothing interrupted, by their number of batches an update."""
    runs = {}

    def get(accumulation_steps=1):
        if accumulation_steps not in runs:
            folder = tmp_path_factory.mktemp("whole")
            run = new_run(folder, accumulation_steps=accumulation_steps, every_epochs=2)
            run.trainer.run()
            runs[accumulation_steps] = run
        return runs[accumulation_steps]

    return get


def interrupt(run, iteration):
    @run.trainer.on(Events.ITERATION_COMPLETED(once=iteration))
    def stop():
        raise Interrupted

    with pytest.raises(Interrupted):
        run.trainer.run()


def test_the_calibration_of_older_weights_goes_with_them(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    fitted = [folder / name for name in ("calibration.pt", "calibration_published.pt")]
    for path in fitted:
        path.touch()
    interrupt(new_run(tmp_path), 1)
    assert all(path.exists() for path in fitted)  # the old weights are still there
    new_run(tmp_path).trainer.run()
    assert (folder / "checkpoint_last.pt").is_file() and not any(path.exists() for path in fitted)


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def everything(run):
    parts = (run.network, run.optimizer, run.lr_scheduler, run.trainer.grad_scaler)
    generators = (random.getstate(), np.random.get_state(), torch.get_rng_state())
    return [part.state_dict() for part in parts], generators, run.checkpoints.best


def assert_goes_on_like(run, expected, first):
    """The run's trace from iteration `first` on, its validations and its weights are those of the whole run."""
    steps = [step for step in expected.trace if step[0] >= first]
    assert [iteration for iteration, _ in run.trace] == [iteration for iteration, _ in steps]
    assert [loss for _, loss in run.trace] == pytest.approx([loss for _, loss in steps], abs=1e-6)
    checks = [check for check in expected.validations if check[0] > (first - 1) // EPOCH_LENGTH]
    assert [epoch for epoch, _ in run.validations] == [epoch for epoch, _ in checks]
    assert [loss for _, loss in run.validations] == pytest.approx([loss for _, loss in checks], abs=1e-6)
    assert run.checkpoints.best["epoch"] == expected.checkpoints.best["epoch"]
    ours, theirs = run.network.state_dict(), expected.network.state_dict()
    assert all(torch.allclose(ours[key].double(), theirs[key].double(), atol=1e-6) for key in theirs)


def test_all_that_a_training_is_comes_back(tmp_path):
    first = new_run(tmp_path, seed=3, epochs=1)
    first.trainer.run()
    saved = everything(first)
    second = new_run(tmp_path, seed=4, epochs=1, resume=True)
    assert not any(equal(a, b) for a, b in zip(everything(second)[0][:3], saved[0], strict=False))
    second.trainer.run()
    assert equal(everything(second), saved)
    assert second.trace == [] and second.trainer.state.iteration == EPOCH_LENGTH
    assert second.checkpoints.best == {"value": first.validations[0][1], "epoch": 1}


def test_a_file_is_safe_to_load_and_builds_its_network(whole):
    run = whole()
    folder = run.checkpoints.folder
    kept = {"checkpoint_last.pt", "checkpoint_best.pt", "checkpoint_epoch2.pt"}
    assert {file.name for file in folder.iterdir()} == kept
    state = torch.load(folder / "checkpoint_last.pt", weights_only=True)
    assert state["iteration"] == EPOCHS * EPOCH_LENGTH and state["epoch_length"] == EPOCH_LENGTH
    assert torch.load(folder / "checkpoint_epoch2.pt", weights_only=True)["iteration"] == 2 * EPOCH_LENGTH
    best = torch.load(folder / "checkpoint_best.pt", weights_only=True)
    assert best["iteration"] == best["best"]["epoch"] * EPOCH_LENGTH
    assert best["best"]["value"] == min(loss for _, loss in run.validations)
    network = load_network("AFLoc", folder / "checkpoint_last.pt")
    assert equal(network.state_dict(), run.network.state_dict()) and not network.training


@pytest.mark.parametrize(
    "stop, saved, options",
    [
        (6, 4, {}),  # the last epoch's
        (7, 6, {"every_iterations": 3}),  # in the middle of an epoch
        (8, 7, {"every_iterations": 7, "workers": 2}),
        (7, 6, {"every_iterations": 1, "accumulation_steps": 2}),  # not 7: half an update is in no file
        (7, 6, {"every_iterations": 5, "accumulation_steps": 2}),  # due at 5, made at the next update
    ],
)
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(tmp_path, whole, stop, saved, options):
    broken = new_run(tmp_path, **options)
    interrupt(broken, stop)
    torch.rand(7)
    again = new_run(tmp_path, seed=11, resume=True, **options)
    again.trainer.run()
    expected = whole(options.get("accumulation_steps", 1))
    assert np.allclose(broken.trace, expected.trace[: len(broken.trace)], rtol=0, atol=1e-6)
    assert_goes_on_like(again, expected, saved + 1)


def test_an_epoch_that_was_not_validated_is_validated_after_all(tmp_path, whole):
    """A save at an epoch's last iteration would leave its validation, and its chance to be the best, out."""
    broken = new_run(tmp_path, every_iterations=2)

    @broken.evaluator.on(Events.STARTED)
    def stop():
        if broken.trainer.state.epoch == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        broken.trainer.run()
    again = new_run(tmp_path, seed=11, every_iterations=2, resume=True)
    again.trainer.run()
    assert_goes_on_like(again, whole(), 7)
    assert [epoch for epoch, _ in again.validations] == [2, 3]


@pytest.mark.parametrize(
    "mode, values, best",
    [
        ("min", [0.5, 0.3, 0.4], (0.3, 2)),
        ("max", [0.5, 0.3, 0.7], (0.7, 3)),
        ("max", [float("nan"), 0.3, float("nan")], (0.3, 2)),
        ("min", [0.3, 0.3, float("-inf")], (float("-inf"), 3)),
        ("min", [float("nan")] * 3, (None, 0)),
    ],
)
def test_which_epoch_is_best(tmp_path, mode, values, best):
    run = new_run(tmp_path)
    run.checkpoints.sign = {"max": 1.0, "min": -1.0}[mode]

    @run.evaluator.on(Events.COMPLETED)
    def pretend(engine):
        engine.state.metrics["loss"] = values[engine.state.epoch - 1]

    run.trainer.run()
    assert run.checkpoints.best == {"value": best[0], "epoch": best[1]}
    file = tmp_path / "run" / "checkpoint_best.pt"
    assert file.exists() == (best[0] is not None)
    assert not file.exists() or torch.load(file, weights_only=True)["iteration"] == best[1] * EPOCH_LENGTH


def test_another_epoch_length_is_refused(tmp_path):
    new_run(tmp_path, epochs=1).trainer.run()
    other = new_run(tmp_path, batch_size=8, resume=True)
    with pytest.raises(UserError, match=r"checkpoint_last\.pt was made with 4 batches an epoch, this run has 2: resume"):
        other.trainer.run()
    assert other.trace == []


def test_nothing_to_resume(tmp_path):
    with pytest.raises(UserError, match=r"nothing to resume: .*checkpoint_last\.pt does not exist"):
        new_run(tmp_path, resume=True).trainer.run()


def test_an_interrupted_save_leaves_the_file_before_it(tmp_path, monkeypatch):
    new_run(tmp_path, epochs=1).trainer.run()
    folder = tmp_path / "run"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def breaks(state, path):
        Path(path).write_bytes(b"half a checkpoint")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", breaks)
    with pytest.raises(OSError, match="no space left"):
        new_run(tmp_path, epochs=2, resume=True).trainer.run()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_it_had_never_stopped(tmp_path):
    """`kill -9` in mid-training, then a new process."""
    command = [sys.executable, "-m", "tests.small_afloc", str(tmp_path)]
    options = {"cwd": ROOT, "text": True, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        killed = [process.stdout.readline() for _ in range(15)]
        process.send_signal(signal.SIGKILL)
        killed += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL and 15 <= len(killed) < 40
    rest = subprocess.run([*command, "resume"], stdout=subprocess.PIPE, check=True, **options).stdout.splitlines()
    (folder := tmp_path / "whole").mkdir()
    run = new_run(folder, epochs=10)
    run.trainer.run()
    traces = [[(int(line.split()[0]), float(line.split()[1])) for line in lines] for lines in (killed, rest)]
    assert np.allclose(traces[0], run.trace[: len(killed)], rtol=0, atol=1e-6)
    assert 1 < traces[1][0][0] <= len(killed) + 1 and traces[1][-1][0] == 40
    assert np.allclose(traces[1], run.trace[traces[1][0][0] - 1 :], rtol=0, atol=1e-6)
