"""Datalists: the one document that goes into a bundle.

A datalist is a JSON object with `task` ("nasal", "cxr" or "ct"), a `name`, a `description` and one to three lists of
records, `training`, `validation` and `test`. A record is one case. Paths are relative to the datalist's folder, or
absolute. Boxes are [x, y, width, height] in pixels of the stored image, origin at its top left corner; masks are PNG
files of one grey channel and of the image's size, nonzero where the finding is. An unknown key is a fault, so that a
misspelt one does not go unseen. An id stands once in the whole file, a patient in one split only.

**cxr** - one film. Required: `study_id`, `patient_id`, `image` (PNG, JPEG or DICOM). Optional: `report`, `labels` (name
to 1 present or 0 absent; uncertain ones are left out), `findings`, each with `label` and optionally `text`, `boxes`,
`mask` and `tags`, which name slices of an evaluation:

    {"domain": "cxr", "name": "example", "description": "Two films of one hospital.",
     "training": [{"study_id": "s1", "patient_id": "p1", "image": "films/s1.png", "report": "No acute disease."}],
     "test": [{"study_id": "s2", "patient_id": "p2", "image": "films/s2.dcm",
               "report": "Opacity in the left lower lobe.",
               "labels": {"Pneumonia": 1, "Pneumothorax": 0},
               "findings": [{"label": "Pneumonia", "text": "opacity in the left lower lobe",
                             "boxes": [[1310, 1205, 402, 377]], "mask": "masks/s2.png", "tags": ["unseen_pair"]}]}]}

Training records need a report each, except in a training list where none has one and all have labels.

**nasal** - one exam of several endoscopic images and one report. Required: `exam_id`, `patient_id`, `images`, `report`.
Optional: `site` (the hospital), `label` (the exam's class), `findings`, each with `image_index` (from 0), `label` and
optionally `text`, one `box` and a `mask`; `regions`, for evaluation only, the region that each image shows or null, a name of
scripts/domains/nasal/regions.json:

    {"domain": "nasal", "name": "example", "description": "One exam.",
     "training": [{"exam_id": "e1", "patient_id": "p1", "images": ["e1/1.jpg", "e1/2.jpg"],
                   "report": "Bulging mass of the left nasopharynx. Turbinates normal.", "site": "A", "label": "NPC",
                   "findings": [{"image_index": 1, "label": "mass", "text": "bulging mass",
                                 "box": [220, 140, 96, 88], "mask": "e1/2_mass.png"}],
                   "regions": [null, "nasopharynx"]}]}

**ct** - one volume. Required: `volume_id`, `patient_id`, `image` (NIfTI, a folder with one DICOM series, or a file of the series).
Optional: `anatomy_mask` (NIfTI on the volume's grid, each anatomy or structure a whole number), `report`, `reports` (anatomy to
its text, at least one), `labels` as above; training records need `report` or `reports` as those of cxr need their `report`.
`python -m scripts preprocess-ct` makes prepared volumes and `reports` of raw ones, and notes where they came from as
`source_image` and `source_mask`:

    {"domain": "ct", "name": "example", "description": "Two volumes, one of them prepared.",
     "training": [{"volume_id": "v1", "patient_id": "p1", "image": "volumes/v1.nii", "anatomy_mask": "masks/v1.nii.gz",
                   "source_image": "raw/v1.nii.gz", "source_mask": "raw/v1_structures.nii.gz",
                   "reports": {"lung": "Nodule in the right upper lobe.", "heart": "Heart of normal size."},
                   "labels": {"Lung nodule": 1, "Cardiomegaly": 0}}],
     "test": [{"volume_id": "v2", "patient_id": "p2", "image": "raw/v2_series", "anatomy_mask": "raw/v2_structures.nii.gz",
               "report": "FINDINGS: Heart of normal size. IMPRESSION: No acute disease."}]}

`python -m scripts check-datalist FILE` tells everything that is wrong with one.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.cases.domain import Domain, known_domains, read_domain
from scripts.cases.kind import KINDS, Kind
from scripts.datalists.files.check import file_faults
from scripts.datalists.form import SPLITS, domain_of, form_faults
from scripts.files.atomic import write_json_atomically
from scripts.files.errors import DatalistError
from scripts.files.faults import Fault, describe_faults

__all__ = ["SPLITS", "Datalist", "check_datalist", "load_datalist", "save_datalist"]


@dataclass(frozen=True)
class Datalist:
    """A datalist without faults of form, its paths absolute.

        cases = load_datalist("data/mimic_cxr/datalist.json")
        records = cases.split("training")

    Args:
        path: its file.
        domain: what its cases are.
        name: of the data set, "" if it has none.
        splits: records by split.
        sha256: of the file as it was read.
    """

    path: Path
    domain: Domain
    name: str
    splits: dict[str, list[dict]] = field(repr=False)
    sha256: str

    def split(self, name: str) -> list[dict]:
        """Records of a split.

        Raises:
            DatalistError: the datalist has no such split.
        """
        if name not in self.splits:
            raise DatalistError(f"{self.path}: has no {name!r} records, only {', '.join(self.splits)}; name one of these")
        return self.splits[name]

    @property
    def kind(self) -> Kind:
        """Kind of its cases."""
        return KINDS[self.domain.kind]

    def case_id(self, record: dict) -> str:
        """The id of one of its records."""
        return record[self.kind.id_key]

    def records(self) -> list[dict]:
        """All records, split by split."""
        return [record for records in self.splits.values() for record in records]


def load_datalist(path: str | Path) -> Datalist:
    """Read a datalist and resolve its paths; images are not opened (`check_datalist` does that).

    Raises:
        DatalistError: no such file, not JSON, or any fault of form; all are listed.
    """
    content, sha256 = _read(path)
    _raise_faults(form_faults(path, content))
    folder = os.path.dirname(os.path.abspath(path))
    domain = domain_of(path, content)
    keys = (*KINDS[domain.kind].record.PATH_KEYS, "mask")
    splits = {
        split: [_with_paths(record, keys, lambda name: os.path.normpath(os.path.join(folder, name))) for record in content[split]]
        for split in SPLITS
        if split in content
    }
    return Datalist(Path(path), domain, content.get("name", ""), splits, sha256)


def check_datalist(path: str | Path, workers: int | None = None, progress: bool = True) -> list[Fault]:
    """Everything that is wrong with a datalist and the files it names; an empty list when nothing is.

    Opens every image and mask. The form of 100,000 records takes seconds, their films as long as reading them takes.

    Args:
        path: the datalist.
        workers: files read at a time; by default one a processor, at most 16.
        progress: show a bar when standard error is a terminal.
    """
    try:
        content, _ = _read(path)
    except DatalistError as error:
        return error.faults
    faults = form_faults(path, content)
    return faults + (file_faults(path, content, workers, progress) if isinstance(content, dict) else [])


def save_datalist(
    path: str | Path, domain: str | Path | Domain, splits: dict[str, list[dict]], name: str = "", description: str = ""
) -> None:
    """Write a datalist whole or not at all.

    Args:
        path: file to write; its folder is made.
        domain: what the cases are: a name, a folder, or what `read_domain` gave.
        splits: records by split; empty ones are left out. Absolute paths are written relative to the file's folder;
            relative ones are taken to be so already.
        name: of the data set.
        description: where it comes from, in a sentence or two.

    Raises:
        DatalistError: the records have faults of form; all are listed and nothing is written.
    """
    folder = os.path.dirname(os.path.abspath(path))

    def relative(file: str) -> str:
        return Path(os.path.relpath(file, folder)).as_posix() if os.path.isabs(file) else file

    cases = read_domain(domain)
    named = cases.name if cases.name in known_domains() else relative(str(cases.folder))
    content: dict[str, Any] = {"name": name, "domain": named, "description": description}
    form = form_faults(path, content | {split: records for split, records in splits.items() if records})
    _raise_faults(form)
    for split in SPLITS:
        if splits.get(split):
            content[split] = [
                _with_paths(record, (*KINDS[cases.kind].record.PATH_KEYS, "mask"), relative) for record in splits[split]
            ]
    write_json_atomically(path, content)


def _read(path: str | Path) -> tuple[Any, str]:
    """Content and SHA-256 of a JSON file."""
    try:
        data = Path(path).read_bytes()
        return json.loads(data.decode("utf-8-sig")), hashlib.sha256(data).hexdigest()
    except OSError as error:
        reason, hint = (
            f"cannot be opened ({error.strerror})",
            "correct the path, or make it: python -m scripts datalist",
        )
    except UnicodeDecodeError as error:
        reason, hint = f"is not UTF-8 text (byte {error.start})", "save it as UTF-8"
    except json.JSONDecodeError as error:
        reason, hint = f"is not JSON: {error.msg}, line {error.lineno}, column {error.colno}", "correct it there"
    fault = Fault("unreadable datalist", str(path), "", "", "", "", reason, hint)
    raise DatalistError(describe_faults([fault]), [fault])


def _raise_faults(faults: list[Fault]) -> None:
    if faults:
        raise DatalistError(describe_faults(faults), faults)


def _with_paths(record: dict, keys: Sequence[str], change: Callable[[str], str]) -> dict:
    """A copy of a record, of its findings too, with every path at `keys` put through `change`."""
    copy = dict(record)
    for key in keys:
        if key in copy:
            copy[key] = list(map(change, copy[key])) if isinstance(copy[key], list) else change(copy[key])
    if "findings" in copy:
        copy["findings"] = [_with_paths(finding, ("mask",), change) for finding in copy["findings"]]
    return copy
