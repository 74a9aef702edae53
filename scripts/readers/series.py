"""CT volumes stored as DICOM: from the files of one series to Hounsfield units on one grid, or a plain reason why not."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.pixels import iter_pixels

from scripts.files.read_error import ReadError
from scripts.readers.film_dicom import is_dicom

DIRECTORY_NAME = "DICOMDIR"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds below it
_PLANE = {
    "ImagePositionPatient": "where it lies",
    "ImageOrientationPatient": "how it lies",
    "PixelSpacing": "the size of a pixel",
    "RescaleSlope": "what a stored value is in Hounsfield units",
    "RescaleIntercept": "what a stored value is in Hounsfield units",
}
_GROUPS = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence")
_FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "NumberOfFrames")
_ABOUT = ("Modality", "SOPClassUID", "ImageType", "SeriesInstanceUID", "SeriesDescription", "Rows", "Columns")
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM counts towards left and posterior
_SAME_COSINE = 1e-4  # a hundredth of a millimetre per 10 cm
_SAME_PLACE = 0.01  # mm
_UNEVEN = 0.1  # share of the slice distance; positions are written with few digits
_NAMED = 5  # gaps and files that a message names

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Slice:
    """One plane of a series: a file, or a frame of an enhanced file (counted from 0)."""

    file: Path
    frame: int | None
    shape: tuple[int, int]
    position: np.ndarray
    cosines: np.ndarray
    spacing: np.ndarray
    slope: float
    intercept: float

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.cosines[:3], self.cosines[3:])

    @property
    def name(self) -> str:
        return self.file.name if self.frame is None else f"{self.file.name} frame {self.frame + 1}"


def read_series(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one CT series, float32 [X, Y, Z] in Hounsfield units, and its affine, voxel -> mm in RAS, float64 [4, 4].

    Planes are ordered along their normal, whatever their names and numbers. X runs along an image's rows, Y along its columns,
    Z along the series; a tilted gantry shears the affine. Compressed pixels go through pydicom's decoders; the frames of an
    enhanced file are its planes. Localizers, secondary captures, files of other modalities and planes that are there twice are
    left out, with a warning.

    Args:
        path: folder with the files of one series (others, not DICOM, may lie there too), or one of its files, where several
            series share a folder.

    Raises:
        ReadError: no CT series, several of them, one plane alone; planes of different size, spacing or orientation; missing
            planes; two different pictures at one place; attributes missing; pixels that cannot be decoded.
    """
    path = Path(path)
    planes = _in_order(path, _planes(path, _one_series(path)))
    places = np.array([plane.position for plane in planes])
    step = (places[-1] - places[0]) / (len(planes) - 1)
    _check_even(path, planes, places, step)
    first = planes[0]
    affine = np.eye(4)
    # PS3.3 C.7.6.2.1.1: PixelSpacing is row spacing first, and cosines are those of increasing column index first.
    affine[:3, :3] = np.column_stack([first.cosines[:3] * first.spacing[1], first.cosines[3:] * first.spacing[0], step])
    affine[:3, 3] = first.position
    return _hounsfield(planes).transpose(2, 1, 0), _LPS_TO_RAS @ affine


def _one_series(path: Path) -> list[tuple[Path, Dataset]]:
    """Files and headers of the one CT series that is meant."""
    headers = _headers(path)
    reasons = [_reason_to_leave_out(header) for _, header in headers]
    kept = [entry for entry, reason in zip(headers, reasons, strict=True) if reason is None]
    told = ", ".join(f"{count} {reason}" for reason, count in Counter(filter(None, reasons)).items())
    if not kept:
        raise ReadError(path, f"holds no CT slice{f', but {told}' if told else ''}; give the folder of the slices themselves")
    if told:
        logger.warning("%s: left out %s", path, told)
    by_series: dict[str, list[tuple[Path, Dataset]]] = {}
    for file, header in kept:
        by_series.setdefault(_series_of(header), []).append((file, header))
    if len(by_series) > 1:
        listed = "; ".join(
            f"{uid or 'without SeriesInstanceUID'} ({len(files)} files, as {files[0][0].name}: {_description(files[0][1])})"
            for uid, files in by_series.items()
        )
        reason = f"holds {len(by_series)} CT series: {listed}"
        raise ReadError(path, f"{reason}; give a file of the one that is meant, or put each into a folder of its own")
    return next(iter(by_series.values()))


def _headers(path: Path) -> list[tuple[Path, Dataset]]:
    """Headers of the DICOM files of a folder, or of those of its folder that belong to the same series as a file."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and file.name != DIRECTORY_NAME)
        return [(file, _header(file)) for file in files if _starts_like_dicom(file)]
    wanted = _header(path)
    headers = []
    for file in filter(_starts_like_dicom, sorted(file for file in path.parent.iterdir() if file.is_file())):
        try:
            headers.append((file, _header(file)))
        except ReadError as error:  # it may belong to another series; if not, the gap that it leaves is found
            logger.warning("passed over beside %s: %s", path.name, error)
    return [entry for entry in headers if _series_of(entry[1]) == _series_of(wanted)]


def _starts_like_dicom(file: Path) -> bool:
    with open(file, "rb") as content:
        return is_dicom(content.read(132))


def _header(file: Path) -> Dataset:
    if not _starts_like_dicom(file):
        raise ReadError(file, "is neither NIfTI by its name nor DICOM by its content; give .nii, .nii.gz or a DICOM series")
    try:
        header = dcmread(file, force=True, stop_before_pixels=True, specific_tags=[*_ABOUT, *_FRAMES, *_PLANE])
        header.walk(lambda *_: None)  # values are parsed when first asked for: a damaged one is to be found here
    except Exception as error:  # a damaged header can make pydicom fail in any way
        raise _damaged(file, error) from error
    if not header:
        raise _damaged(file, EOFError("its header ends before it says anything"))
    return header


def _damaged(file: Path, error: Exception) -> ReadError:
    return ReadError(file, f"is damaged DICOM ({type(error).__name__}: {error}); export the series anew")


def _series_of(header: Dataset) -> str:
    return str(header.get("SeriesInstanceUID", ""))


def _description(header: Dataset) -> str:
    return str(header.get("SeriesDescription") or "no description")


def _reason_to_leave_out(header: Dataset) -> str | None:
    modality = header.get("Modality")
    if modality and modality != "CT":
        return f"of modality {modality}"
    if str(header.get("SOPClassUID", "")).startswith(SECONDARY_CAPTURE):
        return "secondary captures"
    return "localizers" if "LOCALIZER" in (header.get("ImageType") or ()) else None


def _planes(path: Path, files: Sequence[tuple[Path, Dataset]]) -> list[_Slice]:
    planes = []
    for file, header in files:
        try:
            planes += _planes_of(file, header)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _damaged(file, error) from error
    if len(planes) < 2:
        raise ReadError(path, "holds one single slice; a volume has many: give the whole series")
    return planes


def _planes_of(file: Path, header: Dataset) -> list[_Slice]:
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if frames is not None:
        return [_plane(file, number, header, _frame_attributes(header, frame)) for number, frame in enumerate(frames)]
    if int(header.get("NumberOfFrames") or 1) > 1:
        raise ReadError(file, "holds several frames but not where they lie; export the series as one file a slice")
    return [_plane(file, None, header, header)]


def _frame_attributes(header: Dataset, frame: Dataset) -> Dataset:
    """What the functional groups say on a frame (PS3.3 C.7.6.16): its own ones count before those that all share."""
    attributes = Dataset()
    for groups in (*header.get("SharedFunctionalGroupsSequence", ()), frame):
        for group in (group for name in _GROUPS for group in groups.get(name, ())):
            attributes.update(group)
    return attributes


def _plane(file: Path, frame: int | None, header: Dataset, attributes: Dataset) -> _Slice:
    missing = [f"{name} ({what})" for name, what in _PLANE.items() if attributes.get(name) in (None, "")]
    missing += [name for name in ("Rows", "Columns") if not header.get(name)]
    if missing:
        raise ReadError(file, f"CT slice without {', '.join(missing)}: its place or values would be guesses; export it anew")
    numbers = [np.array(attributes.get(name), np.float64).ravel() for name in _PLANE]
    position, cosines, spacing, slope, intercept = numbers
    sizes = (position.size, cosines.size, spacing.size, slope.size, intercept.size)
    if sizes != (3, 6, 2, 1, 1) or not np.isfinite(np.concatenate(numbers)).all() or slope == 0 or spacing.min() <= 0:
        told = ", ".join(f"{name} {attributes.get(name)}" for name in _PLANE)
        raise ReadError(file, f"CT slice with malformed {told}; export it anew")
    return _Slice(file, frame, (header.Rows, header.Columns), position, cosines, spacing, slope.item(), intercept.item())


def _in_order(path: Path, planes: list[_Slice]) -> list[_Slice]:
    """Planes of one kind by their place along the normal, each once."""
    first = planes[0]
    for plane in planes:
        differences = {
            "size": (plane.shape == first.shape, plane.shape, first.shape),
            "orientation": (np.allclose(plane.cosines, first.cosines, 0, _SAME_COSINE), plane.cosines, first.cosines),
            "pixel spacing": (np.allclose(plane.spacing, first.spacing, 1e-4, 0), plane.spacing, first.spacing),
        }
        for what, (same, found, wanted) in differences.items():
            if not same:
                both = (
                    f"{tuple(np.round(wanted, 6).tolist())} in {first.name}, {tuple(np.round(found, 6).tolist())} in {plane.name}"
                )
                reason = f"its slices differ in {what}: {both}"
                raise ReadError(path, f"{reason}; put each reconstruction into a folder of its own")
    ordered = sorted(planes, key=lambda plane: float(plane.position @ first.normal))
    doubles = [pair for pair in pairwise(ordered) if np.linalg.norm(pair[1].position - pair[0].position) < _SAME_PLACE]
    for one, other in doubles:
        if not np.array_equal(_hounsfield([one]), _hounsfield([other])):
            place = f"{float(one.position @ first.normal):.1f} mm"
            reason = f"{len(doubles)} places have two different pictures (phases or reconstructions), as {place}"
            raise ReadError(path, f"{reason}: {one.name} and {other.name}; put each into a folder of its own")
    if doubles:
        logger.warning("%s: left out %d slices that are there twice, as %s", path, len(doubles), doubles[0][1].name)
    repeated = {id(other) for _, other in doubles}
    return [plane for plane in ordered if id(plane) not in repeated]


def _check_even(path: Path, planes: Sequence[_Slice], places: np.ndarray, step: np.ndarray) -> None:
    """Refuse gaps, uneven distances and slices that are shifted against each other."""
    along = places @ planes[0].normal
    distances = np.diff(along)
    usual = float(np.median(distances)) if len(distances) else 0.0
    gaps = np.flatnonzero(np.abs(distances - usual) > _UNEVEN * usual)
    if len(gaps):
        named = [
            f"{distances[gap]:.2f} mm from {along[gap]:.1f} ({planes[gap].name}) to {along[gap + 1]:.1f} ({planes[gap + 1].name})"
            for gap in gaps[:_NAMED]
        ]
        named += [f"{len(gaps) - _NAMED} more"] * (len(gaps) > _NAMED)
        reason = f"slices are missing or unevenly spaced: they lie {usual:.2f} mm apart along their normal, but {', '.join(named)}"
        raise ReadError(path, f"{reason}; export the whole series again")
    line = places[0] + np.arange(len(places))[:, None] * step
    shift = np.linalg.norm(places - line, axis=1)
    if shift.max() > _UNEVEN * usual:
        worst = planes[int(shift.argmax())].name
        reason = f"its slices are shifted against each other, {worst} by {shift.max():.2f} mm"
        raise ReadError(path, f"{reason}; the table or the patient was moved between them: give each part in a folder of its own")


def _hounsfield(planes: Sequence[_Slice]) -> np.ndarray:
    """Decode planes, float32 [N, rows, columns] in Hounsfield units."""
    values = np.empty((len(planes), *planes[0].shape), np.float32)
    index = 0
    for file, same in groupby(planes, key=lambda plane: plane.file):
        own = list(same)
        try:
            frames = iter_pixels(file, indices=[plane.frame for plane in own] if own[0].frame is not None else None)
            for plane, stored in zip(own, frames, strict=True):
                values[index] = stored * np.float32(plane.slope) + np.float32(plane.intercept)
                index += 1
        except Exception as error:  # damaged pixels can make a decoder fail in any way
            lines = str(error).strip().splitlines() or [""]
            reason = f"its pixels cannot be decoded here ({type(error).__name__}: {lines[-1].strip()})"
            raise ReadError(file, f"{reason}; export it anew, or decompress it first, as with gdcmconv --raw") from error
    return values
