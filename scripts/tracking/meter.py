"""Turns what an Ignite engine does into metrics."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine

from scripts.tracking.machine import MachineMeter
from scripts.tracking.spool import now

FLUSH_SECONDS = 1.0


class EngineMeter:
    """Losses, learning rate, throughput and metrics of one engine, as records for the spool.

    Values of single iterations are collected and handed over about once a second: a value on an accelerator is then
    fetched together with all others, so that watching a training does not make it wait for the device at every step.

    Args:
        prefix: first part of the metrics' names: "train", "val", "test".
        emit: takes a list of records.
    """

    def __init__(self, prefix: str, emit: Callable[[list[dict[str, Any]]], None]) -> None:
        self.prefix, self.emit = prefix, emit
        self._points: list[tuple[int, int, dict[str, Any]]] = []
        self._rates: dict[str, float] = {}
        self._machine = MachineMeter()
        self.epoch_started()

    def epoch_started(self) -> None:
        """Start the clock: what happens between epochs is not throughput."""
        self._samples, self._since = 0, time.monotonic()

    def iteration_completed(self, engine: Engine, step: int) -> None:
        """Take note of one iteration; `step` is its number in the run."""
        self._samples += batch_size(engine.state.batch)
        if self.prefix != "train":
            return
        values = scalars(losses(engine.state.output), self.prefix)
        rates = learning_rates(engine)
        values |= {f"{self.prefix}/{name}": rate for name, rate in rates.items() if self._rates.get(name) != rate}
        self._rates = rates
        if values:
            self._points.append((step, now(), values))
        if time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush(step)

    def epoch_completed(self, engine: Engine, step: int) -> None:
        """Take note of an epoch's metrics."""
        values = scalars(engine.state.metrics, self.prefix)
        if self.prefix == "train":
            values["train/epoch"] = float(engine.state.epoch)
        self._points.append((step, now(), values))
        self.flush(step)

    def flush(self, step: int | None = None) -> None:
        """Hand over what is collected, with the throughput up to `step`; without a step, as after a failure,
        without it.
        """
        seconds = time.monotonic() - self._since
        if step is not None and self._samples and seconds:
            machine = {"samples_per_second": self._samples / seconds, **self._machine.values()}
            self._points.append((step, now(), scalars(machine, self.prefix)))
        points, self._points = self._points, []
        fetch([values for _, _, values in points])
        records = [{"kind": "metrics", "step": s, "time": at, "values": values} for s, at, values in points if values]
        if records:
            self.emit(records)
        self.epoch_started()


def losses(output: Any) -> dict[str, Any]:
    """The named scalars of an engine's output: all of a mapping; of MONAI's decollated list, the losses (the same
    in each item).
    """
    if isinstance(output, Mapping):
        return dict(output)
    if isinstance(output, list) and output and isinstance(output[0], Mapping):
        return {name: value for name, value in output[0].items() if str(name).startswith("loss")}
    return {"loss": output}


def scalars(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Numbers and one-value tensors by name, nested mappings as `a/b`; everything else is left out.

    Tensors on an accelerator stay there for `fetch`.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= scalars(value, f"{prefix}/{name}")
        elif isinstance(value, torch.Tensor) and value.ndim == 0:
            found[f"{prefix}/{name}"] = value.detach() if value.device.type != "cpu" else float(value.detach())
        elif isinstance(value, bool | int | float | np.number) or (isinstance(value, np.ndarray) and value.ndim == 0):
            found[f"{prefix}/{name}"] = float(value)
    return found


def fetch(rows: list[dict[str, Any]]) -> None:
    """Replace tensors in `rows` by their values, in one transfer from the device."""
    places = [(row, name) for row in rows for name, value in row.items() if isinstance(value, torch.Tensor)]
    if places:
        stacked = torch.stack([row[name].float() for row, name in places])
        for (row, name), value in zip(places, stacked.tolist(), strict=True):
            row[name] = value


def learning_rates(engine: Engine) -> dict[str, float]:
    """Learning rate of the engine's optimizer; parameter groups after the first by number."""
    groups = getattr(getattr(engine, "optimizer", None), "param_groups", [])
    return {f"learning_rate_{i}" if i else "learning_rate": float(group["lr"]) for i, group in enumerate(groups)}


def batch_size(batch: Any) -> int:
    """Cases in a batch: its `case_ids`, else the first dimension of its first tensor, else its length."""
    if isinstance(batch, Mapping):
        if "case_ids" in batch:
            return len(batch["case_ids"])
        batch = next((value for value in batch.values() if isinstance(value, torch.Tensor) and value.ndim), [])
    elif isinstance(batch, tuple | list) and batch and isinstance(batch[0], torch.Tensor) and batch[0].ndim:
        batch = batch[0]
    return len(batch) if hasattr(batch, "__len__") else 0
