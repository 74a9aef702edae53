"""Masks of findings as PNG files: one grey channel, 0 is background, everything else is the finding."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from scripts.readers.film import ReadError

GREY_MODES = ("1", "L", "P", "I", "I;16", "I;16B")
"""Pillow's modes of one channel; of a palette the indices count, not the colours."""

BROKEN_PICTURE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises for a file that is missing, no picture, cut short, damaged or absurdly large."""


def read_mask(path: str | Path) -> np.ndarray:
    """Read a mask, bool [H, W].

    Raises:
        ReadError: no PNG, cut short, or colour, of which no one channel says what is the finding.
    """
    try:
        with Image.open(path) as picture:
            if picture.format != "PNG":
                raise ReadError(path, f"is {picture.format}; masks are PNG, whose outlines stay sharp")
            if picture.mode not in GREY_MODES:
                raise ReadError(path, f"is {picture.mode}; a mask has one grey channel, nonzero where the finding is")
            return np.asarray(picture) != 0
    except BROKEN_PICTURE as error:
        raise ReadError(path, f"is no readable PNG ({error})") from error


def mask_shape(path: str | Path) -> tuple[int, int]:
    """Height and width of a mask from its header alone.

    Raises:
        ReadError: missing, or no picture.
    """
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except BROKEN_PICTURE as error:
        raise ReadError(path, f"is no readable PNG ({error})") from error


def write_mask(path: str | Path, mask: np.ndarray) -> None:
    """Write a bool mask [H, W] as an 8-bit PNG of 0 and 255, which every viewer shows."""
    _, png = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    Path(path).write_bytes(png.tobytes())
