"""CT volumes as fVLM takes them: one orientation and spacing, cropped to the anatomies, in few bytes; and the way back.

Prepared volumes are arrays [Z, Y, X] that run from inferior to superior, anterior to posterior, right to left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from scipy.ndimage import find_objects
from torch import Tensor

from scripts.files.read_error import ReadError
from scripts.readers.volume import GRID_TOLERANCE, Volume, corner_distance

SPACING = (1.0, 1.0, 3.0)
MIN_SIZE = (112, 256, 352)
WINDOW = (-1150.0, 350.0)
MARGIN = (5, 20, 20)
STEPS = 16
"""Stored steps of a Hounsfield unit: values are off by at most 1/32 unit, 2e-5 of fVLM's window."""

_LPS = axcodes2ornt(("L", "P", "S"))
_REVERSED = [2, 1, 0, 3]  # columns of an affine for axes [Z, Y, X] instead of [X, Y, Z], and back
_SAME_PLACE = 1e-3  # voxels
_SAME_SIZE = 1e-4  # a side of 103.99999 voxels, of a spacing stored in 32 bits, is one of 104

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class PreparedVolume:
    """A volume ready for the network, and its anatomies.

    Attributes:
        image: [Z, Y, X] int16, Hounsfield units times `STEPS`, within the window.
        mask: [Z, Y, X] uint8, 0 or the anatomy's value.
        affine: voxel (z, y, x) -> mm in RAS, [4, 4].
        window: lowest and highest Hounsfield unit, which `scaled` makes 0 and 1.
    """

    image: np.ndarray
    mask: np.ndarray
    affine: np.ndarray
    window: tuple[float, float]

    def scaled(self, part: Box = (slice(None), slice(None), slice(None))) -> np.ndarray:
        """A part of the image (slices z, y, x), float32 in [0, 1]."""
        low, high = (np.float32(end) for end in self.window)
        return (self.image[part].astype(np.float32) / np.float32(STEPS) - low) / (high - low)

    def save(self, image_path: str | Path, mask_path: str | Path) -> None:
        """Write image (.nii) and mask (.nii.gz), as `read_prepared` reads them and as any viewer shows them.

        The image stays uncompressed, so that training maps it into memory and reads the part that it needs; masks shrink
        a hundredfold.
        """
        header = nib.Nifti1Header()
        header.set_data_dtype(self.image.dtype)
        header.set_data_shape(self.image.shape[::-1])
        header.set_xyzt_units("mm")
        header.set_sform(self.affine[:, _REVERSED], code="scanner")
        header["scl_slope"], header["scl_inter"] = 1 / STEPS, 0
        header["cal_min"], header["cal_max"] = self.window
        header["vox_offset"] = header.single_vox_offset
        with open(image_path, "wb") as file:
            # By hand, because nibabel's writer would first make the voxels float64. [Z, Y, X] in C order is NIfTI's [X, Y, Z].
            file.write(header.binaryblock.ljust(header.single_vox_offset, b"\0"))
            file.write(np.ascontiguousarray(self.image, "<i2"))
        nib.save(nib.Nifti1Image(self.mask.T, self.affine[:, _REVERSED]), mask_path)


def read_prepared(image_path: str | Path, mask_path: str | Path) -> PreparedVolume:
    """Read a prepared volume; its image is mapped into memory, so that only the parts that are used are read.

    Raises:
        ReadError: missing, damaged, not written by `PreparedVolume.save`, or image and mask of different shape.
    """
    path = image_path
    try:
        image = nib.load(image_path)
        window = (float(image.header["cal_min"]), float(image.header["cal_max"]))
        if image.dataobj.slope != 1 / STEPS or image.get_data_dtype() != np.int16 or window[0] >= window[1]:
            raise ReadError(image_path, "is no prepared volume; make it with python -m scripts preprocess-ct")
        stored = image.dataobj.get_unscaled()
        path = mask_path
        mask = np.asanyarray(nib.load(mask_path).dataobj)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise ReadError(path, f"cannot be read ({error}); remove it and run preprocess-ct again") from error
    if mask.shape != stored.shape:
        raise ReadError(mask_path, f"has shape {mask.shape}, its volume {stored.shape}; remove both and run preprocess-ct again")
    return PreparedVolume(stored.T, mask.T, image.affine[:, _REVERSED], window)


def prepare_volume(
    volume: Volume,
    anatomies: np.ndarray,
    spacing: Sequence[float] = SPACING,
    min_size: Sequence[int] = MIN_SIZE,
    window: tuple[float, float] = WINDOW,
    margin: Sequence[int] = MARGIN,
) -> PreparedVolume:
    """Prepare a volume for the network, as fVLM does (arXiv 2501.14548, data preparation, and its code).

    Turned to LPS; resampled, the image trilinear, the mask nearest; cropped to the anatomies with a margin; clipped to the window;
    padded with its low end, evenly on both sides, the odd voxel after.

    Grids along the patient's axes keep their extent: sides become size * spacing / new spacing voxels, rounded down, so that the
    new spacing is a little larger where that is no whole number. As in the published code the mask's nearest voxel is that below
    (torch's "nearest"), which is up to half a new voxel off. Oblique and sheared grids are resampled once, exactly to the spacing,
    onto the upright box around them; what they do not cover is air.

    Args:
        volume: as read.
        anatomies: mask on the volume's grid [X, Y, Z], uint8, 0 or the anatomy's value.
        spacing: mm in x, y, z.
        min_size: voxels in z, y, x that the result has at least.
        window: lowest and highest Hounsfield unit kept, within 2047 of 0.
        margin: voxels in z, y, x around the anatomies, as far as the volume goes.

    Raises:
        ReadError: no anatomy in the mask.
        ValueError: a mask of other shape or type, a spacing that is not positive, a window out of range or order.
    """
    if anatomies.shape != volume.values.shape or anatomies.dtype != np.uint8:
        raise ValueError(f"anatomies {anatomies.shape} of {anatomies.dtype}: give uint8 of the volume's {volume.values.shape}")
    if min(spacing) <= 0 or not -(2**15) <= window[0] * STEPS < window[1] * STEPS < 2**15:
        raise ValueError(f"spacing {spacing} and window {window}: give mm above 0, and two Hounsfield units within 2047 of 0")
    turn = ornt_transform(io_orientation(volume.affine), _LPS)
    affine = volume.affine @ inv_ornt_aff(turn, volume.values.shape)
    # Transposed because files run fastest along x: copying them as they lie takes a third of the time.
    values, labels = (apply_orientation(array, turn).T for array in (volume.values, anatomies))
    resample = _resized if _is_upright(affine, values.shape[::-1]) else _straightened
    image, mask, affine = resample(values, labels, affine[:, _REVERSED], spacing[::-1], window[0])
    boxes = find_objects((mask > 0).view(np.uint8))
    if not boxes:
        raise ReadError(volume.path, "its mask holds none of the anatomies; give another mask or anatomy table")
    kept = [
        slice(max(0, box.start - more), min(side, box.stop + more))
        for box, more, side in zip(boxes[0], margin, mask.shape, strict=True)
    ]
    missing = [max(0, least - (part.stop - part.start)) for least, part in zip(min_size, kept, strict=True)]
    padding = [(count // 2, count - count // 2) for count in missing]
    steps = np.rint(np.clip(image[tuple(kept)], *window) * STEPS).astype(np.int16)
    corner = [part.start - before for part, (before, _) in zip(kept, padding, strict=True)]
    return PreparedVolume(
        np.pad(steps, padding, constant_values=round(window[0] * STEPS)),
        np.pad(mask[tuple(kept)], padding),
        affine @ _affine(offset=corner),
        (float(window[0]), float(window[1])),
    )


def to_native(
    values: np.ndarray, prepared_affine: np.ndarray, native_shape: Sequence[int], native_affine: np.ndarray
) -> np.ndarray:
    """Bring a map of a prepared volume back to the volume that it was made from: trilinear, 0 where the map does not reach.

    Args:
        values: [Z, Y, X], as a saliency volume.
        prepared_affine: of the prepared volume, (z, y, x) -> mm in RAS.
        native_shape: X, Y, Z of the volume as stored.
        native_affine: its affine.

    Returns:
        float32 [X, Y, Z].
    """
    matrix = np.linalg.inv(prepared_affine) @ native_affine
    source = torch.from_numpy(np.array(values, np.float32))
    along = np.abs(matrix[:3, :3]).argmax(1)
    across = matrix[:3, :3].copy()
    across[range(3), along] = 0
    if sorted(along) == [0, 1, 2] and (np.abs(across) @ np.array(native_shape)).max() < _SAME_PLACE:
        return _sample_along(source, matrix, native_shape, along)
    return _sample(source, matrix, native_shape, "bilinear", 0.0)


def organ_window(box: Box, shape: Sequence[int], size: Sequence[int]) -> Box:
    """A window of at least `size` around an organ, which it holds whole, inside the volume.

    Args:
        box: the organ's bounding box, slices (z, y, x).
        shape: of the volume.
        size: voxels that the window has at least, as far as the volume goes.
    """
    window = []
    for organ, side, least in zip(box, shape, size, strict=True):
        length = min(max(least, organ.stop - organ.start), side)
        centred = (organ.start + organ.stop - 1) // 2 - length // 2
        # Whole numbers put an even window up to one voxel off its organ's centre: the organ must not lose that one.
        start = min(max(centred, organ.stop - length, 0), organ.start, side - length)
        window.append(slice(start, start + length))
    return tuple(window)


def _is_upright(affine: np.ndarray, shape: Sequence[int]) -> bool:
    """Whether a grid in LPS order runs along the patient's axes, to within a tolerance at its corners."""
    upright = affine.copy()
    upright[:3, :3] = np.diag(np.diag(affine[:3, :3]))
    return corner_distance(affine, upright, tuple(shape)) <= GRID_TOLERANCE


def _resized(
    values: np.ndarray, labels: np.ndarray, affine: np.ndarray, spacing: Sequence[float], _: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image float32, mask uint8 and affine of an upright grid [Z, Y, X] at about the spacing (z, y, x)."""
    sides = np.array(values.shape)
    size = np.maximum(1, np.floor(sides * np.linalg.norm(affine[:3, :3], axis=0) / spacing + _SAME_SIZE)).astype(int)
    image = F.interpolate(_tensor(values, np.float32)[None, None], size.tolist(), mode="trilinear", align_corners=False)
    mask = F.interpolate(_tensor(labels, np.uint8)[None, None], size.tolist(), mode="nearest")
    scale = sides / size
    return image[0, 0].numpy(), mask[0, 0].numpy(), affine @ _affine(scale, offset=(scale - 1) / 2)


def _straightened(
    values: np.ndarray, labels: np.ndarray, affine: np.ndarray, spacing: Sequence[float], fill: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image float32, mask uint8 and affine on the upright LPS box around a grid [Z, Y, X], at the spacing (z, y, x)."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * values.shape - 0.5
    directions = np.array([[0, 0, -1], [0, -1, 0], [1, 0, 0]])  # of z, y, x in RAS
    along = (corners @ affine[:3, :3].T + affine[:3, 3]) @ directions
    low, high = along.min(0), along.max(0)
    size = np.ceil((high - low) / spacing - _SAME_SIZE).astype(int)
    upright = np.eye(4)
    upright[:3, :3] = directions * np.array(spacing)
    upright[:3, 3] = directions @ (low + np.array(spacing) / 2)
    matrix = np.linalg.inv(affine) @ upright
    image = _sample(_tensor(values, np.float32), matrix, size, "bilinear", fill)
    mask = _sample(_tensor(labels, np.float32), matrix, size, "nearest", 0)
    return image, mask.astype(np.uint8), upright


def _sample(source: Tensor, matrix: np.ndarray, size: Sequence[int], mode: str, fill: float) -> np.ndarray:
    """Values of a float32 array [D, H, W] at other voxels, float32; `fill` where these lie outside its voxels.

    Slab by slab, because coordinates take six times the memory of the values.

    Args:
        source: values.
        matrix: voxel of the result -> voxel of the source, [4, 4].
        size: of the result.
        mode: "bilinear" (which is trilinear in 3-D) or "nearest".
        fill: value outside.
    """
    sides = torch.tensor(source.shape, dtype=torch.float64)
    matrix = torch.from_numpy(matrix)
    rows, columns = (torch.arange(count, dtype=torch.float64) for count in size[1:])
    slab = rows[:, None, None] * matrix[:3, 1] + columns[None, :, None] * matrix[:3, 2] + matrix[:3, 3]
    result = np.full(tuple(size), fill, np.float32)
    for number in range(size[0]):
        places = slab + number * matrix[:3, 0]
        inside = ((places >= -0.5) & (places <= sides - 0.5)).all(2)
        if inside.any():
            grid = ((2 * places + 1) / sides - 1).flip(2).to(source.dtype)
            found = F.grid_sample(source[None, None], grid[None, None], mode, padding_mode="border", align_corners=False)
            result[number] = torch.where(inside, found[0, 0, 0], fill).numpy()
    return result


def _sample_along(source: Tensor, matrix: np.ndarray, size: Sequence[int], along: np.ndarray) -> np.ndarray:
    """What `_sample` gives trilinear with 0 outside, where each axis of the source runs along one of the result: axis by axis."""
    for axis in (2, 1, 0):  # the last first, while the array is small: its values lie side by side and are slow to pick
        other = along[axis]
        places = torch.arange(size[other], dtype=torch.float64) * matrix[axis, other] + matrix[axis, 3]
        last = source.shape[axis] - 1
        inside = (places >= -0.5) & (places <= last + 0.5)
        below = places.floor().clamp(0, last)
        above = (below + 1).clamp(max=last)
        shape = [-1 if number == axis else 1 for number in range(3)]
        weight = (places.clamp(0, last) - below).to(source.dtype).view(shape)
        source = source.index_select(axis, below.long()).lerp_(source.index_select(axis, above.long()), weight)
        source *= inside.view(shape)
    return source.permute(*np.argsort(along).tolist()).numpy()


def _tensor(array: np.ndarray, dtype: type) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype))


def _affine(scale: Sequence[float] = (1, 1, 1), offset: Sequence[float] = (0, 0, 0)) -> np.ndarray:
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = offset
    return affine
