"""Tables and figures with intervals, as files and as text."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scripts.files.atomic import atomic_path


def cell(interval: dict[str, float] | None) -> str:
    """An interval for a table of text; "-" where there is none."""
    if interval is None:
        return "-"
    between = " to " if interval["lower"] < 0 else "-"
    return "{estimate:.3f} ({lower:.3f}{between}{upper:.3f})".format(**interval, between=between)


def without_nan(value: Any) -> Any:
    """What is not defined (an AUC of cases all alike, a CNR where nothing varies) is null in JSON, which has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table; `path` is whole at every moment."""
    with atomic_path(path) as beside:
        table.to_csv(beside, index=False)
