"""Checkpoints from which a run continues as if it had never stopped."""

import logging
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events

from scripts.files.atomic import atomic_path
from scripts.files.errors import UserError
from scripts.weights.model_file import model_state

logger = logging.getLogger(__name__)


class CheckpointHandler:
    """Save and restore everything that a training is: weights, optimizer, schedule, loss scaler, random states, best metric.

    Files in `folder`: checkpoint_last.pt (after every epoch and within it), checkpoint_best.pt (when the metric
    improves), checkpoint_epoch{n}.pt (every `every_epochs`). Each is written beside and renamed, so a killed run leaves the
    previous one whole; each loads with `torch.load(weights_only=True)`, and holds the network's class and `architecture`, so that
    `scripts.weights.load_network` builds the network from it alone. The calibration that an evaluation left beside older ones goes.

    A run that stopped inside an epoch continues at the next batch of that epoch, which needs `EpochSampler` in the trainer's
    loader. Attach this handler after the one that validates, so that an epoch's metric is known when it is saved.

    Args:
        folder: where checkpoints stand.
        network, optimizer, lr_scheduler: what is trained; a DistributedDataParallel network is unwrapped.
        evaluator: engine whose `state.metrics[metric]` decides which epoch is best.
        metric: its name.
        mode: "max" or "min".
        every_epochs: keep a copy every so many epochs; 0 keeps none.
        every_iterations: save checkpoint_last.pt every so many iterations as well, at the next update where gradients of several
            batches are accumulated; 0 saves after epochs only.
        resume: continue from checkpoint_last.pt.
        preprocessing: how films and reports reach the network, plain values by name; kept in the files, so that
            `scripts.weights.load_network` can tell when they reach it otherwise.
        extra: modules by name that the training needs and the network does without, a co-teaching partner, say.

    Raises:
        UserError: `resume` without a checkpoint in `folder`, or with one of other `extra`.
    """

    def __init__(
        self,
        folder: str | Path,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        lr_scheduler: torch.optim.lr_scheduler.LRScheduler,
        evaluator: Engine,
        metric: str,
        mode: str = "max",
        every_epochs: int = 0,
        every_iterations: int = 0,
        resume: bool = False,
        preprocessing: dict[str, Any] | None = None,
        extra: Mapping[str, torch.nn.Module] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.network = getattr(network, "module", network)
        self.parts = {"network": self.network, "optimizer": optimizer, "lr_scheduler": lr_scheduler}
        self.evaluator, self.metric, self.sign = evaluator, metric, {"max": 1.0, "min": -1.0}[mode]
        self.every_epochs, self.every_iterations, self.resume = every_epochs, every_iterations, resume
        self.preprocessing = dict(preprocessing or {})
        self.extra = dict(extra or {})
        self.best = {"value": None, "epoch": 0}
        self._due = False

    def attach(self, engine: Engine) -> None:
        self.parts["grad_scaler"] = engine.grad_scaler
        if self.resume:
            engine.add_event_handler(Events.STARTED, self._load)
        if self.every_iterations:
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._iteration_completed)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)

    def _iteration_completed(self, engine: Engine) -> None:
        self._due |= engine.state.iteration % self.every_iterations == 0
        step = engine.state.iteration % engine.state.epoch_length
        # Gradients between two updates are not in the file, and an epoch's end has its validation still to come.
        if self._due and step and step % engine.accumulation_steps == 0:
            self._save(engine, ["last"])

    def _epoch_completed(self, engine: Engine) -> None:
        names = ["last"]
        value = self.evaluator.state.metrics.get(self.metric) if self.evaluator.state.epoch else None
        known = value is not None and not math.isnan(value)
        if known and (self.best["value"] is None or self.sign * (value - self.best["value"]) > 0):
            self.best = {"value": float(value), "epoch": engine.state.epoch}
            names.append("best")
        if self.every_epochs and engine.state.epoch % self.every_epochs == 0:
            names.append(f"epoch{engine.state.epoch}")
        self._save(engine, names)

    def _save(self, engine: Engine, names: list[str]) -> None:
        self._due = False
        random_states = _gather(_random_state())
        if dist.is_initialized() and dist.get_rank():
            return
        state = {name: part.state_dict() for name, part in self.parts.items()} | model_state(self.network, self.preprocessing)
        state |= {"iteration": engine.state.iteration, "epoch_length": engine.state.epoch_length}
        state |= {"random_states": random_states, "best": self.best}
        if self.extra:
            state["extra"] = {name: part.state_dict() for name, part in self.extra.items()}
        for name in names:
            with atomic_path(self.folder / f"checkpoint_{name}.pt") as path:
                torch.save(state, path)
        for fitted in self.folder.glob("calibration*.pt"):  # to weights that these have replaced
            fitted.unlink()

    def _load(self, engine: Engine) -> None:
        path = self.folder / "checkpoint_last.pt"
        if not path.is_file():
            raise UserError(f"nothing to resume: {path} does not exist. Leave resume out, or set output_dir to that of the run")
        state = torch.load(path, map_location=engine.state.device, weights_only=True)
        if state["epoch_length"] != engine.state.epoch_length:
            raise UserError(
                f"{path} was made with {state['epoch_length']} batches an epoch, this run has {engine.state.epoch_length}: "
                "resume with the datalist, batch_size and number of processes of the first run"
            )
        extra = state.get("extra", {})
        if extra.keys() != self.extra.keys():
            held, needed = (", ".join(sorted(names)) or "no part" for names in (extra, self.extra))
            raise UserError(
                f"{path} holds {held} beside the network, this run needs {needed}: resume with the settings of the first run "
                "(co_teaching_weight, say)"
            )
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        for name, part in self.extra.items():
            part.load_state_dict(extra[name])
        self.best = state["best"]
        engine.state.iteration = state["iteration"]
        engine.state.epoch, done = divmod(state["iteration"], state["epoch_length"])
        loader = engine.data_loader
        loader.sampler.skip_next(done * loader.batch_size)
        random_state = state["random_states"][dist.get_rank() if dist.is_initialized() else 0]
        _set_random_state(random_state)
        if done:
            # Starting a loader draws a number; within an epoch that number has been drawn before the state was saved.
            again = Events.GET_BATCH_STARTED(once=engine.state.iteration)
            engine.add_event_handler(again, lambda: _set_random_state(random_state))
        logger.info("resumed from %s at epoch %d, iteration %d", path, engine.state.epoch, engine.state.iteration)


def _gather(state: dict[str, Any]) -> list[dict[str, Any]]:
    if not dist.is_initialized():
        return [state]
    states: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(states, state)
    return states


def _random_state() -> dict[str, Any]:
    """States of Python's, NumPy's and Torch's generators as tensors and numbers, which `weights_only` admits."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
