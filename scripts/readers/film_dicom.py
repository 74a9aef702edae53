"""Films stored as DICOM: from stored values to what a viewing station shows, or a plain reason why not."""

import io
import logging
import struct
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import UID

from scripts.files.read_error import ReadError
from scripts.readers.film_raster import unsigned_range

DICOM_ENDINGS = (".dcm", ".dicom")
DICOM_PREFIX = b"DICM"  # at byte 128, after the preamble
_META_GROUP, _FIRST_GROUPS = b"\x02\x00", (b"\x08\x00", b"\x00\x08")
# What pydicom and the codecs raise on damaged headers and pixels, found by flipping bytes of real files.
_DECODE_FAULTS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    OSError,
    RuntimeError,  # NotImplementedError too
    TypeError,
    ValueError,
    struct.error,
)
_NOT_IMAGES = {
    "SEG": "a segmentation object (SEG)",
    "SR": "a structured report (SR)",
    "RTSTRUCT": "a set of radiotherapy contours (RTSTRUCT)",
    "RTPLAN": "a radiotherapy plan (RTPLAN)",
    "RTDOSE": "a radiotherapy dose grid (RTDOSE)",
    "PR": "a presentation state (PR)",
    "KO": "a key object selection (KO)",
    "DOC": "an encapsulated document (DOC)",
}
_REQUIRED = {
    "Rows": "its height",
    "Columns": "its width",
    "SamplesPerPixel": "whether it is grey or colour",
    "BitsAllocated": "the size of a stored value",
    "BitsStored": "the bits in use of a stored value",
    "PixelRepresentation": "whether stored values are signed",
    "PhotometricInterpretation": "whether high values are white or black",
}
_GREY = ("MONOCHROME1", "MONOCHROME2")
# Standardised luminance of RGB (ITU-R BT.601), the same that OpenCV uses for PNG and JPEG.
_LUMINANCE = np.array([0.299, 0.587, 0.114])

logger = logging.getLogger(__name__)


def is_dicom(data: bytes) -> bool:
    """Whether bytes are DICOM: the prefix at byte 128, or, in files that lost it, a first tag of group 0002 or 0008."""
    return data[128:132] == DICOM_PREFIX or data[:2] in (_META_GROUP, *_FIRST_GROUPS)


def read_dicom(path: Path, data: bytes) -> np.ndarray:
    """Read a single-frame DICOM image as displayed, [H, W], float32 in [0, 1], 1 is white.

    Grey: modality LUT or rescale, then the VOI LUT sequence if there is one, else the first window (PS3.3 C.11.1,
    C.11.2). The range that the LUT or window can give out, not the one it happens to, becomes [0, 1]. Without either:
    unsigned pixels by `unsigned_range`, signed ones from their smallest to their largest value. MONOCHROME1 is then
    inverted. Colour and palette: luminance over the `unsigned_range`.

    A file that lost its preamble but kept its file meta information is read, with a warning. Which modality a film
    has is not looked at: a CT slice is read like any other picture.

    Raises:
        ReadError: no image, several frames, unstated pixel format or transfer syntax, cut short, or not decodable here.
    """
    try:
        dataset = _open(path, data)
        _check_single_image(path, dataset)
        stored = _decode(path, dataset)
        if dataset.PhotometricInterpretation in _GREY:
            return _grey(path, dataset, stored)
        return _colour(path, dataset, stored)
    except _DECODE_FAULTS as error:
        raise ReadError(path, f"is damaged DICOM ({_in_short(error)})") from error


def _open(path: Path, data: bytes) -> Dataset:
    prefixed = data[128:132] == DICOM_PREFIX
    if not prefixed and not data.startswith(_META_GROUP):
        reason = "looks like DICOM without preamble and file meta information, so its transfer syntax is unknown"
        raise ReadError(path, reason)
    dataset = dcmread(io.BytesIO(data), force=not prefixed)
    if not prefixed:
        logger.warning("%s has lost the DICOM preamble; it is read by its file meta information", path)
    return dataset


def _check_single_image(path: Path, dataset: Dataset) -> None:
    """Refuse, in words, whatever the decoder would refuse in its own or, worse, read wrongly."""
    modality = str(dataset.get("Modality"))
    if modality in _NOT_IMAGES:
        raise ReadError(path, f"is {_NOT_IMAGES[modality]}, not a film")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if not isinstance(syntax, UID) or not syntax.is_transfer_syntax:
        raise ReadError(path, "its file meta information states no transfer syntax, so pixels cannot be decoded; export it anew")
    if "PixelData" not in dataset:
        raise ReadError(path, "this DICOM holds no pixel data, or is cut short before their end")
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
    except (ValueError, TypeError) as error:
        raise ReadError(path, "this DICOM has a malformed number of frames") from error
    if frames != 1:
        raise ReadError(path, f"holds {frames} frames; a film has one: export the frame that is meant")
    missing = [f"{name} ({what})" for name, what in _REQUIRED.items() if dataset.get(name) in (None, "")]
    if missing:
        raise ReadError(path, f"DICOM without {', '.join(missing)}: it cannot be displayed without guessing")
    if dataset.BitsAllocated > 16:
        raise ReadError(path, f"{dataset.BitsAllocated}-bit pixels are a measured map (dose, parameters), not a film")
    if not syntax.is_compressed:
        _check_length(path, dataset)


def _check_length(path: Path, dataset: Dataset) -> None:
    """Uncompressed pixel data must fill the stated shape; a surplus of a row or more contradicts it too."""
    held, needed = len(dataset.PixelData), get_expected_length(dataset)
    shape = f"{dataset.Rows} x {dataset.Columns}"
    if held < needed:
        reason = f"is cut short, or its header is wrong: {shape} pixels need {needed} bytes, the file holds {held}"
        raise ReadError(path, reason)
    if held - needed >= needed // dataset.Rows:
        raise ReadError(path, f"its header is wrong: {shape} pixels need {needed} bytes, the file holds {held}")


def _decode(path: Path, dataset: Dataset) -> np.ndarray:
    try:
        return pixel_array(dataset)  # YBR becomes RGB here
    except _DECODE_FAULTS as error:
        syntax = dataset.file_meta.TransferSyntaxUID
        reason = f"pixels in transfer syntax '{syntax.name}' ({syntax}) cannot be decoded here"
        wayout = "decompress the file first, for instance with dcmdjpeg or gdcmconv --raw"
        raise ReadError(path, f"{reason} ({_in_short(error)}); {wayout}") from error


def _grey(path: Path, dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """Everything from stored value to shown grey is pointwise, so it is worked out per value, not per pixel."""
    lowest, largest = int(stored.min()), int(stored.max())
    values = np.arange(lowest, largest + 1)
    ends = np.array(unsigned_range(largest) if dataset.PixelRepresentation == 0 else (lowest, largest))
    try:
        shown, (black, white) = _displayed(dataset, values, ends)
    except _DECODE_FAULTS as error:
        raise ReadError(path, f"its grey scale (rescale, window or LUT) is malformed ({_in_short(error)})") from error
    if not (np.isfinite(shown).all() and np.isfinite([black, white]).all()) or black == white:
        raise ReadError(path, "its rescale or window maps all pixels to one value or to none")
    shown = np.clip((shown - black) / (white - black), 0, 1)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    return shown.astype(np.float32)[stored.astype(np.int64) - lowest]


def _displayed(dataset: Dataset, values: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shown values of `values` and those of black and white, [2]: what the last step of the grey scale can give out."""
    if dataset.get("ModalityLUTSequence"):
        values = apply_modality_lut(values, dataset).astype(np.int64)
        ends = np.array(unsigned_range(int(values.max())))
    elif "RescaleSlope" in dataset and "RescaleIntercept" in dataset:
        values, ends = apply_modality_lut(values, dataset), np.sort(apply_modality_lut(ends, dataset))
    if dataset.get("VOILUTSequence"):
        entries, first, depth = dataset.VOILUTSequence[0].LUTDescriptor
        # pydicom looks values up in words of the LUT's depth, where larger ones would wrap around: clipped first, and
        # words of 16.
        dataset.VOILUTSequence[0].LUTDescriptor = [entries, first, 16]
        inside = np.clip(np.rint(values).astype(np.int64), first, first + (entries or 2**16) - 1)
        return apply_voi_lut(inside, dataset).astype(np.float64), np.array([0, 2**depth - 1])
    if "WindowCenter" in dataset and "WindowWidth" in dataset:
        return apply_voi_lut(values, dataset), apply_voi_lut(np.array([-np.inf, np.inf]), dataset)
    return values.astype(np.float64), ends


def _colour(path: Path, dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.ndim != 3 or stored.shape[-1] != 3:
        reason = f"{dataset.PhotometricInterpretation!r} with pixels of shape {stored.shape} is neither grey nor colour"
        raise ReadError(path, reason)
    _, top = unsigned_range(int(stored.max()))
    return (stored @ _LUMINANCE / top).astype(np.float32)


def _in_short(error: BaseException) -> str:
    """The error's last line: decoders put the cause there and a list of what they tried before it."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__
