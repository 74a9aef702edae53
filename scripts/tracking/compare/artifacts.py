"""Fetches what runs have left as files: figures with intervals, tables of single cases, pictures."""

import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd

from scripts.tracking.compare.store import TrackedRun

_PARALLEL = 8  # a server answers slowly, and many at a time
_IDENTITIES = {name: str for name in ("case_id", "patient_id", "kind", "label", "anatomy", "text")}
_STEP = re.compile(r"_(\d{8})$")  # as `MLflowTracker` writes it behind a name


@dataclass
class RunFiles:
    """Files of one run.

    metrics: metrics.json, {} where there is none. tables: per_*.csv by file name. pictures: the last step of each, by name without
    step. troubles: what could not be fetched or read, in words.
    """

    metrics: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)


def fetch_files(runs: Sequence[TrackedRun], address: str, tables_of: int, pictures_of: int) -> list[RunFiles]:
    """Files of each run; tables of the first `tables_of` runs alone, pictures of the first `pictures_of`."""
    with TemporaryDirectory() as folder, ThreadPoolExecutor(_PARALLEL) as pool:
        jobs = [
            pool.submit(_fetch, run, address, Path(folder) / run.id, number < tables_of, number < pictures_of)
            for number, run in enumerate(runs)
        ]
        return [job.result() for job in jobs]


def _fetch(run: TrackedRun, address: str, folder: Path, tables: bool, pictures: bool) -> RunFiles:
    files = RunFiles()
    fetch = partial(_read, run, address, folder, files)
    try:
        names = list(_names(run, address, ""))
        if tables:
            names += _names(run, address, "tables")
        drawn = _last_steps([*_names(run, address, "images"), *_names(run, address, "figures")]) if pictures else {}
    except Exception as error:  # artifacts live behind libraries that each have their own errors
        files.troubles.append(f"its artifacts cannot be listed: {type(error).__name__}: {error}")
        return files
    if "metrics.json" in names:
        files.metrics = fetch("metrics.json", lambda path: json.loads(path.read_text(encoding="utf-8"))) or {}
    for name in (name for name in names if tables and re.fullmatch(r"(tables/)?per_\w+\.csv", name)):
        table = fetch(name, lambda path: pd.read_csv(path, dtype=_IDENTITIES))
        if table is not None:
            files.tables[PurePosixPath(name).name] = table
    for shown, name in drawn.items():
        picture = fetch(name, Path.read_bytes)
        if picture is not None:
            files.pictures[shown] = picture
    return files


def _names(run: TrackedRun, address: str, folder: str) -> Iterator[str]:
    """Paths of the files in a folder of a run's artifacts; of those beneath it too, except at the top."""
    place = f"{run.place}/{folder}" if folder else run.place
    for entry in mlflow.artifacts.list_artifacts(artifact_uri=place, tracking_uri=address):
        name = f"{folder}/{PurePosixPath(entry.path).name}".lstrip("/")
        if not entry.is_dir:
            yield name
        elif folder:
            yield from _names(run, address, name)


def _last_steps(names: Sequence[str]) -> dict[str, str]:
    """PNG files by name without their step, those of the last step."""
    pictures = sorted(name for name in names if name.endswith(".png"))
    return {_STEP.sub("", name.removesuffix(".png")): name for name in pictures}


def _read(run: TrackedRun, address: str, folder: Path, files: RunFiles, name: str, reader: Any) -> Any:
    """What `reader` makes of one artifact; None, and a word among the troubles, where it cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        place = mlflow.artifacts.download_artifacts(artifact_uri=f"{run.place}/{name}", dst_path=str(folder), tracking_uri=address)
        return reader(Path(place))
    except Exception as error:
        files.troubles.append(f"{name} cannot be read: {type(error).__name__}: {error}")
        return None
