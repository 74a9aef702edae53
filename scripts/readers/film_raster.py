"""Films stored as PNG or JPEG, decoded to grey without turning, guessing or silently mending anything."""

import io
import logging
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from scripts.files.read_error import ReadError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
STORED_BITS = (8, 10, 12, 14, 16)
_EXIF_ORIENTATION = 0x0112
_JPEG_START_OF_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"

logger = logging.getLogger(__name__)


def unsigned_range(largest: int) -> tuple[int, int]:
    """Range of grey levels that a film uses whose largest stored value is `largest`: (0, 2^b - 1).

    b is the smallest of 8, 10, 12, 14 and 16 bits that holds the value. Detectors deliver 10 to 14 bits in words of
    16, so the word's own range would turn a 12-bit film black, and the minimum and maximum of the film would make its
    contrast depend on a marker or a collimator edge.
    """
    return 0, 2 ** next(bits for bits in STORED_BITS if largest < 2**bits) - 1


def read_raster(path: Path, data: bytes) -> np.ndarray:
    """Decode a PNG or JPEG film, [H, W], float32 in [0, 1].

    Colour becomes luminance, palettes are looked up, alpha is dropped. 8-bit levels are divided by 255, 16-bit ones
    by the range of `unsigned_range`. An EXIF orientation is **not** applied, because boxes and masks speak of the
    stored pixels; it is warned of.

    Raises:
        ReadError: cut short, damaged, CMYK, or not decodable.
    """
    _check_complete(path, data)
    # Straight to grey: libjpeg then leaves the colour channels undecoded.
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ReadError(path, f"the picture could not be decoded ({error.err})") from error
    if image is None:
        raise ReadError(path, "the picture could not be decoded: the file is damaged")
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    _, top = unsigned_range(int(image.max()))
    return image.astype(np.float32) / np.float32(top)


def _check_complete(path: Path, data: bytes) -> None:
    """OpenCV silently fills a cut JPEG with grey, and of a PNG it does not say what is wrong: looked at first."""
    try:
        with Image.open(io.BytesIO(data)) as header:
            if header.mode == "CMYK":
                raise ReadError(path, "is in printing colours (CMYK); save it as grey or RGB")
            if header.format == "PNG":
                header.verify()  # every chunk's checksum, up to IEND
            elif header.getexif().get(_EXIF_ORIENTATION, 1) != 1:
                logger.warning(
                    "%s carries an EXIF orientation, which is not applied: boxes and masks speak of the stored pixels; "
                    "turn the pixels themselves if the film lies on its side",
                    path,
                )
    except UnidentifiedImageError as error:
        raise ReadError(path, "starts like a PNG or JPEG, but its header is damaged") from error
    except Image.DecompressionBombError as error:
        raise ReadError(path, f"is far larger than any film ({error})") from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's own words for a broken chunk
        raise ReadError(path, f"is cut short or damaged ({error})") from error
    if data.startswith(JPEG_SIGNATURE) and not _jpeg_has_end(data):
        raise ReadError(path, "is cut short: the JPEG has no end marker")


def _jpeg_has_end(data: bytes) -> bool:
    """Whether an end marker follows the first scan; a thumbnail in the headers before it has its own."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        if data[position + 1] == 0xFF:  # fill byte
            position += 1
            continue
        if data[position + 1] == _JPEG_START_OF_SCAN:
            return data.find(_JPEG_END, position) >= 0
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False
