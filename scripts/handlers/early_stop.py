"""Ends a training that has stopped getting better."""

from ignite.engine import Engine, Events

from scripts.handlers.checkpoints import CheckpointHandler


class EarlyStop:
    """End the run when the last so many epochs brought no better checkpoint.

    It counts from the checkpoints' own best epoch, which a resumed run knows (MONAI's `EarlyStopHandler` starts anew). Attach it
    after the `CheckpointHandler`.

    Args:
        checkpoints: knows the best epoch.
        patience: epochs without a better one; 0 never stops.
    """

    def __init__(self, checkpoints: CheckpointHandler, patience: int) -> None:
        self.checkpoints, self.patience = checkpoints, patience

    def attach(self, engine: Engine) -> None:
        if self.patience:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._look)

    def _look(self, engine: Engine) -> None:
        best = self.checkpoints.best["epoch"]
        if best and engine.state.epoch - best >= self.patience:
            engine.logger.info("no better epoch than %d in %d epochs: the training ends", best, self.patience)
            engine.terminate()
