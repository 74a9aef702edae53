import threading
from concurrent.futures import CancelledError

import pytest

from integrations.label_studio.backend.queue import BatchQueue, Busy


class Recorder:
    """Work that holds its first batch until told, and remembers all batches."""

    def __init__(self):
        self.batches, self.begun, self.go = [], threading.Event(), threading.Event()

    def __call__(self, entries):
        self.batches.append(list(entries))
        self.begun.set()
        assert self.go.wait(30)
        if "bad" in entries:
            raise ValueError("bad one")
        return [entry.upper() for entry in entries]


def test_what_comes_meanwhile_goes_through_together_in_order():
    work = Recorder()
    with BatchQueue(work, batch_size=3, capacity=10) as waiting:
        first = waiting.submit("a")
        assert work.begun.wait(30)
        others = [waiting.submit(entry) for entry in "bcde"]
        work.go.set()
        assert [future.result(30) for future in (first, *others)] == list("ABCDE")
    assert work.batches == [["a"], ["b", "c", "d"], ["e"]]


def test_at_the_same_time_means_one_batch():
    work = Recorder()
    work.go.set()
    with BatchQueue(work, batch_size=8, capacity=10, patience=5.0) as waiting:
        futures = [waiting.submit(entry) for entry in "abcdefgh"]
        assert [future.result(30) for future in futures] == list("ABCDEFGH")
    assert work.batches == [list("abcdefgh")]


def test_no_more_wait_than_may():
    work = Recorder()
    with BatchQueue(work, batch_size=1, capacity=2) as waiting:
        waiting.submit("a")
        assert work.begun.wait(30)
        kept = [waiting.submit(entry) for entry in "bc"]
        with pytest.raises(Busy, match="ask again"):
            waiting.submit("d")
        work.go.set()
        assert [future.result(30) for future in kept] == ["B", "C"]


def test_a_failure_is_told_to_those_it_concerns_and_the_next_goes_on():
    work = Recorder()
    with BatchQueue(work, batch_size=1, capacity=9) as waiting:
        first, bad, later = (waiting.submit(entry) for entry in ("a", "bad", "b"))
        work.go.set()
        assert first.result(30) == "A" and later.result(30) == "B"
        with pytest.raises(ValueError, match="bad one"):
            bad.result(30)


def test_who_has_gone_is_not_answered():
    work = Recorder()
    with BatchQueue(work, batch_size=1, capacity=9) as waiting:
        first = waiting.submit("a")
        assert work.begun.wait(30)
        gone, later = waiting.submit("b"), waiting.submit("c")
        assert gone.cancel()
        work.go.set()
        assert first.result(30) == "A" and later.result(30) == "C"
        with pytest.raises(CancelledError):
            gone.result(30)
    assert work.batches == [["a"], ["c"]]
