"""Reading a film, whatever it is stored as, into one kind of array."""

from pathlib import Path

import numpy as np

from scripts.files.read_error import ReadError
from scripts.readers.film_dicom import is_dicom, read_dicom
from scripts.readers.film_raster import JPEG_SIGNATURE, PNG_SIGNATURE, read_raster
from scripts.readers.nifti_faults import NIFTI_ENDINGS, nifti_fault

__all__ = ["MIN_SIDE", "ReadError", "read_film"]

MIN_SIDE = 32


def read_film(path: str | Path) -> np.ndarray:
    """Read one film (PNG, JPEG or DICOM) as a grey image, [H, W], float32 in [0, 1], 0 black and 1 white as displayed.

    The content decides the format, not the name. How values become [0, 1]:

    - PNG, JPEG: 8-bit levels / 255; 16-bit levels / (2^b - 1), b the smallest of 8, 10, 12, 14, 16 that holds the
      largest value.
    - DICOM: rescale, then VOI LUT or first window, whose output range becomes [0, 1]; without either, unsigned pixels
      as above and signed ones from smallest to largest. MONOCHROME1 is inverted, so that bone is white in every film.
    - Colour becomes luminance. EXIF orientation is not applied.

    One file is one film: a slice of a series is read like any picture, multi-frame files and volumes are refused.

    Raises:
        ReadError: with the file and a reason. Besides what `read_raster` and `read_dicom` refuse: a missing or empty
            file, another
            format, a side under 32 pixels, one single grey level.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(path, f"cannot be opened ({error.strerror or error})") from error
    if path.name.lower().endswith(NIFTI_ENDINGS):
        _refuse_volume(path)
    if not data:
        raise ReadError(path, "the file is empty (0 bytes)")
    if data.startswith((PNG_SIGNATURE, JPEG_SIGNATURE)):
        film = read_raster(path, data)
    elif is_dicom(data):
        film = read_dicom(path, data)
    else:
        raise ReadError(path, "is neither PNG, JPEG nor DICOM by its content: no signature of a picture, no 'DICM' at byte 128")
    if min(film.shape) < MIN_SIDE:
        raise ReadError(
            path,
            f"{film.shape[1]} x {film.shape[0]} pixels are too small to be a film (at least {MIN_SIDE} a side)",
        )
    if film.min() == film.max():
        raise ReadError(
            path,
            f"every pixel has the same value ({film.min():.3f} of 1): nothing was exposed, or the window misses it",
        )
    return film


def _refuse_volume(path: Path) -> None:
    fault = nifti_fault(path)
    found = f", and this one would be refused there too: {fault}" if fault else ""
    raise ReadError(path, f"is NIfTI, not a film; volumes are read by the CT task{found}")
