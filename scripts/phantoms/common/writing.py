"""Writing many phantom cases: how many of each split, by how many processes; their pictures."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

Job = tuple[str, int]


def write_cases(write: Callable[[Job], Any], counts: dict[str, int], workers: int | None, unit: str) -> Iterator[tuple[str, Any]]:
    """Split and result of every case, split by split in order, with a progress bar.

    Args:
        write: makes and writes the case of a job (split, index); must be picklable.
        counts: cases by split.
        workers: processes; all processors by default, 1 works here.
        unit: what a case is.

    Raises:
        ValueError: a negative count, no case at all, or fewer than one worker.
    """
    if min(counts.values()) < 0 or not sum(counts.values()):
        raise ValueError(f"numbers of {unit}s are {counts}: give none below 0 and one above")
    workers = workers if workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise ValueError(f"workers is {workers}: give 1 or more")
    jobs = [(split, index) for split, count in counts.items() for index in range(count)]

    def results() -> Iterator[tuple[str, Any]]:
        with tqdm(total=len(jobs), desc=f"phantom {unit}s", unit=unit) as bar:
            for (split, _), result in zip(jobs, _write_in_processes(write, jobs, workers), strict=True):
                yield split, result
                bar.update()

    return results()


def _write_in_processes(write: Callable[[Job], Any], jobs: list[Job], workers: int) -> Iterator[Any]:
    if workers == 1:
        yield from map(write, jobs)
        return
    # Forked children of a process that runs threads may hang: new ones are started clean. Unlike multiprocessing.Pool,
    # the executor raises BrokenProcessPool instead of waiting for ever when a worker is killed.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(write, jobs, chunksize=4)


def write_png(output: Path, name: str, image: np.ndarray) -> str:
    """Write an image, uint8 [H, W] or [H, W, 3] (BGR), below a folder; its name there is given back.

    Raises:
        OSError: it cannot be written.
    """
    if not cv2.imwrite(str(output / name), image):
        raise OSError(f"{output / name}: cannot be written; is the disk full?")
    return name
