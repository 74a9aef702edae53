"""Reading a CT volume and its anatomy mask, whatever they are stored as, into Hounsfield units with a place in the patient."""

import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform
from nibabel.spatialimages import HeaderDataError, SpatialImage

from scripts.files.read_error import ReadError
from scripts.readers.nifti_faults import NIFTI_ENDINGS, nifti_fault
from scripts.readers.series import read_series

__all__ = [
    "GRID_TOLERANCE",
    "RESAMPLE",
    "ReadError",
    "Volume",
    "corner_distance",
    "cut_anatomies",
    "grid_fault",
    "merge_labels",
    "read_anatomies",
    "read_label_map",
    "read_volume",
]

MIN_SIDE = 8
SPACING_RANGE = (0.2, 12.0)
"""Voxel sides in mm that a CT of the body may have."""
GRID_TOLERANCE = 0.05
"""Millimetres by which two grids may differ at a corner and still count as one."""
RESAMPLE = "resample it to the volume's grid with nearest neighbours, or give the mask that was made from this very file"
"""What to do about a mask that lies on another grid."""
_LOWEST_MUST_BE_BELOW = -200  # every scan holds air, about -1000 HU, around or in the body
_MAX_HU = 40_000  # beyond any scanner's extended scale
_FLATTEST = 0.5  # voxel volume over the product of its sides: 1 upright, .87 at a tilt of 30 degrees, 0 singular
_BROKEN = (ImageFileError, HeaderDataError, ValueError, OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class Volume:
    """A CT volume as stored, in no particular orientation.

    Attributes:
        values: Hounsfield units [X, Y, Z], int16 where all are whole numbers, else float32.
        affine: voxel index -> mm in RAS (right, anterior, superior), float64 [4, 4]; may be oblique or sheared (tilted gantry).
        path: the file or folder.
    """

    values: np.ndarray
    affine: np.ndarray
    path: Path


def read_volume(path: str | Path) -> Volume:
    """Read a CT volume: a NIfTI file (.nii, .nii.gz), a folder with one DICOM series, or one file of a DICOM series.

    Nothing is turned or resampled here. NIfTI's slope and intercept are applied, fractional ones too; a trailing dimension of one
    is dropped; of sform and qform the sform counts. For DICOM see `scripts.readers.series.read_series`.

    Raises:
        ReadError: with the file and a reason. Missing, cut short or damaged; not 3-D; NaN or infinite voxels, one single value, or
            values that are no Hounsfield units; a side under 8 voxels; no or a singular affine; a spacing outside 0.2-12 mm.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(path, "does not exist; correct the path")
    is_nifti = path.name.lower().endswith(NIFTI_ENDINGS) and path.is_file()
    values, affine = _read_nifti(path) if is_nifti else read_series(path)
    _check_grid(path, values.shape, affine)
    values = _as_int16(values)
    _check_hounsfield(path, float(values.min()), float(values.max()))
    return Volume(values, affine, path)


def read_label_map(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a multi-label NIfTI mask: labels [X, Y, Z], uint8 or, where a label is above 255, uint16; and its affine.

    Raises:
        ReadError: not NIfTI, unreadable, or holding anything but whole numbers from 0 to 65535.
    """
    path = Path(path)
    if not path.is_file():
        raise ReadError(path, "is no file; correct the path")
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        raise ReadError(path, "is not .nii or .nii.gz; anatomy masks are multi-label NIfTI: convert it first")
    stored, affine = _read_nifti(path)
    low, high = stored.min(), stored.max()
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise ReadError(path, f"holds values from {low:g} to {high:g}; labels go from 0 to 65535")
    labels = stored.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)
    if stored.dtype.kind == "f" and not np.array_equal(labels, stored):
        raise ReadError(path, "holds fractions: it was interpolated or holds probabilities; save it anew with whole labels")
    return labels, affine


def read_anatomies(path: str | Path, volume: Volume) -> np.ndarray:
    """Read the label map that belongs to a volume, [X, Y, Z] on the volume's grid, uint8 or uint16.

    A map that holds the same grid with axes swapped or turned round, as converters of DICOM write it, is brought to the volume's
    order.

    Raises:
        ReadError: as `read_label_map`; or another shape, corners more than 0.05 mm off, or no label at all.
    """
    labels, affine = _turned_like(volume, *read_label_map(path))
    fault = grid_fault(labels, affine, volume)
    if fault:
        raise ReadError(path, f"{fault}; {RESAMPLE}")
    if not labels.any():
        raise ReadError(path, "is 0 everywhere: no anatomy was found in the volume; look at it, or leave the volume out")
    return labels


def merge_labels(path: str | Path, labels: np.ndarray, lookup: np.ndarray, known: Collection[int]) -> np.ndarray:
    """A segmentation's labels -> anatomy values, uint8 of the same shape.

    Args:
        path: of the segmentation.
        labels: [X, Y, Z], as `read_anatomies` gives them.
        lookup: label -> anatomy value, see `scripts.reports.by_anatomy.AnatomyTable.lookup`.
        known: labels that the segmentation's label table names.

    Raises:
        ReadError: a label that the label table does not name.
    """
    # Slice by slice: in one go, sorting or looking up takes several times the mask's memory.
    held = set().union(*(np.unique(part).tolist() for part in labels.T))
    strange = sorted(held - set(known) - {0})
    if strange:
        listed = ", ".join(map(str, strange[:10]))
        raise ReadError(path, f"holds labels that the label table does not name ({listed}); give the --label_table of this mask")
    anatomies = np.empty_like(labels, dtype=np.uint8)
    for part, source in zip(anatomies.T, labels.T, strict=True):
        part[:] = lookup[source]
    return anatomies


def grid_fault(labels: np.ndarray, affine: np.ndarray, volume: Volume) -> str | None:
    """Say how a label map's grid differs from its volume's, axis order and direction aside, or return None if it does not."""
    labels, affine = _turned_like(volume, labels, affine)
    if labels.shape != volume.values.shape:
        found, wanted = (" x ".join(map(str, shape)) for shape in (labels.shape, volume.values.shape))
        return f"has shape {found}, the volume {wanted}"
    distance = corner_distance(affine, volume.affine, labels.shape)
    if distance > GRID_TOLERANCE:
        return f"lies elsewhere than the volume, by up to {distance:.2f} mm at a corner ({GRID_TOLERANCE} mm may be)"
    return None


def cut_anatomies(anatomies: np.ndarray) -> list[int]:
    """Values [X, Y, Z] that touch an outer face of the volume, in order: such an anatomy is cut off by the field of view."""
    faces = [anatomies.take(end, axis).ravel() for axis in range(3) for end in (0, -1)]
    return [int(value) for value in np.unique(np.concatenate(faces)) if value]


def corner_distance(affine: np.ndarray, other: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest distance in mm between the places that two affines give to the same corner voxel."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(shape) - 1)
    return float(np.linalg.norm(corners @ (affine - other)[:3, :3].T + (affine - other)[:3, 3], axis=1).max())


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels [X, Y, Z] as stored, or as float32 where slope and intercept are given, all finite; and the affine."""
    try:
        image = nib.load(path)
        voxels = _voxels(image) if _is_scalar_volume(image) else None
    except _BROKEN as error:
        raise ReadError(path, nifti_fault(path) or f"cannot be read ({error})") from error
    if voxels is None or not np.isfinite(voxels.sum(dtype=np.float64)):  # one NaN or infinity makes the sum one
        raise ReadError(path, nifti_fault(path) or "holds no finite volume")
    if not image.header["sform_code"] and not image.header["qform_code"]:
        raise ReadError(path, "has neither sform nor qform, so voxels have no place in the patient; convert the scan anew")
    return voxels, image.affine.astype(np.float64)


def _is_scalar_volume(image: SpatialImage) -> bool:
    dtype = image.get_data_dtype()
    is_3d = len(image.shape) >= 3 and set(image.shape[3:]) <= {1}
    return is_3d and dtype.kind in "iuf" and np.isfinite(image.affine).all() and np.linalg.det(image.affine) != 0


def _voxels(image: SpatialImage) -> np.ndarray:
    stored = image.dataobj
    is_scaled = (stored.slope, stored.inter) != (1, 0)
    # As nibabel would give them, scaled voxels are float64: half a gigabyte too much for a usual chest.
    voxels = image.get_fdata(caching="unchanged", dtype=np.float32) if is_scaled else np.asanyarray(stored)
    return voxels[(slice(None),) * 3 + (0,) * (voxels.ndim - 3)]


def _as_int16(values: np.ndarray) -> np.ndarray:
    """Whole numbers of 16 bits as int16, all else as float32."""
    limits = np.iinfo(np.int16)
    fits = limits.min <= values.min() and values.max() <= limits.max
    if fits and (values.dtype.kind in "iu" or all(np.array_equal(part, np.rint(part)) for part in values)):
        return values.astype(np.int16, copy=False)
    return values.astype(np.float32, copy=False)


def _check_grid(path: Path, shape: tuple[int, ...], affine: np.ndarray) -> None:
    if min(shape) < MIN_SIDE:
        found = " x ".join(map(str, shape))
        reason = f"has {found} voxels, fewer than {MIN_SIDE} slices along an axis: no volume of an organ; give the whole scan"
        raise ReadError(path, reason)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing.min() < SPACING_RANGE[0] or spacing.max() > SPACING_RANGE[1]:
        sides = " x ".join(f"{side:.4g}" for side in spacing)
        reason = f"has voxels of {sides} mm, outside {SPACING_RANGE[0]}-{SPACING_RANGE[1]:g} mm: the header states another unit"
        raise ReadError(path, f"{reason} or a wrong spacing; correct it from the scan's own records")
    if abs(np.linalg.det(affine[:3, :3])) < _FLATTEST * spacing.prod():
        raise ReadError(path, "has an affine that is singular or nearly so: its axes lie almost in a plane; convert the scan anew")


def _check_hounsfield(path: Path, low: float, high: float) -> None:
    if low == high:
        raise ReadError(path, f"every voxel is {low:g}: nothing was scanned, or the export lost the picture; export it anew")
    if max(-low, high) > _MAX_HU:
        reason = f"values from {low:g} to {high:g} are no Hounsfield units"
        raise ReadError(path, f"{reason} (beyond {_MAX_HU}); apply the scan's rescale slope and intercept, or replace fill values")
    if low >= _LOWEST_MUST_BE_BELOW:
        reason = f"values from {low:g} to {high:g} hold no air (-1000 Hounsfield units), which every CT does"
        hint = "it is no CT, or was windowed, normalised or stored without its rescale intercept: export it in Hounsfield units"
        raise ReadError(path, f"{reason}; {hint}")


def _turned_like(volume: Volume, labels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same labels with axes in the volume's order and directions."""
    turn = ornt_transform(io_orientation(affine), io_orientation(volume.affine))
    return apply_orientation(labels, turn), affine @ inv_ornt_aff(turn, labels.shape)
