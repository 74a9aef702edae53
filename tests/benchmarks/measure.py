"""Seconds and memory of a piece of work, and the table they are printed in."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import psutil
import torch

from scripts.files.text_table import text_table

GIB = 2**30
_SAMPLING_SECONDS = 0.005


def seconds(runs: Mapping[str, Callable[[], object]], repeats: int = 5, warm_ups: int = 1, device: str = "cpu") -> dict[str, float]:
    """Median seconds of each callable. Every round runs all of them, so that a busy moment of the machine meets all.

    Args:
        runs: named callables without arguments.
        repeats: rounds that count.
        warm_ups: rounds before those; 0 where a run takes minutes and the same code has just run at a smaller size.
        device: where the work runs; on "cuda" the clock waits until the device is done.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(warm_ups + repeats):
        for name, run in runs.items():
            _synchronize(device)
            start = time.perf_counter()
            run()
            _synchronize(device)
            if number >= warm_ups:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def _synchronize(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def extra_memory(make: Callable[..., Callable[[], object]], args: tuple, small_args: tuple) -> int:
    """Bytes of main memory that a run takes at its peak above what its inputs and the program already hold.

    A fresh process makes and runs `make(*small_args)`, so that libraries have set themselves up, then makes
    `make(*args)`, and watches its resident memory every 5 ms while that runs. It is not read from `ru_maxrss`, which a
    new process inherits from the one that starts it, nor after a run of the same size, whose freed memory the
    allocator may keep.

    Args:
        make: function of a module that builds inputs and returns the work as a callable.
        args, small_args: arguments of `make`.

    Raises:
        BrokenProcessPool: the system ended the process, most likely for want of memory.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_above_start, make, args, small_args).result()


def _peak_above_start(make: Callable[..., Callable[[], object]], args: tuple, small_args: tuple) -> int:
    make(*small_args)()
    run = make(*args)
    process, done = psutil.Process(), threading.Event()
    levels = [process.memory_info().rss]

    def watch() -> None:
        while not done.wait(_SAMPLING_SECONDS):
            levels.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return max(levels) - levels[0]


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> None:
    """Print one benchmark's figures; the last column is its targets, and the last line says what machine it was."""
    print(f"\n{title}\n")
    print(text_table(header, rows))
    for note in notes:
        print(f"  {note}")
    print(
        f"  torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        flush=True,
    )
