"""When a training ends by itself, and that a resumed one ends where it would have."""

from types import SimpleNamespace

import pytest
from ignite.engine import Engine, Events

from scripts.handlers import EarlyStop


def run(best_by_epoch, patience, first=1):
    """Epochs run when epoch n leaves `best_by_epoch[n - 1]` as the best one."""
    checkpoints = SimpleNamespace(best={"value": None, "epoch": 0})
    engine = Engine(lambda engine, batch: None)
    engine.add_event_handler(Events.STARTED, lambda engine: setattr(engine.state, "epoch", first - 1))
    engine.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: checkpoints.best.update(epoch=best_by_epoch[engine.state.epoch - 1])
    )
    EarlyStop(checkpoints, patience).attach(engine)
    engine.run([0], max_epochs=len(best_by_epoch))
    return engine.state.epoch


@pytest.mark.parametrize(
    ("best", "patience", "last"),
    [([1, 2, 2, 2, 2], 2, 4), ([1, 1, 1, 4, 4], 3, 5), ([1, 1, 1, 1, 1], 0, 5), ([0, 0, 0, 0, 0], 2, 5)],
)
def test_epochs_without_a_better_one_end_it(best, patience, last):
    assert run(best, patience) == last


def test_a_resumed_run_counts_on():
    assert run([1, 2, 2, 2, 2], 2, first=4) == 4
