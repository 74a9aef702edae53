"""What a run has to say, on disk until the tracking store has it."""

import errno
import json
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from scripts.files.atomic import write_json_atomically
from scripts.tracking import facts

logger = logging.getLogger(__name__)

ENDED = ("FINISHED", "FAILED", "KILLED")
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
MAX_KEPT = 64 * 2**20
"""Bytes of records that stay in memory while the disk is full."""


class Spool:
    """One run's folder: an append-only log of records, the files that they name, and how far the log has been sent.

        run.json       what the run is: key, tracking_uri, experiment, run_name, artifacts, started, run_id_file
        owner.json     the process that writes the log, and the status it left: RUNNING, FINISHED, FAILED or KILLED
        records.jsonl  one record a line, in order
        files/         copies of artifacts that wait, each in a folder of its own
        sent.json      what the store has: run_id, experiment_id, bytes of the log, last step of every metric
        refused.jsonl  records that the store will not take, each with the reason

    Each file has one writer, so nothing here waits for the network: the training process appends, whoever holds
    `sending` reads. A killed process leaves whole lines and at worst a torn last one, which the next owner cuts off.

    Args:
        folder: the run's folder; `Spool.create` makes a new one.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.run: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        self.records = self.folder / "records.jsonl"
        self.sending = FileLock(self.folder / "sending.lock", timeout=0)
        self._writing = threading.Lock()
        self._file: int | None = None
        self._kept = b""

    @classmethod
    def create(cls, root: Path, run: dict[str, Any]) -> "Spool":
        """A new run's folder under `root`, owned by this process; the run gets a key of its own."""
        key = uuid.uuid4().hex
        folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}-{key[:8]}"
        folder.mkdir(parents=True)
        write_json_atomically(folder / "run.json", {"key": key, "started": now(), **run})
        spool = cls(folder)
        spool.acquire()
        return spool

    @classmethod
    def all_under(cls, folder: Path) -> list["Spool"]:
        """Runs in `folder`, oldest first; `folder` may be an output folder, its mlflow_spool, or one run's folder."""
        found = {path.parent for pattern in ("", "*/", "mlflow_spool/*/") for path in folder.glob(f"{pattern}run.json")}
        return [cls(path) for path in sorted(found) if (path / "owner.json").is_file()]

    @property
    def status(self) -> str:
        """What the run's last owner left: RUNNING, or the status it ended with."""
        return self._owner()["status"]

    @property
    def owner(self) -> dict[str, Any]:
        """The process that wrote the log last, as `tracking_facts.process()` names it."""
        return self._owner()["process"]

    def is_abandoned(self) -> bool:
        """Whether the run never ended and its process is known to be gone."""
        return self.status not in ENDED and facts.is_alive(self.owner) is False

    def _owner(self) -> dict[str, Any]:
        return json.loads((self.folder / "owner.json").read_text())

    def acquire(self) -> None:
        """Make this process the one that writes the log."""
        self._cut_torn_line()
        write_json_atomically(self.folder / "owner.json", {"process": facts.process(), "status": "RUNNING"})

    def end(self, status: str) -> None:
        """Record that the run has ended, for the store and for whoever looks into this folder."""
        self.append("status", status=status, time=now())
        try:
            self.sync()
            write_json_atomically(self.folder / "owner.json", {"process": self.owner, "status": status})
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            logger.warning(
                "MLflow: that the run is %s cannot be written to %s (%s); it will count as KILLED", status, self.folder, error
            )

    def append(self, kind: str, **content: Any) -> None:
        """Add a record; the line is in the file when this returns."""
        self.append_all([{"kind": kind, **content}])

    def append_all(self, records: list[dict[str, Any]]) -> None:
        """Add records by one write. While the disk is full they are kept in memory, and written by the first call after.

        Raises:
            OSError: the disk is gone, or full for too long.
        """
        lines = "".join(json.dumps(record) + "\n" for record in records).encode()
        with self._writing:
            self._kept, waiting = self._kept + lines, bool(self._kept)
            try:
                if self._file is None:
                    self._file = os.open(self.records, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
                while self._kept:
                    self._kept = self._kept[os.write(self._file, self._kept) :]
            except OSError as error:
                if error.errno not in DISK_FULL or len(self._kept) > MAX_KEPT:
                    raise
                if not waiting:
                    logger.warning("MLflow: records stay in memory until there is room in %s (%s)", self.folder, error)

    def new_artifact_path(self, name: str) -> Path:
        """Where to write a file that is to become an artifact; `add_file` then hands it over."""
        folder = self.folder / "files" / uuid.uuid4().hex[:12]
        folder.mkdir(parents=True)
        return folder / name

    def add_file(self, path: Path, artifact_folder: str) -> None:
        """Hand over a file written at a `new_artifact_path`; it is deleted once the store has it."""
        self.append("artifact", file=str(path.relative_to(self.folder)), folder=artifact_folder)

    def sync(self) -> None:
        """Force the log to the disk, against loss of power; against a killed process it is safe without."""
        with self._writing:
            if self._file is not None:
                os.fsync(self._file)

    def sent(self) -> dict[str, Any]:
        """What the store has: {"run_id", "experiment_id", "offset", "last_steps", "skip_until"}."""
        path = self.folder / "sent.json"
        nothing = {"run_id": None, "experiment_id": None, "offset": 0, "last_steps": {}, "skip_until": {}}
        return {**nothing, **json.loads(path.read_text())} if path.is_file() else nothing

    def save_sent(self, sent: dict[str, Any]) -> None:
        write_json_atomically(self.folder / "sent.json", sent)

    def size(self) -> int:
        """Bytes of the log."""
        return self.records.stat().st_size if self.records.is_file() else 0

    def waiting(self) -> int:
        """Records that the store does not have yet."""
        return sum(1 for _ in self.read(self.sent()["offset"]))

    def read(self, offset: int) -> Iterator[tuple[dict[str, Any], int]]:
        """Records from byte `offset` of the log on, each with the offset behind it; a torn last line is left alone."""
        if not self.records.is_file():
            return
        with self.records.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                yield json.loads(line), offset

    def quarantine(self, record: dict[str, Any], reason: str) -> None:
        """Set aside a record that the store will not take, so that those behind it can pass."""
        with (self.folder / "refused.jsonl").open("a") as file:
            file.write(json.dumps({**record, "reason": reason}) + "\n")

    def retry_refused(self) -> None:
        """Put refused records at the end of the log again: the cause may have been mended."""
        path = self.folder / "refused.jsonl"
        if path.is_file():
            refused = [json.loads(line) for line in path.read_text().splitlines()]
            self.append_all([{key: value for key, value in record.items() if key != "reason"} for record in refused])
            path.unlink()

    def cleanup(self) -> None:
        """Drop log and copies if the run has ended and the store has all of it; a few hundred bytes stay for
        `--resume`.
        """
        if self.status not in ENDED or self.waiting() or (self.folder / "refused.jsonl").is_file():
            return
        with self._writing:
            if self._file is not None:
                os.close(self._file)
                self._file = None
        # The offset goes first: killed between the two, the log would be sent once more, which changes nothing.
        self.save_sent({**self.sent(), "offset": 0})
        self.records.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "files", ignore_errors=True)

    def _cut_torn_line(self) -> None:
        if self.records.is_file():
            os.truncate(self.records, max((offset for _, offset in self.read(0)), default=0))


def now() -> int:
    """Milliseconds since 1970, as MLflow counts time."""
    return time.time_ns() // 1_000_000
