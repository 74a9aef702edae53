"""What a datalist may hold, and everything about its form that is wrong: no image is opened here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.cases.forms import TASKS, TaskForm
from scripts.files.faults import MISSING, Fault
from scripts.files.form import ErrorCollector, check_index, unknown

SPLITS = ("training", "validation", "test")
ABOUT = ("name", "task", "description")
"""Keys of a datalist beside its splits."""


def form_faults(path: str | Path, content: Any) -> list[Fault]:
    """Everything wrong with the form of a datalist: keys, types, values; ids, patients, reports across splits."""
    notes = ErrorCollector(str(path))
    if not isinstance(content, dict):
        notes.wrong_type("", content, 'an object with "task" and the lists "training", "validation" or "test"')
        return notes.faults
    form = _task(notes, content)
    for key, value in content.items():
        if key in ABOUT and not isinstance(value, str):
            notes.wrong_type(key, value, "text")
        elif key in SPLITS:
            _check_split(notes, key, value)
        elif key not in ABOUT:
            notes.add("unknown key", key or '""', MISSING, *unknown(key, (*ABOUT, *SPLITS)))
    if not content.keys() & set(SPLITS):
        notes.add("empty split", "", MISSING, "holds no records", f"add at least one of {', '.join(SPLITS)}")
    if form is None:
        return notes.faults
    faults = notes.faults
    for split, index, record in records_of(content, form):
        record_notes = ErrorCollector(str(path), split, index)
        if isinstance(record, dict):
            form.check(record_notes, record)
            _check_image_indices(record_notes, record)
            _check_region_count(record_notes, record)
        else:
            record_notes.wrong_type("", record, "an object")
        faults += record_notes.faults
    return faults + _repeated(path, content, form) + _without_report(path, content, form)


def records_of(content: dict, form: TaskForm) -> Iterator[tuple[str, str, Any]]:
    """Split, name (id, or "[index]" where it has none) and content of every record, whatever that is."""
    for split in SPLITS:
        records = content.get(split)
        for index, record in enumerate(records if isinstance(records, list) else []):
            name = record.get(form.id_key) if isinstance(record, dict) else None
            yield split, name if isinstance(name, str) and name.strip() else f"[{index}]", record


def task_form(content: dict) -> TaskForm | None:
    """Form of the stated task or, where that is unknown, of the task whose ids the first record carries."""
    if isinstance(content.get("task"), str) and content["task"] in TASKS:
        return TASKS[content["task"]]
    first = next((records[0] for split in SPLITS if isinstance(records := content.get(split), list) and records), None)
    return next((form for form in TASKS.values() if isinstance(first, dict) and form.id_key in first), None)


def _task(notes: ErrorCollector, content: dict) -> TaskForm | None:
    task = content.get("task", MISSING)
    if task is MISSING:
        notes.add("unknown task", "task", MISSING, "is required and not there", f"add one of {', '.join(TASKS)}")
    elif isinstance(task, str) and task not in TASKS:
        notes.add("unknown task", "task", task, *unknown(task, TASKS))
    return task_form(content)


def _check_split(notes: ErrorCollector, split: str, records: Any) -> None:
    if not isinstance(records, list):
        notes.wrong_type(split, records, "a list of records")
    elif not records:
        notes.add("empty split", split, records, "holds no record", "fill it, or leave the key out")


def _check_image_indices(notes: ErrorCollector, record: dict) -> None:
    findings = record.get("findings")
    for number, finding in enumerate(findings if isinstance(findings, list) else []):
        if isinstance(finding, dict):
            check_index(notes, f"findings[{number}].image_index", finding.get("image_index"), record.get("images"))


def _check_region_count(notes: ErrorCollector, record: dict) -> None:
    regions, images = record.get("regions"), record.get("images")
    if isinstance(regions, list) and isinstance(images, list) and len(images) != len(regions) > 0 < len(images):
        reason = f"names {len(regions)} regions for {len(images)} images"
        notes.add("bad region count", "regions", regions, reason, "give each image one region, null where it is not known")


def _repeated(path: str | Path, content: dict, form: TaskForm) -> list[Fault]:
    """Ids that stand twice, and patients in several splits (named once, at the first record of each later split)."""
    faults: list[Fault] = []
    seen: dict[str, tuple[str, int]] = {}
    homes: dict[str, dict[str, str]] = {}
    positions = dict.fromkeys(SPLITS, -1)
    for split, name, record in records_of(content, form):
        positions[split] += 1
        if not isinstance(record, dict):
            continue
        notes = ErrorCollector(str(path), split, name)
        case, patient = record.get(form.id_key), record.get("patient_id")
        if isinstance(case, str) and case.strip():
            first = seen.setdefault(case, (split, positions[split]))
            if first != (split, positions[split]):
                reason = f"stands at {first[0]}[{first[1]}] already"
                hint = f"this is {split}[{positions[split]}]: give every case an id of its own, or take one out"
                notes.add("duplicate id", form.id_key, case, reason, hint)
        if isinstance(patient, str) and patient.strip():
            home = homes.setdefault(patient, {})
            if home and split not in home:
                reason = "is in " + " and ".join(f"{other} ({at})" for other, at in home.items()) + " too"
                notes.add("patient in two splits", "patient_id", patient, reason, "keep each patient in one split")
            home.setdefault(split, name)
        faults += notes.faults
    return faults


def _without_report(path: str | Path, content: dict, form: TaskForm) -> list[Fault]:
    """Training records without a report, unless none has one and all have labels: then it is the labels that train."""
    keys = [key for key in ("reports", "report") if key in form.required | form.optional]
    training = [
        (name, record) for split, name, record in records_of(content, form) if split == "training" and isinstance(record, dict)
    ]
    silent = [name for name, record in training if record.keys().isdisjoint(keys)]
    learns_labels = len(silent) == len(training) and all(record.get("labels") for _, record in training)
    if learns_labels or not form.required.keys().isdisjoint(keys):
        return []
    faults = []
    for name in silent:
        notes = ErrorCollector(str(path), "training", name)
        hint = "add it, or leave the record out; only a training list all of labels does without reports"
        notes.add("empty report", keys[0], MISSING, "is missing from a training record", hint)
        faults += notes.faults
    return faults
