"""A hospital's endoscopic exams: images, DICOM files and videos by exam, with a table of reports.

Layout:

    SOURCE_DIR/
      e1/*.jpg, e1/*.dcm, e1/*.mp4   a folder an exam, or whatever pattern --images gives: "{exam}_*.jpg", "{patient}/{exam}/*.png"
    TABLE (CSV with commas, semicolons or tabs, UTF-8; or Excel's .xlsx)
      one row an exam: its id, its patient, its report, and what else is known: diagnosis, hospital, split, names of its images

So an export is read, whatever its columns are called:

    python -m scripts datalist endoscopy --source_dir images --table exams.xlsx --output data/nasal/datalist.json
        --exam_column Accession --patient_column Patient --report_column Findings --label_column Diagnosis
        --labels "normal=NOR,adenoid=BH,carcinoma=NPC" --frames_dir data/nasal/frames
"""

import glob
import json
import logging
import os
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from fnmatch import fnmatchcase
from pathlib import Path

import cv2
import pandas as pd
from tqdm import tqdm

from scripts.cases.domain import read_domain
from scripts.datalists.sources.own_table import SPLIT_NAMES, read_own_table, report_bad_ids
from scripts.datalists.sources.tables import OWN_SPLIT, SourceFaults, files_below, folder_of
from scripts.datalists.splits import split_by_patient
from scripts.files.atomic import atomic_path, write_json_atomically
from scripts.files.errors import UserError
from scripts.files.read_error import ReadError
from scripts.readers.film_dicom import DICOM_ENDINGS, is_dicom
from scripts.readers.frame import STILL_ENDINGS
from scripts.readers.video import VIDEO_ENDINGS, choose_frames, dicom_frame_count, is_video, probe_video, read_video_frames

DOMAIN = "nasal"

logger = logging.getLogger(__name__)

_PLACES = {"exam": "exam_id", "patient": "patient_id"}
_PLACE = re.compile(r"\{(exam|patient)\}")
_WILDCARD = re.compile(r"[*?\[]")
_RECIPE = 1  # a new way of choosing frames is a new number


def build(
    source_dir: str | Path,
    table: str | Path,
    domain: str = DOMAIN,
    exam_column: str = "exam_id",
    patient_column: str = "patient_id",
    report_column: str = "report",
    label_column: str | None = None,
    labels: tuple[str, ...] = (),
    site_column: str | None = None,
    split_column: str | None = None,
    images: str = "{exam}/*",
    images_column: str | None = None,
    frames_dir: str | Path | None = None,
    frame_seconds: float = 1.0,
    max_frames: int = 32,
    shares: tuple[float, ...] = tuple(OWN_SPLIT.values()),
    seed: int = 0,
    skip_missing: bool = False,
) -> dict[str, list[dict]]:
    """Read a folder of exams and its table; without `split_column`, split by patient, alike in diagnoses.

    One record a row. PNG, JPEG, BMP, TIFF and single DICOM images are taken as they are. Of videos and multi-frame DICOM files
    frames are taken at intervals, blurred ones and repeats left out, and kept as PNG; a second run finds them there.

    Args:
        source_dir: folder of the images.
        table: table of the exams.
        domain: what the exams are: the name of a domain, or the folder of your own.
        exam_column: its column with an id of each exam.
        patient_column: column with the patient, so that no patient is in two splits.
        report_column: column with the report.
        label_column: column with the diagnosis; a blank one is an exam without label.
        labels: what the diagnoses mean, as in "normal=NOR,carcinoma=NPC"; the domain's own classes need none.
        site_column: column with the hospital.
        split_column: column with training (train), validation (val, valid) or test.
        images: where an exam's files are below `source_dir`: {exam} and {patient} stand for its ids, * for anything.
        images_column: column with the names of the exam's files below `source_dir`, separated by semicolons, instead of `images`.
        frames_dir: folder for the frames of videos; needed where there are any.
        frame_seconds: seconds from one frame that is looked at to the next.
        max_frames: at most so many frames of a video.
        shares: of training, validation and test, where there is no `split_column`.
        seed: of the split.
        skip_missing: leave out exams without images or report, and videos that cannot be read, instead of stopping.

    Raises:
        SourceError: an unreadable table, missing columns, blank or repeated ids, unknown labels or splits, a patient in two
            splits, exams without images or report, images without exam, unreadable videos; all at once.
    """
    source_dir, path = folder_of(source_dir), folder_of(table)
    faults = SourceFaults("endoscopy", source_dir)
    meanings = _meanings(labels, read_domain(domain).classes, faults)
    fractions = _fractions(shares, faults)
    if frame_seconds <= 0 or max_frames < 1:
        faults.add(source_dir, f"--frame_seconds {frame_seconds}, --max_frames {max_frames}", "give numbers above 0")
    if frames_dir is not None and source_dir.is_relative_to(folder_of(frames_dir)):
        faults.add(source_dir, f"lies in --frames_dir {frames_dir}", "give the frames a folder of their own")
    named = {"report_column": report_column, "label_column": label_column, "site_column": site_column}
    named |= {"split_column": split_column, "images_column": images_column}
    columns = {"exam_column": [exam_column], "patient_column": [patient_column]}
    rows = read_own_table(path, columns | {option: [column] for option, column in named.items() if column is not None}, faults)
    faults.stop_if_any()

    report_bad_ids(rows, [exam_column, patient_column], path, faults)
    kept = {"exam_id": exam_column, "patient_id": patient_column, "report": report_column, "label": label_column}
    kept |= {"site": site_column, "split": split_column, "images": images_column}
    rows = pd.DataFrame({key: rows[column] for key, column in kept.items() if column is not None})
    records = rows.to_dict("records")
    _translate(records, "label", meanings, path, "name what it means, as in --labels normal=NOR", faults)
    _translate(records, "split", SPLIT_NAMES, path, "give training, validation or test", faults)
    _find_images(records, images, source_dir, frames_dir, faults, skip_missing)
    records = _complete(records, path, faults, skip_missing)
    splits = _split(records, split_column is not None, fractions, seed, path, faults)
    clips = _clips(records, frames_dir, faults, skip_missing)
    faults.stop_if_any()
    _take_frames(records, clips, source_dir, frames_dir, frame_seconds, max_frames, faults, skip_missing)
    faults.stop_if_any()
    return {split: [_record(entry) for entry in entries if entry["images"]] for split, entries in splits.items()}


def _meanings(labels: tuple[str, ...], classes: tuple[str, ...], faults: SourceFaults) -> dict[str, str]:
    """Class by diagnosis, lower case."""
    labels = tuple(labels.split(",")) if isinstance(labels, str) else labels
    pairs = [tuple(part.strip() for part in text.rpartition("=")[::2]) for text in labels]
    bad = [text for text, (name, label) in zip(labels, pairs, strict=True) if not name or label not in classes]
    if bad:
        faults.add(faults.folder, "--labels not understood", f"write DIAGNOSIS=CLASS, a class of {', '.join(classes)}", bad)
    return {label.casefold(): label for label in classes} | {name.casefold(): label for name, label in pairs}


def _fractions(shares: tuple, faults: SourceFaults) -> dict[str, float]:
    hint = "give three numbers above 0 that add up to 1, as in --shares 0.6,0.2,0.2"
    try:
        values = [float(share) for share in shares]
    except ValueError:
        values = []
    if len(values) != len(OWN_SPLIT) or min(values) <= 0 or abs(sum(values) - 1) > 1e-6:
        faults.add(faults.folder, f"--shares {','.join(map(str, shares))} are no shares", hint)
        return {}
    return dict(zip(OWN_SPLIT, values, strict=True))


def _translate(records: list[dict], key: str, meanings: dict[str, str], path: Path, hint: str, faults: SourceFaults) -> None:
    """Put each record's `key` through `meanings`, whatever its case; values that are none of them are noted, with their count."""
    unknown: Counter = Counter()
    for record in records:
        value = record.get(key, "")
        if key == "split" and key in record and not value:
            unknown["(blank)"] += 1
        elif value:
            record[key] = meanings.get(value.casefold(), value)
            unknown[value] += value.casefold() not in meanings
    listed = [f"{value} ({count} exams)" for value, count in unknown.items() if count]
    if listed:
        faults.add(path, f"unknown {key}s", hint, listed)


def _find_images(
    records: list[dict], pattern: str, folder: Path, frames_dir: str | Path | None, faults: SourceFaults, skip_missing: bool
) -> None:
    """Give each record the list `images` of its files, absolute paths; files of no exam or of several are noted."""
    by_name = _files(folder, frames_dir)
    names = sorted(by_name)
    owners: dict[str, list[str]] = defaultdict(list)
    absent = []
    for record in records:
        if "images" in record:
            listed = [name.strip().replace("\\", "/") for name in record["images"].split(";") if name.strip()]
            listed = list(dict.fromkeys(os.path.normpath(name) for name in listed))
            absent += [f"{name} ({record['exam_id']})" for name in listed if name not in by_name]
            found = [name for name in listed if name in by_name]
        else:
            found = sorted(_matching(names, pattern, record), key=_natural)
        record["images"] = [by_name[name] for name in found]
        for name in found:
            owners[name].append(record["exam_id"])
    shared = [f"{name} ({', '.join(exams)})" for name, exams in owners.items() if len(exams) > 1]
    if shared:
        faults.add(folder, "files of several exams", "give an --images pattern that matches the images of one exam only", shared)
    if absent:
        _add_or_warn(
            faults, folder, f"images of the table that are not there ({len(absent)})", "correct the names", absent, skip_missing
        )
    orphans = [name for name in names if name not in owners]
    if orphans:
        hint = "add rows for their exams, or see --images"
        _add_or_warn(faults, folder, f"images without a row in the table ({len(orphans)})", hint, orphans, skip_missing)


def _files(folder: Path, frames_dir: str | Path | None) -> dict[str, str]:
    """Absolute paths of images and videos below a folder, by their paths within it; frames of an earlier run are not among them."""
    own = None if frames_dir is None else str(folder_of(frames_dir)) + os.sep
    found = {}
    for file in files_below(folder, ("",), "looking for images"):
        name = Path(file)
        ending = name.suffix.lower()
        if name.name.startswith(".") or (own and file.startswith(own)):
            continue
        # DICOM exports often name files by bare numbers or unique identifiers: then their content decides.
        bare = (not ending or ending[1:].isdigit()) and name.name != "DICOMDIR"
        if ending in (*STILL_ENDINGS, *VIDEO_ENDINGS, *DICOM_ENDINGS) or (bare and _has_dicom_prefix(file)):
            found[name.relative_to(folder).as_posix()] = file
    return found


def _has_dicom_prefix(path: str) -> bool:
    with open(path, "rb") as file:
        return is_dicom(file.read(132))


def _matching(names: list[str], pattern: str, record: dict) -> list[str]:
    """Of sorted names, those that a record's pattern fits. Only names that begin as it does are tried: there are many exams."""
    begin = _WILDCARD.split(pattern)[0]
    begin = _PLACE.sub(lambda place: record[_PLACES[place[1]]], begin)
    whole = _PLACE.sub(lambda place: glob.escape(record[_PLACES[place[1]]]), pattern)
    found = []
    for index in range(bisect_left(names, begin), len(names)):
        if not names[index].startswith(begin):
            break
        if fnmatchcase(names[index], whole):
            found.append(names[index])
    return found


def _natural(name: str) -> list:
    """Sorts frame 2 before frame 10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _add_or_warn(faults: SourceFaults, file: Path, fault: str, hint: str, records: list[str], skip_missing: bool) -> None:
    """Note a fault, or with `skip_missing` count it in a warning."""
    if skip_missing:
        logger.warning("endoscopy: left out: %s", fault)
    else:
        faults.add(file, fault, f"{hint}, or give --skip_missing", records)


def _complete(records: list[dict], path: Path, faults: SourceFaults, skip_missing: bool) -> list[dict]:
    """Records with images and a report."""
    without = {
        "images": ("exams without images", "put them there, or see --images"),
        "report": ("exams with an empty report", "fill it in: exams are learned from reports"),
    }
    for key, (fault, hint) in without.items():
        silent = [record["exam_id"] for record in records if not record[key]]
        if silent:
            _add_or_warn(faults, path, f"{fault} ({len(silent)})", hint, silent, skip_missing)
    return [record for record in records if record["images"] and record["report"]]


def _split(
    records: list[dict], given: bool, fractions: dict[str, float], seed: int, path: Path, faults: SourceFaults
) -> dict[str, list[dict]]:
    """Records by split, by the table's column or by patient."""
    if not given:
        try:
            return split_by_patient(records, fractions, seed, lambda record: record.get("label", ""))
        except UserError as error:
            # Few or blank patients: told with everything else.
            faults.add(path, str(error), "or give --split_column")
            return {}
    homes: dict[str, set[str]] = defaultdict(set)
    for record in records:
        homes[record["patient_id"]].add(record["split"])
    torn = [f"{patient} ({', '.join(sorted(splits))})" for patient, splits in homes.items() if len(splits) > 1]
    if torn:
        faults.add(path, "patients in several splits", "keep each patient in one split", torn)
    return {split: [record for record in records if record["split"] == split] for split in OWN_SPLIT}


def _clips(records: list[dict], frames_dir: str | Path | None, faults: SourceFaults, skip_missing: bool) -> set[str]:
    """Videos and multi-frame DICOM files of the records; those that do not open are noted and taken out."""
    clips, unreadable = set(), {}
    for file in (file for record in records for file in record["images"]):
        if Path(file).suffix.lower() in STILL_ENDINGS:
            continue
        try:
            if is_video(file):
                probe_video(file)
                clips.add(file)
            elif dicom_frame_count(file) > 1:
                clips.add(file)
        except ReadError as error:
            unreadable[file] = str(error)
    if clips and frames_dir is None:
        faults.add(faults.folder, f"holds {len(clips)} videos", "say where their frames are written: --frames_dir")
    _take_out(records, unreadable, faults, skip_missing)
    return clips


def _take_out(records: list[dict], unreadable: dict[str, str], faults: SourceFaults, skip_missing: bool) -> None:
    if unreadable:
        fault = f"unreadable videos or DICOM files ({len(unreadable)})"
        _add_or_warn(faults, faults.folder, fault, "replace them", list(unreadable.values()), skip_missing)
        for record in records:
            record["images"] = [file for file in record["images"] if file not in unreadable]


def _take_frames(
    records: list[dict],
    clips: set[str],
    source_dir: Path,
    frames_dir: str | Path | None,
    seconds: float,
    most: int,
    faults: SourceFaults,
    skip_missing: bool,
) -> None:
    """Replace each video in the records' images by its frames."""
    frames: dict[str, list[str]] = {}
    unreadable: dict[str, str] = {}
    for clip in tqdm(sorted(clips), desc="taking frames", unit="video", leave=False, disable=None):
        try:
            frames[clip] = _frames_of(Path(clip), folder_of(frames_dir) / Path(clip).relative_to(source_dir), seconds, most)
        except ReadError as error:
            unreadable[clip] = str(error)
    _take_out(records, unreadable, faults, skip_missing)
    for record in records:
        record["images"] = [image for file in record["images"] for image in frames.get(file, [file])]


def _frames_of(clip: Path, folder: Path, seconds: float, most: int) -> list[str]:
    """Frames of a video as files of a folder of their own, named by their numbers.

    `frames.json`, written last, says what was taken of which file: where it agrees, nothing is decoded.
    """
    state = clip.stat()
    made = {"recipe": _RECIPE, "seconds": seconds, "most": most, "size": state.st_size, "modified": state.st_mtime_ns}
    index = folder / "frames.json"
    kept = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    names = kept.pop("frames", [])
    if kept != made or not all((folder / name).is_file() for name in names):
        names = []
        chosen = choose_frames(clip, seconds, most)
        for number, frame in read_video_frames(clip, set(chosen)):
            names.append(f"{number:07d}.png")
            with atomic_path(folder / names[-1]) as temporary:
                cv2.imwrite(str(temporary), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            if number == chosen[-1]:
                break  # the rest of the video need not be decoded
        write_json_atomically(index, made | {"frames": names})
    return [str(folder / name) for name in names]


def _record(entry: dict) -> dict:
    keys = ("exam_id", "patient_id", "images", "report", "site", "label")
    return {key: entry[key] for key in keys if entry.get(key)}
