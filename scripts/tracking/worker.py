"""The thread that sends a run's records while the run goes on."""

import logging
import threading
import time

from scripts.tracking.facts import without_secrets
from scripts.tracking.sender import RunGone, Sender, StoreAway
from scripts.tracking.spool import Spool

logger = logging.getLogger(__name__)

INTERVAL = 1.0
MAX_PAUSE = 30.0


class Worker(threading.Thread):
    """Sends what is spooled every second; while the store is away, after 1, 2, 4 ... 30 seconds.

    Args:
        spool: the run that this process writes.
        backlog: ended runs of earlier processes with records left; sent after the store has first answered for `spool`.
    """

    def __init__(self, spool: Spool, backlog: list[Spool]) -> None:
        super().__init__(name="mlflow-tracking", daemon=True)
        self.spool, self.backlog = spool, backlog
        self.sender = Sender(spool)
        self.trouble: str | None = None
        self._failures = 0
        self._tried = threading.Event()
        self._wake = threading.Event()
        self._stopping = False

    def run(self) -> None:
        while not self._stopping:
            self._send()
            self._tried.set()
            self._wake.wait(min(MAX_PAUSE, INTERVAL * 2 ** max(0, self._failures - 1)))
            self._wake.clear()

    def _send(self) -> None:
        try:
            self.sender.send()
        except StoreAway as error:
            self._failed(str(error))
        except RunGone as error:
            self._failed(str(error))
            self._stopping = True
        except Exception as error:
            # A fault of ours must not end the thread in silence, nor the training.
            logger.exception("MLflow: sending failed")
            self._failed(repr(error))
        else:
            if self.trouble:
                logger.info("MLflow: %s answers again; everything kept has been sent", self._address)
            self.trouble, self._failures = None, 0
            self._send_backlog()

    def _failed(self, reason: str) -> None:
        self._failures += 1
        if self.trouble is None:
            logger.warning(
                "MLflow: %s cannot be written to (%s). The run goes on; its records wait in %s until it can",
                self._address,
                reason,
                self.spool.folder,
            )
        self.trouble = reason
        self.spool.sync()

    def _send_backlog(self) -> None:
        while self.backlog:
            spool = self.backlog.pop(0)
            try:
                count = Sender(spool).send()
                spool.cleanup()
                if count:
                    logger.info("MLflow: sent %d records of an earlier run, %s (%s)", count, spool.folder.name, spool.status)
            except (StoreAway, RunGone) as error:
                logger.warning("MLflow: an earlier run's records stay in %s: %s", spool.folder, error)

    @property
    def _address(self) -> str:
        return str(without_secrets(self.spool.run["tracking_uri"]))

    def wait_for_first_try(self, timeout: float) -> bool:
        """Wait until the store has answered or failed to, at most `timeout` seconds."""
        return self._tried.wait(timeout)

    def flush(self, timeout: float) -> bool:
        """Wait until all that is spooled by now has been sent, at most `timeout` seconds; whether it was."""
        target, until = self.spool.size(), time.monotonic() + timeout
        self._wake.set()
        asked = time.monotonic()
        while self.sender.offset < target and time.monotonic() < until and self.is_alive():
            time.sleep(0.02)
            if time.monotonic() - asked > INTERVAL:
                self._wake.set()
                asked = time.monotonic()
        return self.sender.offset >= target

    def stop(self, timeout: float) -> None:
        """End the thread; a call to the store that still hangs after `timeout` seconds is left to die with the
        process.
        """
        self._stopping = True
        self._wake.set()
        self.join(timeout)
