"""The CT task: a volume as pictures in three windows, what the model says of it, and the review back in the volume's own grid.

A task's pictures are the key slices of what the model found, one a finding, most probable first, so that the page opens there; then
all slices shown, from head to foot, in each window of `integrations.dicom.display.WINDOWS`. The same slice may so be shown several
times: what is marked on any of its pictures counts.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import nibabel as nib
import numpy as np

from integrations.dicom.display import WINDOWS, picture_name, render_volume
from integrations.dicom.series import SliceGeometry, spread_slices
from integrations.label_studio.answers.judgements import ABSENT, PRESENT
from integrations.label_studio.answers.results import BOXES, IMAGE, MASKS, REPORT, brush_item, choices_item
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages.configurations import COLOURS, SEES_ALL, Labels
from integrations.label_studio.pages.preannotations import LIKELY
from scripts.files.read_error import ReadError

UNCERTAIN = "uncertain"
WINDOW_OF = {"lung": "lung", "trachea": "lung", "spine": "bone"}
"""Window that shows an anatomy; the others are soft tissue."""
SOFT_TISSUE = "mediastinum"
MAX_SLICES = 96
"""Slices shown in a window, besides key slices: a page with a thousand pictures loads too slowly to be used."""
MAX_KEY_PICTURES = 8
HEART_OF_SALIENCY = 0.5
"""Share of its largest value from which saliency is drawn."""


@dataclass(frozen=True)
class Pictures:
    """What a task shows of a volume: its geometry, window and slice of each picture, labels of the key slices that come first."""

    series: SliceGeometry
    shown: tuple[tuple[str, int], ...]
    keys: tuple[str, ...]

    @property
    def files(self) -> list[str]:
        """Of each picture, below the case's folder."""
        return [picture_name(*entry) for entry in self.shown]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [(self.series.width, self.series.height)] * len(self.shown)

    def number_of(self, label: str, window: str, slice_index: int) -> int:
        """Picture, from 0, of the shown slice nearest to a slice: the label's own key slice if it is that one."""
        entry = (window, min(self.series.slices, key=lambda index: abs(index - slice_index)))
        own = self.keys.index(label) if label in self.keys else None
        return own if own is not None and self.shown[own] == entry else self.shown.index(entry, len(self.keys))

    def as_json(self) -> dict[str, Any]:
        """What `from_json` makes the same pictures of."""
        return {"series": self.series.as_json(), "shown": [list(entry) for entry in self.shown], "keys": list(self.keys)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Pictures":
        shown = tuple((window, index) for window, index in kept["shown"])
        return cls(SliceGeometry.from_json(kept["series"]), shown, tuple(kept["keys"]))


def configuration(labels: Labels) -> str:
    """Labeling configuration: pictures, findings table, an answer for each finding, brush and box, report.

    Raises:
        LabelStudioError: no label at all.
    """
    names = list(dict.fromkeys((*labels.regions, *labels.cases)))
    if not names:
        raise LabelStudioError("there is no finding to judge: no volume has one; run the inference with other prompts or masks")
    root = Element("View", style="display: flex; gap: 1em")
    left, right = SubElement(root, "View", style="flex: 58%"), SubElement(root, "View", style="flex: 42%")
    SubElement(left, "Header", value="$attention", size="6")
    SubElement(left, "Image", name=IMAGE, valueList="$images", **SEES_ALL)
    SubElement(left, "Header", value="Report", size="5")
    SubElement(left, "Text", name=REPORT, value="$report")
    for tag, control, title in (("BrushLabels", MASKS, "Brush"), ("RectangleLabels", BOXES, "Box")):
        SubElement(left, "Header", value=title, size="5")
        tool = SubElement(left, tag, name=control, toName=IMAGE)
        for number, name in enumerate(names):
            SubElement(tool, "Label", value=name, background=COLOURS[number % len(COLOURS)])
    SubElement(right, "Header", value="What the model says", size="5")
    SubElement(right, "Table", name="table", value="$probabilities", valueType="csv")
    SubElement(right, "Header", value="What is there", size="5")
    for name in names:
        row = SubElement(right, "View", style="display: flex; justify-content: space-between; align-items: center")
        SubElement(row, "Header", value=name, size="6")
        answers = SubElement(row, "Choices", name=control_of(name), toName=IMAGE, choice="single-radio", layout="inline")
        for answer in (PRESENT, ABSENT, UNCERTAIN):
            SubElement(answers, "Choice", value=answer)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def control_of(label: str) -> str:
    """Name of a finding's answer: legal whatever the label holds, and different for every label."""
    readable = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40]
    return f"answer-{readable}-{sha256(label.encode()).hexdigest()[:6]}"


def render_case(
    case: dict[str, Any], record: Mapping[str, Any], folder: Path, known: Mapping[str, Any] | None, *, keep_phi: bool
) -> dict[str, Any]:
    """Write a volume's pictures, unless they are there; gives what is kept of them.

    Args:
        case: as `scripts.data.read_predictions` gives it.
        record: of the datalist; its anatomy mask is outlined. Empty where there is none.
        folder: receives the pictures.
        known: what an earlier call gave: the task shows these pictures, so they are made again where they are gone or the volume's
            file has changed.
        keep_phi: show a volume with burnt-in names as well.

    Returns:
        `series`, `shown` and `keys`, which `Pictures.from_json` takes, `source`, the state of the files they were made from, and
        `anatomy_mask`, the path of what is outlined.

    Raises:
        ReadError: no readable volume or mask, burnt-in names, or a volume that changed its grid since it was first sent.
    """
    image = case["images"][0]
    mask = _anatomy_mask(image, record)
    source = [_state(file) for file in (image, mask) if file is not None]
    pictures = None if known is None else Pictures.from_json(known)
    if pictures and known["source"] == source and all((folder / file).is_file() for file in pictures.files):
        return dict(known)
    keys = _key_entries(case)

    def choose(count: int) -> Sequence[int]:
        return pictures.series.slices if pictures else spread_slices(count, MAX_SLICES, [index for _, index in keys.values()])

    series = render_volume(image, folder, choose=choose, anatomy_mask=mask, keep_phi=keep_phi)
    if pictures is None:
        keys = {label: entry for label, entry in keys.items() if entry[1] in series.slices}
        every = [(window, index) for window in WINDOWS for index in series.slices]
        pictures = Pictures(series, (*keys.values(), *every), tuple(keys))
    elif series.shape != pictures.series.shape or not np.allclose(series.affine, pictures.series.affine):
        raise ReadError(image, "lies on another grid than when it was first sent; restore it, or push to another project")
    return pictures.as_json() | {"source": source, "anatomy_mask": mask}


def data_of(case: dict[str, Any], pictures: Pictures) -> dict[str, str]:
    """What stands beside the pictures: `attention`, a line on what is where, and `probabilities`, the findings table as CSV."""
    first, count = len(pictures.keys) + 1, len(pictures.series.slices)
    ranges = [f"{window} {first + number * count}-{first + (number + 1) * count - 1}" for number, window in enumerate(WINDOWS)]
    opening = f"Images 1-{len(pictures.keys)}: key slices of what the model found. " if pictures.keys else ""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("Finding", "Anatomy", "Probability", "Image"))
    for finding in sorted(case["findings"], key=lambda finding: -(finding["probability"] or 0)):
        key = finding.get("key_slice")
        number = "" if key is None else pictures.number_of(finding["label"], _window_of(finding), key) + 1
        probability = "" if finding["probability"] is None else f"{finding['probability']:.2f}"
        writer.writerow((finding["label"], finding["anatomy"] or "", probability, number))
    return {"attention": f"{opening}From head to foot: {', '.join(ranges)}", "probabilities": table.getvalue().rstrip("\n")}


def result_of(case: dict[str, Any], pictures: Pictures) -> list[dict[str, Any]]:
    """Items of a volume's findings: an answer each, and on every shown slice the heart of its saliency.

    Raises:
        ReadError: saliency that cannot be read or is of another grid than the volume.
    """
    items: list[dict[str, Any]] = []
    answers: dict[str, dict[str, Any]] = {}
    for number, finding in enumerate(case["findings"]):
        if finding.get("saliency") is not None:
            items += _saliency_items(finding, pictures, f"finding-{number}")
        earlier = answers.get(finding["label"])
        # The same finding of two anatomies has one answer.
        if finding["probability"] is not None and (earlier is None or (_is_present(finding) and not _is_present(earlier))):
            answers[finding["label"]] = finding
    for label, finding in answers.items():
        items.append(choices_item(control_of(label), [PRESENT if _is_present(finding) else ABSENT], finding["confidence"]))
    return items


def _anatomy_mask(image: str, record: Mapping[str, Any]) -> str | None:
    """The mask on the grid of the volume shown: a prepared record has that of the raw volume as well."""
    is_raw = record.get("source_image") is not None and Path(record["source_image"]) == Path(image)
    return record.get("source_mask" if is_raw else "anatomy_mask")


def _state(path: str) -> list[Any]:
    """Where a file or folder is and when it was last changed."""
    try:
        stated = Path(path).stat()
    except OSError as error:
        raise ReadError(path, f"cannot be opened ({error.strerror or error})") from error
    return [str(path), stated.st_size, stated.st_mtime_ns]


def _is_present(finding: Mapping[str, Any]) -> bool:
    """Findings that reached their threshold have a place; where the model shows none, the probability has to do."""
    if finding.get("key_slice") is not None or finding.get("saliency") is not None:
        return True
    return finding["probability"] is not None and finding["probability"] >= LIKELY


def _window_of(finding: Mapping[str, Any]) -> str:
    return WINDOW_OF.get(finding["anatomy"], SOFT_TISSUE)


def _key_entries(case: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Window and key slice of what the model found, by label, most probable first."""
    entries: dict[str, tuple[str, int]] = {}
    for finding in sorted(case["findings"], key=lambda finding: -(finding["probability"] or 0)):
        if finding.get("key_slice") is not None:
            entries.setdefault(finding["label"], (_window_of(finding), finding["key_slice"]))
    return dict(list(entries.items())[:MAX_KEY_PICTURES])


def _saliency_items(finding: Mapping[str, Any], pictures: Pictures, region: str) -> list[dict[str, Any]]:
    try:
        saliency = nib.load(finding["saliency"]).get_fdata(dtype=np.float32)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise ReadError(finding["saliency"], f"cannot be read ({error}); run the inference again") from error
    series = pictures.series
    if saliency.shape != series.shape:
        found, wanted = (" x ".join(map(str, shape)) for shape in (saliency.shape, series.shape))
        raise ReadError(finding["saliency"], f"has shape {found}, the volume {wanted}; run the inference again on this volume")
    heart = saliency >= max(HEART_OF_SALIENCY * float(saliency.max()), np.finfo(np.float32).tiny)
    drawn = ((index, series.picture_of(heart, index)) for index in series.slices)
    return [
        brush_item(
            mask,
            finding["label"],
            region=f"{region}-{index}",
            score=finding["confidence"],
            image_index=pictures.number_of(finding["label"], _window_of(finding), index),
        )
        for index, mask in drawn
        if mask.any()
    ]
