"""What every source needs: the owner's tables read with their required columns, and all faults told at once.

A source fills a `SourceFaults` while it reads and stops once, so that a person with an incomplete download sees
everything that is missing in one go instead of one file a run.
"""

import gzip
import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from scripts.files.errors import SourceError

logger = logging.getLogger(__name__)

SHOWN = 20
"""How many records of one fault are named; the rest is counted."""

OWN_SPLIT = {"training": 0.6, "validation": 0.2, "test": 0.2}
"""Shares of the films, by patient, where the owner gives no split."""


class SourceFaults:
    """Faults of one data set's folder, gathered and raised together.

    Args:
        source: the name of the source, e.g. "mimic-cxr".
        folder: the folder that is read.
    """

    def __init__(self, source: str, folder: Path) -> None:
        self.source = source
        self.folder = folder
        self._faults: list[str] = []

    def add(self, file: str | Path, fault: str, hint: str, records: Iterable[object] = ()) -> None:
        """Note one fault; `records` are the values or records it concerns, the first 20 named, all counted."""
        named = [str(record) for record in records]
        text = f"{file}: {fault}"
        if named:
            text += ": " + ", ".join(named[:SHOWN])
            if len(named) > SHOWN:
                text += f", ... ({SHOWN} of {len(named)} shown)"
        self._faults.append(f"{text}. Way out: {hint}")

    def stop_if_any(self) -> None:
        """Raise everything noted so far.

        Raises:
            SourceError: at least one fault was noted.
        """
        if self._faults:
            count = f"{len(self._faults)} fault{'s' if len(self._faults) > 1 else ''}"
            lines = [f"{self.source}: {count} in {self.folder}"]
            lines += [f"  {number}. {fault}" for number, fault in enumerate(self._faults, start=1)]
            raise SourceError("\n".join(lines))


def folder_of(source_dir: str | Path) -> Path:
    """`source_dir` as an absolute path, links kept as the user wrote them."""
    return Path(os.path.abspath(Path(source_dir).expanduser()))


def first_present(folder: Path, names: Sequence[str], faults: SourceFaults, hint: str) -> Path | None:
    """The first of `names` (files or folders, relative to `folder`) that exists; a fault and None when none does."""
    for name in names:
        if (folder / name).exists():
            return folder / name
    faults.add(folder / names[0], "not found" + (f" (nor {', '.join(names[1:])})" if names[1:] else ""), hint)
    return None


def read_table(path: Path | None, columns: Sequence[str], faults: SourceFaults, optional: Sequence[str] = ()) -> pd.DataFrame:
    """Read a csv or csv.gz as text, keeping the asked columns only.

    Everything stays text (blank is ""), because identifiers lose their zeros as numbers: see `numbers`.

    Args:
        path: the table; None (already reported as missing) gives an empty table.
        columns: columns that must be there, spelled as the owner spells them.
        faults: an unreadable table or missing columns are noted here and give an empty table.
        optional: columns that are kept where they are there.

    Returns:
        a table of `columns` and the present ones of `optional`, in file order, index 0..n-1.
    """
    empty = pd.DataFrame({column: pd.Series(dtype=str) for column in columns})
    if path is None:
        return empty
    try:
        header = pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns
        missing = [column for column in columns if column not in header]
        if missing:
            hint = f"it has {', '.join(map(str, header))}; take the owner's own table, unedited"
            faults.add(path, "columns missing", hint, missing)
            return empty
        kept = [column for column in header if column in columns or column in optional]
        return pd.read_csv(path, usecols=kept, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, EOFError, OSError, gzip.BadGzipFile, zlib.error) as error:
        # ValueError covers pandas' parser and empty-data errors and bytes that are not UTF-8.
        faults.add(path, f"cannot be read ({type(error).__name__}: {error})", "download it again")
        return empty


def numbers(table: pd.DataFrame, columns: Sequence[str], key: str, path: Path, faults: SourceFaults) -> np.ndarray:
    """Columns as finite float64, [rows, len(columns)]; other rows are noted with `key` and value."""
    values = np.empty((len(table), len(columns)))
    for position, column in enumerate(columns):
        values[:, position] = pd.to_numeric(table[column], errors="coerce")
        bad = ~np.isfinite(values[:, position])
        if bad.any():
            records = [f"{k} ({v!r})" for k, v in zip(table[key][bad], table[column][bad], strict=True)]
            faults.add(path, f"column {column} is not a number", "take the owner's own table, unedited", records)
    return values


def boxes_of(table: pd.DataFrame, columns: Sequence[str], key: str, path: Path | None, faults: SourceFaults) -> list[list[float]]:
    """Boxes of a table's rows as plain x, y, w, h; whole numbers as int, so that a datalist reads like its source."""
    values = numbers(table, columns, key, path, faults)
    return [[int(v) if np.isfinite(v) and v == int(v) else v for v in row] for row in values.tolist()]


def report_repeats(table: pd.DataFrame, key: str, path: Path | None, faults: SourceFaults) -> None:
    """Note values of `key` that occur more than once where each must occur once."""
    repeated = table[key][table[key].duplicated()].unique()
    if len(repeated):
        faults.add(path, f"{key} occurs more than once", "take the owner's own table, unedited", repeated)


def report_unknown(
    table: pd.DataFrame, column: str, key: str, known: Iterable[str], path: Path | None, faults: SourceFaults
) -> None:
    """Note rows whose `column` is none of `known`, with their `key` and value."""
    known = list(known)
    bad = ~table[column].isin(known)
    if bad.any():
        records = [f"{k} ({v!r})" for k, v in zip(table[key][bad], table[column][bad], strict=True)]
        faults.add(path, f"column {column} is none of {', '.join(known)}", "take the owner's own table", records)


def files_below(folder: Path, suffixes: tuple[str, ...], title: str) -> Iterator[str]:
    """Absolute paths of all files below `folder` that end in `suffixes` (lower case), links to folders followed.

    One directory walk instead of one question a file: for MIMIC-CXR's 377,110 films it asks the file system about some
    293,000 folders, and on network storage that is the difference between minutes and hours.
    """
    with tqdm(desc=title, unit=" folders", leave=False) as progress:
        for root, _, files in os.walk(folder, followlinks=True):
            progress.update()
            for name in files:
                if name.lower().endswith(suffixes):
                    yield os.path.join(root, name)


def keep_present(
    records: list[dict], present: set[str] | dict, key: str, faults: SourceFaults, skip_missing: bool, hint: str
) -> list[dict]:
    """Records whose file `record[key]` is in `present`.

    Files that are missing are one fault (the first 20 named, all counted), or with `skip_missing` left out with a
    warning.
    """
    missing = [record for record in records if record[key] not in present]
    if not missing:
        return records
    if skip_missing:
        logger.warning("%s: %d of %d records left out, %s missing", faults.source, len(missing), len(records), key)
        return [record for record in records if record[key] in present]
    # A record may share its file with others; dict keeps the order and names each file once.
    names = dict.fromkeys(os.path.relpath(record[key], faults.folder) for record in missing)
    faults.add(faults.folder, f"{key} files missing ({len(names)})", f"{hint}, or give --skip_missing", names)
    return records
