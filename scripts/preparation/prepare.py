"""From raw CT volumes and reports to what fVLM trains on: prepared volumes, anatomy masks, a text for every anatomy.

    python -m scripts preprocess-ct data/ct_rate/raw.json --output data/ct_rate

The output folder holds

    volumes/ID.nii              prepared volume, see `scripts.preparation.volume`; 20 MB at fVLM's size
    masks/ID.nii.gz             its anatomies
    segmentations/ID.nii.gz     TotalSegmentator's masks, where it made them (--segment)
    settings.json               what the volumes were prepared with
    prepared.jsonl              one line a volume: its files, anatomies that are missing or cut off by the field of view
    rejected.jsonl              volumes that could not be prepared, and why
    reports.jsonl               what a language model answered on each report, where one was asked (--language_model)
    datalist.json               written last: where it is, the run is complete

A run that was stopped goes on where it was: a volume whose files are there is not made again, and no report is asked about twice.
However many volumes there are, a worker needs half a gigabyte for itself and 8 bytes a voxel of the largest of them, 0.6 GB for
512 x 512 x 300.
"""

import json
import logging
import multiprocessing
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from scripts.datalists.datalist import Datalist, load_datalist, save_datalist
from scripts.files.atomic import atomic_path, write_atomically, write_json_atomically
from scripts.files.errors import UserError
from scripts.files.rejected import RejectionLog
from scripts.preparation.language_model import LanguageModelDecomposer
from scripts.preparation.volume import MIN_SIZE, SPACING, WINDOW, PreparedVolume, prepare_volume
from scripts.readers.volume import cut_anatomies, merge_labels, read_anatomies, read_volume
from scripts.reports.by_anatomy.reports import decompose_report
from scripts.reports.by_anatomy.table import AnatomyTable, read_label_table

SEGMENTER = "TotalSegmentator"
SEGMENTER_TABLE = "totalsegmentator_v2"
_FILE_NAME = re.compile(r"[\w+-][\w.+-]{0,199}", re.ASCII)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Settings:
    """What every volume of a folder is prepared with."""

    output: Path
    table: AnatomyTable
    structures: dict[int, str]
    lookup: np.ndarray
    spacing: tuple[float, ...]
    min_size: tuple[int, ...]
    keeps_reports: bool
    """Whether new records still hold the whole report: a language model will take it apart."""

    def facts(self) -> dict[str, Any]:
        """All that prepared volumes and masks depend on, as settings.json holds it."""
        return {
            "anatomies": {
                name: {str(label): self.structures[label] for label in np.flatnonzero(self.lookup == value).tolist()}
                for value, name in enumerate(self.table.names, 1)
            },
            "spacing": list(self.spacing),
            "min_size": list(self.min_size),
            "window": list(WINDOW),
        }

    def files(self, volume_id: str) -> tuple[Path, Path]:
        """Where a volume's image and mask go."""
        return self.output / "volumes" / f"{volume_id}.nii", self.output / "masks" / f"{volume_id}.nii.gz"


@dataclass(frozen=True)
class _Outcome:
    """What became of a volume: its new record and line of prepared.jsonl, or the reason why there is none."""

    volume_id: str
    record: dict | None = None
    line: dict | None = None
    reason: str = ""


def prepare_datalist(
    datalist: str | Path,
    output: str | Path,
    anatomies: str | Path = "ct_rate",
    label_table: str | Path = SEGMENTER_TABLE,
    spacing: Sequence[float] = SPACING,
    min_size: Sequence[int] = MIN_SIZE,
    segment: bool = False,
    workers: int | None = None,
    language_model: str | Path | None = None,
) -> Path:
    """Prepare all volumes of a raw CT datalist.

    Records of the new datalist hold `image` and `anatomy_mask` (the prepared ones), `source_image` and `source_mask`, `reports`
    by anatomy where there was a `report`, and whatever else they held. A volume that fails is set aside with its reason, and the
    run goes on; so is one without mask, unless `segment` makes one. What masks lack is told at the end.

    Args:
        datalist: records with `image` (NIfTI, or DICOM series), `anatomy_mask` (multi-label NIfTI) and `report`, see
            `scripts.datalists.datalist`.
        output: folder to write to; one that an earlier run with the same settings left is completed.
        anatomies: anatomy table, see `AnatomyTable.load`.
        label_table: what the masks' values stand for, see `read_label_table`.
        spacing: mm in x, y, z.
        min_size: voxels in z, y, x that a prepared volume has at least.
        segment: let TotalSegmentator segment the volumes that have no mask, one at a time.
        workers: processes; all processors by default.
        language_model: takes the reports of prepared volumes apart, in this process and after all volumes, see
            `LanguageModelDecomposer`; by default words do.

    Returns:
        Path of the new datalist.json.

    Raises:
        UserError: a datalist of another kind of case, a folder prepared with other settings, TotalSegmentator not installed, no
            such language model, a worker that was killed, no volume at all that could be prepared.
        ValueError: fewer than one worker.
    """
    workers = workers if workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise ValueError(f"workers is {workers}: give 1 or more")
    cases = load_datalist(datalist)
    if cases.kind.name != "volume":
        raise UserError(f"{datalist} is a datalist of {cases.domain.title}: give one of volumes")
    segmenter = _segmenter(label_table) if segment else None
    table, structures = AnatomyTable.load(anatomies, cases.domain), read_label_table(label_table, cases.domain)
    lookup = table.lookup(structures)
    decompose = LanguageModelDecomposer(language_model) if language_model is not None else None
    folder, asks = Path(output).absolute(), decompose is not None
    settings = _Settings(folder, table, structures, lookup, tuple(spacing), tuple(min_size), keeps_reports=asks)
    _keep_settings(settings)
    path = settings.output / "datalist.json"
    path.unlink(missing_ok=True)
    total = sum(map(len, cases.splits.values()))
    rejected = RejectionLog(settings.output / "rejected.jsonl", total, max_share=1)
    jobs = [(split, record) for split, records in cases.splits.items() for record in records]
    if segmenter:
        jobs = _segmented(jobs, settings.output / "segmentations", segmenter, rejected)
    splits = _prepare_all(jobs, settings, workers, rejected)
    if not any(splits.values()):
        raise UserError(f"none of the {total} volumes of {datalist} could be prepared; {rejected.path} says why, for each")
    if decompose:
        _split_reports_by_anatomy(splits, settings, decompose)
    save_datalist(path, cases.domain, splits, name=cases.name, description=_description(cases, settings))
    _log_missing_and_rejected(settings, splits, rejected)
    return path


def _keep_settings(settings: _Settings) -> None:
    """Write settings.json, or hold an earlier run's against this one's."""
    path = settings.output / "settings.json"
    facts = settings.facts()
    if not path.is_file():
        for folder in ("volumes", "masks"):
            (settings.output / folder).mkdir(parents=True, exist_ok=True)
        write_json_atomically(path, facts)
        return
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); remove the folder {settings.output}, or give another --output") from error
    changed = [f"{key} was {earlier.get(key)} and is {value} now" for key, value in facts.items() if earlier.get(key) != value]
    if changed:
        hint = f"give another --output, or remove {settings.output} to prepare its volumes anew"
        raise UserError(f"{settings.output} holds volumes prepared otherwise: {'; '.join(changed)}; {hint}")


def _prepare_all(
    jobs: Sequence[tuple[str, dict]], settings: _Settings, workers: int, rejected: RejectionLog
) -> dict[str, list[dict]]:
    """Prepare volumes in parallel; new records by split, in the order of the old ones."""
    journal = settings.output / "prepared.jsonl"
    lines = _lines(journal)
    # Written anew, because a kill may have left half a line at its end.
    write_atomically(journal, "".join(map(_as_line, lines.values())))
    records = [record for _, record in jobs]
    done = [lines.get(record["volume_id"], {}) for record in records]
    splits: dict[str, list[dict]] = {}
    with open(journal, "a", encoding="utf-8") as file, tqdm(total=len(jobs), desc="preparing volumes", unit="volume") as bar:
        for (split, _), outcome in zip(
            jobs, _prepare_in_processes(partial(_prepare, settings), records, done, workers), strict=True
        ):
            if outcome.record is None:
                rejected.add(outcome.volume_id, outcome.reason)
            else:
                splits.setdefault(split, []).append(outcome.record)
            if outcome.line is not None:
                file.write(_as_line(outcome.line))
                file.flush()
            bar.update()
    return splits


def _prepare_in_processes(prepare: partial, records: Sequence[dict], done: Sequence[dict], workers: int) -> Iterator[_Outcome]:
    """Outcomes of all records in order, made here or by other processes."""
    if workers == 1 or len(records) < 2:
        yield from map(prepare, records, done)
        return
    # Forked children of a process that runs threads may hang: new ones are started clean.
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(
            min(workers, len(records)), mp_context=spawn, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            yield from pool.map(prepare, records, done)
    except BrokenProcessPool as error:
        reason = "a worker was killed, most likely for want of memory"
        raise UserError(f"{reason}; run again with fewer --workers: what is done is not done again") from error


def _prepare(settings: _Settings, record: dict, line: dict) -> _Outcome:
    """Prepare one volume, unless an earlier run's line says that it was, from the same files; and make its new record."""
    volume_id = record["volume_id"]
    image, mask = settings.files(volume_id)
    sources = {"source_image": record["image"], "source_mask": record.get("anatomy_mask")}
    is_done = image.is_file() and mask.is_file() and sources.items() <= line.items()
    try:
        if not is_done:
            prepared, line = _prepared(settings, record, sources)
        new = _new_record(settings, record, sources)
    except Exception as error:  # whatever one volume's files do, the run goes on; the reason is kept
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return _Outcome(volume_id, reason=reason)
    if is_done:
        return _Outcome(volume_id, new)
    # Outside of the net: a full disk is no fault of the volume's, and ends the run.
    with atomic_path(image) as new_image, atomic_path(mask) as new_mask:
        prepared.save(new_image, new_mask)
    return _Outcome(volume_id, new, line)


def _prepared(settings: _Settings, record: dict, sources: dict[str, str | None]) -> tuple[PreparedVolume, dict]:
    """A prepared volume and its line of prepared.jsonl."""
    volume_id = record["volume_id"]
    if not _FILE_NAME.fullmatch(volume_id):
        raise UserError(f"volume_id {volume_id!r} cannot name a file: give one of letters, digits and . _ + - (200 at most)")
    if sources["source_mask"] is None:
        raise UserError(
            "has no anatomy_mask: give one (multi-label NIfTI on the volume's grid), or let TotalSegmentator make it with --segment"
        )
    volume = read_volume(sources["source_image"])
    labels = read_anatomies(sources["source_mask"], volume)
    anatomies = merge_labels(sources["source_mask"], labels, settings.lookup, settings.structures)
    prepared = prepare_volume(volume, anatomies, settings.spacing, settings.min_size)
    names = dict(enumerate(settings.table.names, 1))
    held = np.unique(prepared.mask)
    missing = [name for value, name in names.items() if value not in held]
    cut = [names[value] for value in cut_anatomies(anatomies)]
    return prepared, {"volume_id": volume_id, **sources, "missing": missing, "cut": cut}


def _new_record(settings: _Settings, record: dict, sources: dict[str, str | None]) -> dict:
    image, mask = map(str, settings.files(record["volume_id"]))
    new = {**record, "image": image, "anatomy_mask": mask, **sources}
    report = new.pop("report", None)
    if report is not None and "reports" not in new:
        new |= {"report": report} if settings.keeps_reports else {"reports": decompose_report(report, settings.table)}
    return new


def _split_reports_by_anatomy(splits: dict[str, list[dict]], settings: _Settings, decompose: LanguageModelDecomposer) -> None:
    """Put a language model's texts by anatomy in the place of the records' reports; equal reports are asked about once."""
    path = settings.output / "reports.jsonl"
    answers = _lines(path, "key")
    write_atomically(path, "".join(map(_as_line, answers.values())))
    waiting = [record for records in splits.values() for record in records if "report" in record]
    used = set()
    with open(path, "a", encoding="utf-8") as file:
        for record in tqdm(waiting, desc="taking reports apart", unit="report"):
            report = record.pop("report")
            key = sha256(f"{decompose.name}\n{report}".encode()).hexdigest()
            if key not in answers:
                earlier = decompose.fallbacks
                texts = decompose(report, settings.table)
                answers[key] = {"key": key, "by_words": decompose.fallbacks > earlier, "reports": texts}
                file.write(_as_line(answers[key]))
                file.flush()
            record["reports"] = answers[key]["reports"]
            used.add(key)
    by_words = sum(answers[key]["by_words"] for key in used)
    if by_words:
        told = "%d of %d different reports were taken apart by words: %s gave no answer that could be used (%s says for which)"
        logger.warning(told, by_words, len(used), decompose.name, path)


def _segmenter(label_table: str | Path) -> str:
    """Where TotalSegmentator is installed."""
    if label_table != SEGMENTER_TABLE:
        raise UserError(f"--segment makes masks of the label table {SEGMENTER_TABLE}: leave --label_table {label_table} out")
    found = shutil.which(SEGMENTER)
    if not found:
        reason = f"--segment needs {SEGMENTER}, which is not installed"
        raise UserError(f"{reason}: pip install {SEGMENTER} (at its first run it downloads its weights), or give masks")
    return found


def _segmented(jobs: Sequence[tuple[str, dict]], folder: Path, segmenter: str, rejected: RejectionLog) -> list[tuple[str, dict]]:
    """The jobs with a mask for each volume that had none; those whose segmentation fails are set aside."""
    kept = []
    bare = sum("anatomy_mask" not in record for _, record in jobs)
    with tqdm(total=bare, desc="segmenting volumes", unit="volume") as bar:
        for split, record in jobs:
            if "anatomy_mask" in record or not _FILE_NAME.fullmatch(record["volume_id"]):
                kept.append((split, record))
                continue
            mask = folder / f"{record['volume_id']}.nii.gz"
            try:
                if not mask.is_file():
                    _segment(segmenter, record["image"], mask)
                kept.append((split, {**record, "anatomy_mask": str(mask)}))
            except UserError as error:
                rejected.add(record["volume_id"], str(error))
            bar.update()
    return kept


def _segment(segmenter: str, image: str, mask: Path) -> None:
    """Segment one volume.

    Raises:
        UserError: the program failed; says its last line.
    """
    with atomic_path(mask) as temporary:
        command = [segmenter, "-i", image, "-o", str(temporary), "--ml"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode or not temporary.is_file():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise UserError(f"{image}: {SEGMENTER} failed (exit status {done.returncode}): {' '.join(last)}")


def _lines(path: Path, key: str = "volume_id") -> dict[str, dict]:
    """Lines of a journal by one of their entries, the last of each; one that a kill cut short is passed over."""
    lines = {}
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        lines[line[key]] = line
    return lines


def _as_line(line: dict) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"


def _description(cases: Datalist, settings: _Settings) -> str:
    spacing = " x ".join(f"{side:g}" for side in settings.spacing)
    return f"{cases.path.name} prepared at {spacing} mm for {', '.join(settings.table.names)}."


def _log_missing_and_rejected(settings: _Settings, splits: dict[str, list[dict]], rejected: RejectionLog) -> None:
    """Log what the masks of the prepared volumes lack, and how many volumes were set aside."""
    ids = {record["volume_id"] for records in splits.values() for record in records}
    lines = _lines(settings.output / "prepared.jsonl")
    for key, what in (("missing", "not in the mask"), ("cut", "cut off by the field of view")):
        counts = Counter(name for volume_id in ids for name in lines[volume_id][key])
        if counts:
            told = ", ".join(f"{name} of {count}" for name, count in counts.most_common())
            logger.warning("of %d volumes, anatomies %s: %s (prepared.jsonl says which)", len(ids), what, told)
    if rejected.count:
        logger.warning("%d volumes were set aside; %s says why", rejected.count, rejected.path)
