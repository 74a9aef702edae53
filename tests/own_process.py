"""A command in the test's own process, where starting one would cost ten seconds of imports and is not what is tested.

What the command sees is what a process of its own would give it: words, folder, printing, an end at which what it left open is
closed. What it changes is put back: random states, threads, loggers, warnings, environment.
"""

import contextlib
import gc
import io
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from monai.utils import misc

from scripts.tracking import exits


class Ends:
    """In the place of `atexit`: what was registered is called when the command ends, not when the tests do."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []

    def register(self, call: Callable[[], Any]) -> None:
        self.calls.append(call)

    def unregister(self, call: Callable[[], Any]) -> None:
        self.calls = [other for other in self.calls if other != call]

    def run(self) -> None:
        """Call them, the last first, as `atexit` does."""
        while self.calls:
            self.calls.pop()()


def run_here(main: Callable[[], Any], words: Sequence[str], folder: Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command.

    Args:
        main: what the command calls; it reads its words from `sys.argv`.
        words: the command's words, as in `sys.argv`; the first is the program.
        folder: the working folder.
    """
    out, err, ends = io.StringIO(), io.StringIO(), Ends()
    with (
        _put_back(),
        contextlib.chdir(folder),
        mock.patch.object(sys, "argv", list(words)),
        mock.patch.object(sys, "excepthook", sys.__excepthook__),
        mock.patch.object(exits, "atexit", ends),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = _status_of(main)
        ends.run()
    gc.collect()  # engines and their handlers hold each other
    return status, out.getvalue(), err.getvalue()


def _status_of(main: Callable[[], Any]) -> int:
    """Call it as the interpreter does: the status of a `SystemExit`, 1 after an exception that `sys.excepthook` was told of."""
    try:
        main()
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


@contextlib.contextmanager
def _put_back() -> Iterator[None]:
    """Undo what a command does to its process."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed, cudnn = misc._seed, (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    strict, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    environment = dict(os.environ)
    known = [logging.root, *(entry for entry in logging.root.manager.loggerDict.values() if isinstance(entry, logging.Logger))]
    loggers = [(logger, list(logger.handlers), logger.level, logger.propagate, logger.disabled) for logger in known]
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        for logger, handlers, level, logger.propagate, logger.disabled in loggers:
            logger.handlers[:] = handlers
            logger.setLevel(level)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        misc._seed = seed
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        torch.use_deterministic_algorithms(strict)
        torch.set_num_threads(threads)
