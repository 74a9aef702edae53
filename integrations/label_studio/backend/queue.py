"""Requests that wait for one model, a bounded number of them, and go through it together."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from integrations.label_studio.errors import LabelStudioError


class Busy(LabelStudioError):
    """As many wait as may wait; a later try may find room."""


@dataclass(frozen=True)
class _Waiting:
    entry: Any
    answer: Future = field(default_factory=Future)


class BatchQueue:
    """One thread that gives what waits to `work`, several at a time.

        with BatchQueue(model.answer, batch_size=8, capacity=64) as waiting:
            answer = waiting.submit(entry).result(timeout=90)

    Args:
        work: answers entries, one answer each, in their order; what it raises is raised for each of the batch.
        batch_size: entries given to `work` at most.
        capacity: entries that may wait.
        patience: seconds that the first of a batch waits for others.
    """

    def __init__(
        self, work: Callable[[Sequence[Any]], Sequence[Any]], batch_size: int, capacity: int, patience: float = 0.02
    ) -> None:
        self._work, self._batch_size, self._patience = work, batch_size, patience
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(capacity)
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def __enter__(self) -> "BatchQueue":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends once what waits is answered."""
        self._waiting.put(None)
        self._thread.join()

    def submit(self, entry: Any) -> Future:
        """Wait in line.

        Raises:
            Busy: as many wait as may wait.
        """
        waiting = _Waiting(entry)
        try:
            self._waiting.put_nowait(waiting)
        except queue.Full:
            raise Busy("the model has as many questions as it may keep waiting; ask again in a moment") from None
        return waiting.answer

    def _run(self) -> None:
        ends = False
        while not ends:
            batch, ends = self._batch()
            # A caller that has gone takes its question back; nobody can take back what is being worked on.
            batch = [waiting for waiting in batch if waiting.answer.set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)

    def _batch(self) -> tuple[list[_Waiting], bool]:
        """What goes through the model together, and whether it is the last."""
        batch: list[_Waiting] = []
        until = None
        while len(batch) < self._batch_size:
            try:
                one = self._waiting.get(timeout=None if until is None else max(until - time.monotonic(), 0))
            except queue.Empty:
                break
            if one is None:
                return batch, True
            batch.append(one)
            until = until or time.monotonic() + self._patience
        return batch, False

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        try:
            answers = self._work([waiting.entry for waiting in batch])
        except Exception as error:  # the thread lives on; each caller learns of it
            for waiting in batch:
                waiting.answer.set_exception(error)
            return
        for waiting, answer in zip(batch, answers, strict=True):
            waiting.answer.set_result(answer)
