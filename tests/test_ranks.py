"""A rank that fails is told at once, also while another waits for it."""

import os
import signal
import threading

import pytest

from tests.ranks import run_ranks


def give(rank, value):
    return rank, value


def fail(rank, how):
    if rank == 1:
        threading.Event().wait()  # for ever, as a collective does whose other rank is gone
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("no film")


def test_every_ranks_result_comes_back():
    assert run_ranks(give, "a", ranks=3) == [(0, "a"), (1, "a"), (2, "a")]


@pytest.mark.parametrize(("how", "says"), [("raised", "rank 0: .*no film"), ("killed", "rank 0: it died with exit code -9")])
def test_a_rank_that_fails_ends_the_others(how, says):
    with pytest.raises(RuntimeError, match=f"(?s){says}"):
        run_ranks(fail, how)
