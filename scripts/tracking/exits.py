"""The ways in which a program ends without its engine knowing."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_watched: set[int] = set()  # processes that watch: a handler is inherited by forked children, this is how they tell


class ExitWatch:
    """Tells of an exception that ends the program, and of its end; turns SIGTERM into SystemExit.

    A SIGTERM handler that somebody else has installed is left in place.
    """

    def __init__(self) -> None:
        self._undo: list[Callable[[], Any]] = []

    def watch(self, on_error: Callable[[BaseException], None], on_exit: Callable[[], None]) -> None:
        """Call `on_error` with an exception that nobody caught, then `on_exit` at the end of the program."""
        atexit.register(on_exit)
        self._undo.append(lambda: atexit.unregister(on_exit))
        previous = sys.excepthook

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            on_error(error)
            previous(kind, error, trace)

        sys.excepthook = hook
        self._undo.append(lambda: setattr(sys, "excepthook", previous) if sys.excepthook is hook else None)
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, _leave):
            _watched.add(os.getpid())
            signal.signal(signal.SIGTERM, _leave)
            self._undo.append(lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))

    def unwatch(self) -> None:
        """Undo `watch`."""
        while self._undo:
            self._undo.pop()()


def _leave(number: int, frame: FrameType | None) -> None:
    if os.getpid() not in _watched:  # a forked data loader process: it dies as it would have
        os._exit(128 + number)
    raise SystemExit(128 + number)
