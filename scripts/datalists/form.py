"""What a datalist may hold, and everything about its form that is wrong: no image is opened here."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.cases.domain import Domain, DomainError, known_domains, read_domain
from scripts.cases.kind import KINDS, Kind
from scripts.files.faults import MISSING, Fault
from scripts.files.validation import ErrorCollector, unknown

SPLITS = ("training", "validation", "test")
ABOUT = ("name", "domain", "description")
"""Keys of a datalist beside its splits."""


def form_faults(path: str | Path, content: Any) -> list[Fault]:
    """Everything wrong with the form of a datalist: keys, types, values; ids, patients, reports across splits."""
    notes = ErrorCollector(str(path))
    if not isinstance(content, dict):
        notes.wrong_type("", content, 'an object with "domain" and the lists "training", "validation" or "test"')
        return notes.faults
    if "task" in content and "domain" not in content:
        hint = f'write "domain", one of {", ".join(known_domains())}'
        notes.add("unknown key", "task", content["task"], 'is called "domain" now', hint)
        return notes.faults
    domain = _domain(notes, path, content)
    for key, value in content.items():
        if key in ABOUT and not isinstance(value, str):
            notes.wrong_type(key, value, "text")
        elif key in SPLITS:
            _check_split(notes, key, value)
        elif key not in ABOUT:
            notes.add("unknown key", key or '""', MISSING, *unknown(key, (*ABOUT, *SPLITS)))
    if not content.keys() & set(SPLITS):
        notes.add("empty split", "", MISSING, "holds no records", f"add at least one of {', '.join(SPLITS)}")
    kind = kind_in(path, content)
    if kind is None:
        return notes.faults
    faults = notes.faults
    for split, index, record in records_of(content, kind):
        record_notes = ErrorCollector(str(path), split, index)
        if isinstance(record, dict):
            record_notes.check(kind.record, record, context=domain)
            kind.record.check_whole(record_notes, record)
        else:
            record_notes.wrong_type("", record, "an object")
        faults += record_notes.faults
    return faults + _repeated(path, content, kind) + _without_report(path, content, kind)


def records_of(content: dict, kind: Kind) -> Iterator[tuple[str, str, Any]]:
    """Split, name (id, or "[index]" where it has none) and content of every record, whatever that is."""
    for split in SPLITS:
        records = content.get(split)
        for index, record in enumerate(records if isinstance(records, list) else []):
            name = record.get(kind.id_key) if isinstance(record, dict) else None
            yield split, name if isinstance(name, str) and name.strip() else f"[{index}]", record


def domain_of(path: str | Path, content: dict) -> Domain:
    """Domain that a datalist names: one that ships, or a folder relative to the file.

    Raises:
        DomainError: it names none, or one that cannot be used.
    """
    named = content.get("domain")
    if isinstance(named, str) and named not in known_domains() and named.strip():
        named = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(path)), named))
    return read_domain(named if isinstance(named, str) else "")


def kind_in(path: str | Path, content: dict) -> Kind | None:
    """Kind of the named domain or, where that is unknown, of the records whose ids the first one carries."""
    try:
        return KINDS[domain_of(path, content).kind]
    except DomainError:
        first = next((records[0] for split in SPLITS if isinstance(records := content.get(split), list) and records), None)
        return next((kind for kind in KINDS.values() if isinstance(first, dict) and kind.id_key in first), None)


def _domain(notes: ErrorCollector, path: str | Path, content: dict) -> Domain | None:
    if "domain" not in content:
        known = ", ".join(known_domains())
        notes.add("unknown domain", "domain", MISSING, "is required and not there", f"add one of {known}, or your own's folder")
    try:
        return domain_of(path, content)
    except DomainError as error:
        if isinstance(named := content.get("domain"), str):
            folder = Path(path).absolute().parent / named
            reason, hint = (str(error), "mend it") if folder.is_dir() else unknown(named, known_domains())
            notes.add("unknown domain", "domain", named, reason, hint)
        return None


def _check_split(notes: ErrorCollector, split: str, records: Any) -> None:
    if not isinstance(records, list):
        notes.wrong_type(split, records, "a list of records")
    elif not records:
        notes.add("empty split", split, records, "holds no record", "fill it, or leave the key out")


def _repeated(path: str | Path, content: dict, kind: Kind) -> list[Fault]:
    """Ids that stand twice, and patients in several splits (named once, at the first record of each later split)."""
    faults: list[Fault] = []
    seen: dict[str, tuple[str, int]] = {}
    homes: dict[str, dict[str, str]] = {}
    positions = dict.fromkeys(SPLITS, -1)
    for split, name, record in records_of(content, kind):
        positions[split] += 1
        if not isinstance(record, dict):
            continue
        notes = ErrorCollector(str(path), split, name)
        case, patient = record.get(kind.id_key), record.get("patient_id")
        if isinstance(case, str) and case.strip():
            first = seen.setdefault(case, (split, positions[split]))
            if first != (split, positions[split]):
                reason = f"is also the id of {first[0]}[{first[1]}]"
                hint = f"this is {split}[{positions[split]}]: give every case an id of its own, or take one out"
                notes.add("duplicate id", kind.id_key, case, reason, hint)
        if isinstance(patient, str) and patient.strip():
            home = homes.setdefault(patient, {})
            if home and split not in home:
                reason = "is in " + " and ".join(f"{other} ({at})" for other, at in home.items()) + " too"
                notes.add("patient in two splits", "patient_id", patient, reason, "keep each patient in one split")
            home.setdefault(split, name)
        faults += notes.faults
    return faults


def _without_report(path: str | Path, content: dict, kind: Kind) -> list[Fault]:
    """Training records without a report, unless none has one and all have labels: then it is the labels that train."""
    keys = kind.record.REPORT_KEYS
    if any(kind.record.model_fields[key].is_required() for key in keys):
        return []  # its absence is noted already
    training = [
        (name, record) for split, name, record in records_of(content, kind) if split == "training" and isinstance(record, dict)
    ]
    silent = [name for name, record in training if record.keys().isdisjoint(keys)]
    if len(silent) == len(training) and all(record.get("labels") for _, record in training):
        return []
    faults = []
    for name in silent:
        notes = ErrorCollector(str(path), "training", name)
        hint = "add it, or leave the record out; only a training list all of labels does without reports"
        notes.add("empty report", keys[0], MISSING, "is missing from a training record", hint)
        faults += notes.faults
    return faults
