"""Slices of a volume as pictures in three windows, and what is drawn on them back in the volume's own grid.

A task's pictures are the key slices of what the model found, one a finding, most probable first, so that the page opens there; then
all slices shown, from head to foot, in each window of `integrations.dicom.display.WINDOWS`. The same slice may so be shown several
times: what is marked on any of its pictures counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from integrations.dicom.display import WINDOWS, picture_name, render_volume
from integrations.dicom.series import SliceGeometry, spread_slices
from integrations.label_studio.answers.results import brush_item, is_region, label_of, mask_of
from integrations.label_studio.errors import LabelStudioError
from scripts.cases.finding import Finding
from scripts.files.atomic import atomic_path
from scripts.files.read_error import ReadError

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


def render_case(
    case: Mapping[str, Any], record: Mapping[str, Any], folder: Path, known: Mapping[str, Any] | None, *, keep_phi: bool
) -> dict[str, Any]:
    """Write a volume's pictures, unless they are there; gives what is kept of them.

    Args:
        case: as `scripts.predictions.predictions.read_predictions` gives it.
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


def write_volume_mask(path: Path, mask: np.ndarray, pictures: Pictures) -> None:
    """Write a mask, bool [X, Y, Z], as NIfTI of 0 and 1 on the volume's own grid."""
    with atomic_path(path) as temporary:
        nib.save(nib.Nifti1Image(mask.astype(np.uint8), pictures.series.affine), temporary)


def mask_of_label(items: Iterable[Mapping[str, Any]], label: str, pictures: Pictures) -> np.ndarray | None:
    """Everything marked as a label, on whichever pictures, bool [X, Y, Z] in the volume's grid; None where nothing is.

    Raises:
        LabelStudioError: a region that cannot be read, or on a picture that the volume does not have.
    """
    series = pictures.series
    stack: np.ndarray | None = None
    for item in items:
        if not is_region(item) or label_of(item) != label:
            continue
        number = item.get("item_index") or 0
        if not 0 <= number < len(pictures.shown):
            raise LabelStudioError(f"region {item.get('id')}: is on image {number + 1} of {len(pictures.shown)}; draw it again")
        mask = mask_of(item)
        if mask.shape != (series.height, series.width):
            raise LabelStudioError(f"region {item.get('id')}: was drawn on a picture of another size; draw it again")
        stack = np.zeros((len(series.slices), series.height, series.width), bool) if stack is None else stack
        stack[series.slices.index(pictures.shown[number][1])] |= mask
    return None if stack is None or not stack.any() else series.to_volume(stack)


def draw_saliency(finding: Finding, pictures: Pictures, region: str) -> list[dict[str, Any]]:
    """Items of the heart of a finding's saliency, on every shown slice.

    Raises:
        ReadError: saliency that cannot be read or is of another grid than the volume.
    """
    try:
        saliency = nib.load(finding.saliency).get_fdata(dtype=np.float32)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise ReadError(finding.saliency, f"cannot be read ({error}); run the inference again") from error
    series = pictures.series
    if saliency.shape != series.shape:
        found, wanted = (" x ".join(map(str, shape)) for shape in (saliency.shape, series.shape))
        raise ReadError(finding.saliency, f"has shape {found}, the volume {wanted}; run the inference again on this volume")
    heart = saliency >= max(HEART_OF_SALIENCY * float(saliency.max()), np.finfo(np.float32).tiny)
    drawn = ((index, series.picture_of(heart, index)) for index in series.slices)
    return [
        brush_item(
            mask,
            finding.label,
            region=f"{region}-{index}",
            score=finding.confidence,
            image_index=pictures.number_of(finding.label, window_of(finding), index),
        )
        for index, mask in drawn
        if mask.any()
    ]


def window_of(finding: Finding) -> str:
    """Window that shows a finding's anatomy."""
    return WINDOW_OF.get(finding.anatomy, SOFT_TISSUE)


def _key_entries(case: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Window and key slice of what the model found, by label, most probable first."""
    entries: dict[str, tuple[str, int]] = {}
    for finding in sorted(case["findings"], key=lambda finding: -(finding.probability or 0)):
        if finding.key_slice is not None:
            entries.setdefault(finding.label, (window_of(finding), finding.key_slice))
    return dict(list(entries.items())[:MAX_KEY_PICTURES])


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
