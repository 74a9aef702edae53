"""Ranks of a distributed run as processes that end together."""

import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any


def run_ranks(work: Callable[..., Any], *arguments: Any, ranks: int = 2) -> list[Any]:
    """What `work(rank, *arguments)` returns on each rank.

    It is waited for as long as all ranks live: a clock would tell a busy machine from a broken rank only by luck.

    Raises:
        RuntimeError: a rank raised or died; the others are ended.
    """
    # A fork of a process that has imported PyTorch holds its threads' locks, and may wait on them for ever.
    context = get_context("spawn")
    pipes, processes = [], []
    for rank in range(ranks):
        here, there = context.Pipe(duplex=False)
        processes.append(context.Process(target=_work, args=(there, work, rank, arguments), daemon=True))
        processes[-1].start()
        there.close()
        pipes.append(here)
    results: dict[int, Any] = {}
    try:
        while len(results) < ranks:
            for pipe in wait([pipe for rank, pipe in enumerate(pipes) if rank not in results]):
                rank = pipes.index(pipe)
                try:
                    done, result = pipe.recv()
                except EOFError:
                    processes[rank].join()
                    done, result = False, f"it died with exit code {processes[rank].exitcode}"
                if not done:
                    raise RuntimeError(f"rank {rank}: {result}")
                results[rank] = result
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()
    return [results[rank] for rank in range(ranks)]


def _work(pipe: Connection, work: Callable[..., Any], rank: int, arguments: tuple[Any, ...]) -> None:
    try:
        pipe.send((True, work(rank, *arguments)))
    except Exception:
        pipe.send((False, traceback.format_exc()))
    pipe.close()
