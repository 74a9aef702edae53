"""What is wrong with a data document: one fault a line, grouped by kind, as text or as a table."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from scripts.files.atomic import write_atomically

VALUE_LENGTH = 80
"""Characters of a value that a line shows; the table shows all."""
MISSING = object()
"""Stands for the value of a key that is not there."""


@dataclass(frozen=True)
class Fault:
    """One fault; `str(fault)` is one line with everything that is needed to find and mend it.

    Args:
        kind: words shared by faults of the same sort, by which they are grouped ("missing file").
        file: the document.
        split: list within a datalist, or "".
        record: id of the record, "[17]" (counted from 0) where it has none, or "" for the document as a whole.
        key: place within the record, as in "findings[0].boxes[1]", or "".
        value: what stands there as JSON, or "" where nothing does.
        reason: what is wrong with it.
        hint: what to do.
    """

    kind: str
    file: str
    split: str
    record: str
    key: str
    value: str
    reason: str
    hint: str

    def __str__(self) -> str:
        value = self.value if len(self.value) <= VALUE_LENGTH else self.value[: VALUE_LENGTH - 3] + "..."
        place = ", ".join(part for part in (self.file, self.split, self.record, self.key) if part)
        return " ".join(f"{place}{f' = {value}' if value else ''}: {self.reason}; {self.hint}".split())


def as_json(value: Any) -> str:
    """A value as the document writes it; "" for `MISSING`."""
    return "" if value is MISSING else json.dumps(value, ensure_ascii=False, default=str)


def describe_faults(faults: Sequence[Fault], most: int = 50) -> str:
    """All faults as text: a line of counts, then kind by kind, rarest first, at most `most` lines of each."""
    records = {(fault.split, fault.record) for fault in faults if fault.record}
    in_records = f" in {_count(len(records), 'record')}" if records else ""
    files = ", ".join(dict.fromkeys(fault.file for fault in faults))
    lines = [f"{files}: {_count(len(faults), 'fault')}{in_records}"]
    by_kind = [list(same) for _, same in groupby(sorted(faults, key=lambda f: f.kind), key=lambda f: f.kind)]
    for same in sorted(by_kind, key=len):
        lines.append(f"{same[0].kind} ({len(same):,}):")
        lines += [f"  {fault}" for fault in same[:most]]
        if len(same) > most:
            lines.append(f"  ... {len(same) - most:,} more")
    return "\n".join(lines)


def write_faults(path: str | Path, faults: Sequence[Fault]) -> None:
    """Write all faults as a CSV table with a column for each of `Fault`'s fields, values in full."""
    names = [field.name for field in fields(Fault)]
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(names)
    writer.writerows([getattr(fault, name) for name in names] for fault in faults)
    write_atomically(path, table.getvalue())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
