"""Predictions: the one document that comes out of a bundle.

A folder holds `predictions.jsonl`, one line a case, `masks/`, one PNG a mask (8 bits, one channel, 0 and 255), and for volumes
`saliency/`, one NIfTI a finding in the volume's own grid, [0, 1]. A line, broken here for reading:

    {"case_id": "s2", "domain": "cxr", "images": ["/data/films/s2.dcm"],
     "model": {"bundle": "cxr_localization", "version": "0.1.0",
               "checkpoint_sha256": "9f86...", "mlflow_run_id": "4c1e..."},
     "findings": [{"label": "Pneumonia", "text": "opacity in the left lower lobe", "anatomy": null,
                   "probability": 0.82, "confidence": 0.7, "image_index": 0,
                   "box": [1310, 1205, 402, 377], "mask": "masks/s2-3f1ab2c4d5-0.png"}]}

Boxes [x, y, width, height] and masks are in pixels of the stored image, whatever resizing a network used. `probability`
is that of the finding being there, `confidence` how sure the model is of what it says; both lie in [0, 1]. All keys are
there; all but `label` may be null. `image_index` counts `images` from 0; null is a finding of the case as a whole. Findings of
volumes may have `key_slice`, the slice that shows most, counted from 0 along the stored volume's axis that runs most nearly head to
foot, and `saliency`; a phrase that got no place for what it says has a `reason`. Paths of masks and saliency volumes are relative
to the folder.
"""

import json
import re
import secrets
import shutil
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import nibabel as nib
import numpy as np

from scripts.cases.domain import Domain, read_domain
from scripts.cases.finding import Finding
from scripts.files.errors import PredictionError
from scripts.files.faults import MISSING, Fault, describe_faults
from scripts.files.read_error import ReadError
from scripts.files.validation import ErrorCollector
from scripts.predictions.form import FindingLine, RunLine, check_case
from scripts.predictions.masks import mask_shape, write_mask

FILE_NAME = "predictions.jsonl"
OPTIONAL = tuple(name for name, field in FindingLine.model_fields.items() if not field.is_required())
"""Keys of a finding that are left out where nothing is known."""


class PredictionWriter:
    """Write the predictions of a run: all of them when the block ends well, otherwise none.

        model = {"bundle": "cxr_localization", "version": "0.1.0", "checkpoint_sha256": digest, "mlflow_run_id": None}
        with PredictionWriter(output_dir, "cxr", model) as writer:
            writer.add("s2", [path], [Finding("Pneumonia", probability=0.82, box=[8, 4, 20, 10], mask=mask)])

    Lines and masks go to a hidden folder beside first. When the block ends they take the place of older predictions; on
    an exception the hidden folder is removed and older predictions stay.

    Args:
        folder: where predictions.jsonl and masks/ stand afterwards; made if absent.
        domain: what the cases are: the name of a domain, or the folder of your own.
        model: what predicted: bundle, version, checkpoint_sha256 and mlflow_run_id (None in an untracked run).

    Raises:
        PredictionError: an unknown domain, or a model description with keys missing or unknown.
    """

    def __init__(self, folder: str | Path, domain: str | Path | Domain, model: dict[str, Any]) -> None:
        self.folder = Path(folder)
        named = domain.reference if isinstance(domain, Domain) else str(domain)
        self.model = dict(model)
        notes = ErrorCollector(str(self.folder / FILE_NAME))
        notes.check(RunLine, {"domain": named, "model": model})
        _raise_faults(notes.faults)
        self.domain = read_domain(domain)
        self._temporary = self.folder / f".{secrets.token_hex(4)}.predictions"
        self._cases: set[str] = set()

    def __enter__(self) -> "PredictionWriter":
        (self._temporary / "masks").mkdir(parents=True)
        self._lines = open(self._temporary / FILE_NAME, "w", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            self._lines.close()
            if kind is None:
                self._publish()
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def add(self, case_id: str, images: Sequence[str | Path], findings: Sequence[Finding]) -> None:
        """Write one case.

        Args:
            case_id: its id in the datalist.
            images: its image files.
            findings: what is said of it, with arrays; NumPy numbers will do. With a single image, `image_index` is 0 where a box
                or mask needs one.

        Raises:
            PredictionError: a case added before, or any fault; all are listed and nothing of the case is written.
        """
        entries = [_entry(finding, single_image=len(images) == 1) for finding in findings]
        case = {
            "case_id": case_id,
            "domain": self.domain.reference,
            "images": [str(image) for image in images],
            "model": self.model,
        }
        notes = ErrorCollector(str(self.folder / FILE_NAME), record=str(case_id))
        check_case(notes, {**case, "findings": entries}, _shape_of_array)
        _check_new(notes, case_id, self._cases)
        _raise_faults(notes.faults)
        for index, finding in enumerate(entries):
            name = finding_name(case_id, index)
            if finding["mask"] is not None:
                write_mask(self._temporary / "masks" / f"{name}.png", finding["mask"])
                finding["mask"] = f"masks/{name}.png"
            if finding.get("saliency") is not None:
                (self._temporary / "saliency").mkdir(exist_ok=True)
                nib.save(finding["saliency"], self._temporary / "saliency" / f"{name}.nii.gz")
                finding["saliency"] = f"saliency/{name}.nii.gz"
        self._lines.write(json.dumps({**case, "findings": entries}, ensure_ascii=False, allow_nan=False) + "\n")
        self._cases.add(case_id)

    def _publish(self) -> None:
        """Old lines go first and new ones come last, so that lines never name files that are not there."""
        lines = self.folder / FILE_NAME
        lines.unlink(missing_ok=True)
        for name in ("masks", "saliency"):
            if (self.folder / name).exists():
                (self.folder / name).rename(self._temporary / f"old_{name}")
            if (self._temporary / name).exists():
                (self._temporary / name).rename(self.folder / name)
        (self._temporary / FILE_NAME).rename(lines)


def finding_name(case_id: str, index: int) -> str:
    """File name, without ending, of a case's finding: legal on every file system, and different for every case and finding.

    Characters that a file name may not hold become "_"; the ten digits of the id's SHA-256 keep "a/b" and "a_b", or "a"
    and "A" where case does not count, apart.
    """
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", case_id)[:60]
    return f"{readable}-{sha256(case_id.encode()).hexdigest()[:10]}-{index}"


def read_predictions(path: str | Path) -> list[dict[str, Any]]:
    """Read and validate predictions.

    Returns:
        the cases: the keys of their lines, `findings` as `Finding`s; paths of masks and saliency volumes are absolute, relative
        ones of images too.

    Args:
        path: predictions.jsonl or its folder.

    Raises:
        PredictionError: no such file, lines that are not JSON, or any fault; all are listed.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise PredictionError(f"{path}: does not exist; run a bundle's inference.json first, or correct the path")
    folder = path.absolute().parent
    cases: list[dict[str, Any]] = []
    faults: list[Fault] = []
    seen: set[str] = set()
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        notes = ErrorCollector(str(path), record=f"line {number}")
        try:
            case = json.loads(line)
        except ValueError as error:
            notes.add("unreadable line", "", MISSING, f"is not JSON ({error})", "run the inference again")
        else:
            check_case(notes, case, partial(_shape_of_file, folder))
            if isinstance(case, dict) and isinstance(case.get("case_id"), str):
                _check_new(notes, case["case_id"], seen)
                seen.add(case["case_id"])
            cases.append(case)
        faults += notes.faults
    _raise_faults(faults)
    for case in cases:
        case["images"] = [str(folder / image) for image in case["images"]]
        for entry in case["findings"]:
            entry |= {key: str(folder / entry[key]) for key in ("mask", "saliency") if entry.get(key) is not None}
        case["findings"] = [Finding(**entry) for entry in case["findings"]]
    return cases


def _entry(finding: Finding, single_image: bool) -> dict[str, Any]:
    """A finding as it is written: numbers as Python's own, the image of a box or mask where there is only one."""
    index = 0 if single_image and finding.image_index is None and finding.has_place else finding.image_index
    entry = {name: getattr(finding, name) for name in FindingLine.model_fields} | {"image_index": index}
    entry = {name: _plain(value) for name, value in entry.items() if name not in OPTIONAL or value is not None}
    if isinstance(entry["box"], list | tuple | np.ndarray):
        entry["box"] = [_plain(number) for number in entry["box"]]
    return entry


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _shape_of_array(notes: ErrorCollector, key: str, mask: Any) -> tuple[int, int] | None:
    if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.ndim != 2:
        is_what = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        notes.add("bad mask", key, MISSING, f"is {is_what}, not a bool array [H, W]", "give mask > threshold, in NumPy")
        return None
    if not mask.any():
        notes.add("empty mask", key, MISSING, "marks no pixel", "give None, or leave the finding out")
    return mask.shape


def _shape_of_file(folder: Path, notes: ErrorCollector, key: str, name: Any) -> tuple[int, int] | None:
    if not isinstance(name, str):
        notes.wrong_type(key, name, "the path of a PNG, relative to the folder of predictions.jsonl")
        return None
    try:
        return mask_shape(folder / name)
    except ReadError as error:
        notes.add("unreadable mask", key, name, error.reason, "copy masks/ along with predictions.jsonl")
        return None


def _check_new(notes: ErrorCollector, case_id: str, seen: set[str]) -> None:
    if case_id in seen:
        notes.add("duplicate id", "case_id", case_id, "stands there already", "predict every case once")


def _raise_faults(faults: list[Fault]) -> None:
    if faults:
        raise PredictionError(describe_faults(faults))
