"""Reading one image as its domain sees it."""

from pathlib import Path

import numpy as np

from scripts.cases.domain import Domain
from scripts.readers.film import read_film
from scripts.readers.film_dicom import DICOM_ENDINGS
from scripts.readers.frame import STILL_ENDINGS, read_frame

_READERS = {"grey": read_film, "rgb": read_frame}
_ENDINGS = {"grey": (".png", ".jpg", ".jpeg", *DICOM_ENDINGS), "rgb": (*STILL_ENDINGS, *DICOM_ENDINGS)}


def read_image(path: str | Path, domain: Domain) -> np.ndarray:
    """Read an image in the colours of its domain.

    Returns:
        of a grey domain float32 [H, W] in [0, 1], see `read_film`; of one in colour RGB uint8 [H, W, 3], see `read_frame`.

    Raises:
        ReadError: the file cannot be read as such.
    """
    return _READERS[domain.colour](path)


def image_endings(domain: Domain) -> tuple[str, ...]:
    """Endings of the image files of a domain, in lower case."""
    return _ENDINGS[domain.colour]
