"""Writes down the cases that a data set had to set aside."""

from ignite.engine import Engine, Events

from scripts.files.rejected import RejectionLog


class RejectionHandler:
    """Pass every batch's rejected cases to a `RejectionLog`, which ends the run when there are too many.

    Args:
        log: where the cases go.
    """

    def __init__(self, log: RejectionLog) -> None:
        self.log = log

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._write)
        engine.add_event_handler(Events.COMPLETED, self._count)

    def _write(self, engine: Engine) -> None:
        for case, reason in engine.state.batch["rejected"]:
            self.log.add(case, reason)

    def _count(self, engine: Engine) -> None:
        if self.log.count:
            engine.logger.warning("%d cases were set aside; see %s", self.log.count, self.log.path)
