"""AFLoc's published evaluation, as it is, beside ours."""

import logging
from pathlib import Path

import numpy as np
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from scripts.metrics.published.afloc import evaluate_as_published, published_truth

logger = logging.getLogger(__name__)


class PublishedAFLocReport:
    """Score findings with boxes by the published protocol and write its tables.

    Raw heat maps in letterboxed space, a margin of 14 px, boxes transferred with its rounding, overlapping boxes that fall out, its
    bootstrap over rows: see `scripts.metrics.published.afloc`. For numbers to compare with the paper's; `ImageReport` is
    what to trust.

    Args:
        folder: where metric.csv and the other tables go.
        size: side of the letterboxed films, 224 as published.
    """

    def __init__(self, folder: str | Path, size: int = 224) -> None:
        self.folder = Path(folder)
        self.size = size

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _start(self, engine: Engine) -> None:
        self._heats: list[NDArray] = []
        self._truths: list[NDArray] = []
        self._labels: list[str] = []

    def _collect(self, engine: Engine) -> None:
        for record, queries, answers in engine.state.output["answers"]:
            for query, answer in zip(queries, answers, strict=True):
                boxes = record["findings"][query.finding].get("boxes") if query.finding is not None else None
                if boxes:
                    height, width = answer.heat.shape
                    self._heats.append(answer.raw)
                    self._truths.append(published_truth(boxes, width, height, self.size))
                    self._labels.append(query.label)

    def _write(self, engine: Engine) -> None:
        if not self._heats:
            logger.warning("no finding has boxes: the published protocol has nothing to score")
            return
        results = evaluate_as_published(self._heats, np.array(self._truths), self._labels)
        results.write(self.folder)
        logger.info("published protocol, %d findings, tables in %s\n%s", len(self._heats), self.folder, results.metrics)
