"""Endoscopic pictures, whatever they are stored as, as RGB."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels import apply_color_lut, pixel_array

from scripts.files.read_error import ReadError
from scripts.readers.film_dicom import is_dicom

STILL_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")

MIN_SIDE = 32
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
_MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "YCbCr")


def read_frame(path: str | Path) -> np.ndarray:
    """Read one still (PNG, JPEG, BMP, TIFF or a DICOM image of one frame), RGB uint8 [H, W, 3].

    The content decides the format. EXIF orientation is not applied: boxes and masks speak of the stored pixels. Grey becomes RGB.

    Raises:
        ReadError: with the file and a reason; several frames too, which `read_dicom_frames` gives.
    """
    path = Path(path)
    data = _bytes_of(path)
    if is_dicom(data):
        frames = _dicom_frames(path, data)
        if len(frames) > 1:
            raise ReadError(path, f"holds {len(frames)} frames: an exam names stills, so save them as pictures first")
        frame = frames[0]
    else:
        frame = _raster(path, data)
    if min(frame.shape[:2]) < MIN_SIDE:
        raise ReadError(path, f"{frame.shape[1]} x {frame.shape[0]} pixels are too small (at least {MIN_SIDE} a side)")
    if frame.min() == frame.max():
        raise ReadError(path, f"every pixel has the same value ({frame.min()}): nothing is to be seen")
    return frame


def read_dicom_frames(path: str | Path) -> np.ndarray:
    """All frames of a DICOM file, RGB uint8 [T, H, W, 3].

    Raises:
        ReadError: no DICOM, no pixels, or pixels that cannot be decoded or shown.
    """
    path = Path(path)
    data = _bytes_of(path)
    if not is_dicom(data):
        raise ReadError(path, "is not DICOM by its content")
    return _dicom_frames(path, data)


def _bytes_of(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(path, f"cannot be opened ({error.strerror or error})") from error
    if not data:
        raise ReadError(path, "the file is empty (0 bytes)")
    return data


def _raster(path: Path, data: bytes) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.mode not in _MODES:
                raise ReadError(path, f"is in mode {picture.mode}, not in 8-bit grey or colour; save it as RGB")
            picture.load()
            return np.array(picture.convert("RGB"))
    # Pillow's own words for damaged files; a bomb is far larger than any frame.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ReadError(path, f"is no readable picture ({error})") from error


def _dicom_frames(path: Path, data: bytes) -> np.ndarray:
    try:
        dataset = dcmread(io.BytesIO(data), force=True)
        if "PixelData" not in dataset:
            raise ReadError(path, "this DICOM holds no pixel data, or is cut short before their end")
        return _shown(path, dataset)
    except ReadError:
        raise
    except Exception as error:  # what pydicom and its codecs raise on damaged files has no common class
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise ReadError(path, f"is DICOM that cannot be decoded here ({reason})") from error


def _shown(path: Path, dataset: Dataset) -> np.ndarray:
    stored = pixel_array(dataset)  # YBR becomes RGB here
    photometric = dataset.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
        stored = stored >> 8 if stored.max() > 255 else stored
    grey = photometric in ("MONOCHROME1", "MONOCHROME2")
    several = stored.ndim == (3 if grey else 4)
    frames = stored if several else stored[None]
    if grey:
        frames = np.repeat(frames[..., None], 3, axis=-1)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.max() > 255 or frames.min() < 0:
        raise ReadError(path, f"{photometric} with pixels of shape {stored.shape} is no 8-bit picture")
    frames = frames.astype(np.uint8)
    return 255 - frames if photometric == "MONOCHROME1" else frames
