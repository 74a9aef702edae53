"""Pictures that a browser can show: films, exam images and volumes as PNG files that hold pixels and nothing else."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from skimage.segmentation import find_boundaries

from integrations.dicom.deidentify import refuse_burnt_in
from integrations.dicom.series import SliceGeometry
from scripts.cases.domain import Domain
from scripts.files.atomic import write_atomically
from scripts.readers.field_of_view import find_field_of_view
from scripts.readers.image import read_image
from scripts.readers.volume import read_anatomies, read_volume

WINDOWS = {"lung": (-1350.0, 150.0), "mediastinum": (-160.0, 240.0), "bone": (-500.0, 1300.0)}
"""Hounsfield units shown black and white."""
OUTLINES = ((255, 214, 0), (0, 200, 255), (255, 110, 180), (120, 230, 80), (255, 140, 40), (170, 140, 255))
"""Colours of anatomies, RGB, in turn: all stand out from grey."""


@dataclass(frozen=True)
class Picture:
    """A PNG file and its size in pixels."""

    path: Path
    width: int
    height: int


def render_image(path: str | Path, output_png: str | Path, domain: Domain, *, keep_phi: bool = False) -> Picture:
    """Write an image (PNG, JPEG or DICOM) as it is displayed, in its own size and its domain's colours, 8 bits a channel.

    Of a grey image DICOM's window, LUT and photometric interpretation are applied as the networks see them
    (`scripts.readers.film`). Where a domain has a lit field of view, what lies outside is black: there an endoscope's processor
    writes names and dates, mostly without a flag that says so.

    Args:
        keep_phi: show what stands around the field of view, and a picture with burnt-in names as well.

    Raises:
        ReadError: no readable image, or names are burnt into it.
    """
    if not keep_phi:
        refuse_burnt_in(path)
    image = read_image(path, domain)
    if image.dtype != np.uint8:
        image = np.rint(image * 255).astype(np.uint8)
    if domain.field_of_view and not keep_phi:
        rgb = image if image.ndim == 3 else image[..., None].repeat(3, axis=-1)
        lit = find_field_of_view(rgb)
        image = image * (lit if image.ndim == 2 else lit[..., None])
    return _write(output_png, image)


def render_volume(
    path: str | Path,
    folder: str | Path,
    *,
    choose: Callable[[int], Iterable[int]] = range,
    anatomy_mask: str | Path | None = None,
    keep_phi: bool = False,
) -> SliceGeometry:
    """Write a CT volume as axial pictures in radiological convention, a picture of each slice in each of `WINDOWS`.

    Args:
        path: NIfTI file, folder with one DICOM series, or a file of one.
        folder: receives the pictures as `picture_name` calls them.
        choose: number of slices -> indices of those to show, counted along the stored axis that runs most nearly head to foot; all
            by default. In the series they stand from head to foot.
        anatomy_mask: NIfTI on the volume's grid; the border voxels of each label are drawn in a colour.
        keep_phi: show a volume with burnt-in names as well.

    Raises:
        ReadError: no readable volume or mask, a mask of another grid, names burnt in.
    """
    path, folder = Path(path), Path(folder)
    if not keep_phi:
        refuse_burnt_in(path)
    volume = read_volume(path)
    labels = None if anatomy_mask is None else read_anatomies(anatomy_mask, volume)
    whole = SliceGeometry(volume.values.shape, volume.affine, ())
    series = replace(whole, slices=whole.head_to_foot(choose(whole.shape[whole.axis])))
    for index in series.slices:
        values = series.picture_of(volume.values, index)
        border = None if labels is None else _border(series.picture_of(labels, index))
        for window, (low, high) in WINDOWS.items():
            _write(folder / picture_name(window, index), _outlined(_windowed(values, low, high), border))
    return series


def picture_name(window: str, slice_index: int) -> str:
    """Path of a slice's picture below its volume's folder."""
    return f"{window}/{slice_index:04d}.png"


def _windowed(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(np.clip((values.astype(np.float32) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _border(labels: np.ndarray) -> np.ndarray:
    """Labels where they end, 0 elsewhere; where the picture ends nothing is drawn."""
    return np.where(find_boundaries(labels, mode="inner"), labels, 0)


def _outlined(grey: np.ndarray, border: np.ndarray | None) -> np.ndarray:
    if border is None:
        return grey
    colours = np.array(OUTLINES, np.uint8)
    picture = grey[..., None].repeat(3, axis=-1)
    picture[border > 0] = colours[(border[border > 0].astype(int) - 1) % len(colours)]
    return picture


def _write(path: str | Path, picture: np.ndarray) -> Picture:
    """Write grey or RGB levels, uint8 [H, W] or [H, W, 3]; OpenCV adds no text to a PNG."""
    _, png = cv2.imencode(".png", picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_atomically(path, png.tobytes())
    return Picture(Path(path), picture.shape[1], picture.shape[0])
