"""Cases that failed at run time: written down, counted, and no more of them than a share."""

import json
import os
from pathlib import Path
from typing import BinaryIO

from scripts.files.errors import TooManyRejected

FIRST_REASONS = 5
"""Cases that the final error quotes."""


class RejectionLog:
    """Write each failing case and its reason to a file, and end the run when they are too many.

        log = RejectionLog(output_dir / "rejected.jsonl", total=len(records), max_share=0.01)
        log.add("s17", "films/s17.png: is cut short")

    A line is {"case_id", "reason"}, appended and handed to the system at once, so that a killed run loses none. A case
    counts once, however often it fails.

    Args:
        path: the file, made at the first rejection.
        total: cases that the run is about.
        max_share: share of `total` that may fail, in [0, 1]; 0 allows none.
        resume: go on from the file as it stands; else it is removed.

    Raises:
        ValueError: `total` below 1 or `max_share` outside [0, 1].
    """

    def __init__(self, path: str | Path, total: int, max_share: float, resume: bool = False) -> None:
        if total < 1:
            raise ValueError(f"total is {total}: give the number of cases of the run, at least 1")
        if not 0 <= max_share <= 1:
            raise ValueError(f"max_share is {max_share}: give a share from 0 (no case may fail) to 1 (all may)")
        self.path = Path(path)
        self.total = total
        self.max_share = max_share
        if not resume:
            self.path.unlink(missing_ok=True)
        self._reasons = self._earlier()

    @property
    def count(self) -> int:
        """Different cases rejected, those of earlier runs on this file included."""
        return len(self._reasons)

    def add(self, case_id: str, reason: str) -> None:
        """Write a case down, unless it is already.

        Raises:
            TooManyRejected: with this new case there are more than `max_share` of `total`.
        """
        if case_id in self._reasons:
            return
        self._reasons[case_id] = reason
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"case_id": case_id, "reason": reason}, ensure_ascii=False)
        with open(self.path, "a+b") as file:
            file.write((b"" if self._ends_whole(file) else b"\n") + line.encode() + b"\n")
        if self.count > self.max_share * self.total:
            raise TooManyRejected(self._summary())

    def _earlier(self) -> dict[str, str]:
        """Reasons by case from an existing file; a last line that a kill cut short is passed over."""
        if not self.path.is_file():
            return {}
        reasons = {}
        for line in self.path.read_bytes().splitlines():
            try:
                entry = json.loads(line)
                reasons.setdefault(entry["case_id"], entry["reason"])
            except (ValueError, KeyError, TypeError):  # cut short
                continue
        return reasons

    @staticmethod
    def _ends_whole(file: BinaryIO) -> bool:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"

    def _summary(self) -> str:
        first = [f"  {case}: {reason}" for case, reason in list(self._reasons.items())[:FIRST_REASONS]]
        more = [f"  ... {self.count - FIRST_REASONS:,} more"] if self.count > FIRST_REASONS else []
        head = (
            f"{self.count:,} of {self.total:,} cases ({self.count / self.total:.2%}) could not be used, more than the "
            f"{self.max_share:.2%} allowed. All are in {self.path}; mend them (`python -m scripts check-datalist` "
            "finds most before a run) or raise the allowed share. The first:"
        )
        return "\n".join([head, *first, *more])
