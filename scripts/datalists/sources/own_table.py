"""A table of one's own, CSV or Excel, whatever its columns are called: a row a case."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scripts.datalists.sources.tables import OWN_SPLIT, SourceFaults

EXCEL_ENDINGS = (".xlsx", ".xlsm")
SEPARATORS = (",", ";", "\t")
SPLIT_NAMES = {"train": "training", "val": "validation", "valid": "validation"} | {name: name for name in OWN_SPLIT}
"""Splits by what tables call them, in lower case."""


def read_own_table(path: Path, columns: dict[str, list[str]], faults: SourceFaults) -> pd.DataFrame:
    """Rows of a table, cells as stripped text; unreadable tables and columns that it has not are noted by option.

    Args:
        path: CSV (commas, semicolons or tabs, UTF-8) or Excel.
        columns: names of the columns that are needed, by the option that names them.
        faults: where faults go; after one the rows may lack columns.
    """
    wanted = {column for listed in columns.values() for column in listed}
    try:
        is_excel = path.suffix.lower() in EXCEL_ENDINGS
        rows = pd.read_excel(path, engine="openpyxl", dtype=str, na_filter=False) if is_excel else _read_csv(path, wanted)
    except UnicodeDecodeError as error:
        faults.add(path, f"is not UTF-8 text (byte {error.start})", "save it as CSV (UTF-8)")
        return pd.DataFrame()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        # ValueError covers pandas' parser and empty-data errors; the last two are a damaged .xlsx.
        faults.add(path, f"cannot be read ({type(error).__name__}: {error})", "save it again as CSV (UTF-8)")
        return pd.DataFrame()
    rows.columns = [str(column).strip() for column in rows.columns]
    missing = [f"{column} (--{option})" for option, listed in columns.items() for column in listed if column not in rows]
    if missing:
        faults.add(path, "columns missing", f"it has {', '.join(rows.columns)}; name these", missing)
    elif rows.empty:
        faults.add(path, "holds no row", "give the table with a row a case")
    return rows.apply(lambda column: column.str.strip())


def _read_csv(path: Path, wanted: set[str]) -> pd.DataFrame:
    """The table by the separator whose header has most of the wanted columns: spreadsheets write what their country does."""
    headers = {sep: pd.read_csv(path, sep=sep, nrows=0, encoding="utf-8-sig").columns for sep in SEPARATORS}
    separator = max(SEPARATORS, key=lambda sep: len(wanted & {column.strip() for column in headers[sep]}))
    return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def report_bad_ids(rows: pd.DataFrame, columns: Sequence[str], path: Path, faults: SourceFaults) -> None:
    """Note blank cells by row, the header being row 1, and values of the first of `columns` that repeat."""
    for column in dict.fromkeys(columns):
        blank = [f"row {row + 2}" for row in rows.index[rows[column] == ""]]
        if blank:
            faults.add(path, f"{column} is blank", "fill it in, or take the row out", blank)
    ids = rows[columns[0]]
    repeated = ids[ids.duplicated() & (ids != "")].unique()
    if len(repeated):
        faults.add(path, f"{columns[0]} occurs more than once", "give every case an id of its own", repeated)
