"""The kind "image" with its arrays."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.cases.domain import Domain, read_domain
from scripts.kinds.boxes import boxes_to_mask
from scripts.predictions.masks import read_mask
from scripts.readers.image import read_image


def has_place(finding: dict) -> bool:
    """Whether a finding says where it is, by a mask or by boxes."""
    return bool(finding.get("mask") or finding.get("boxes"))


def finding_mask(finding: dict, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Truth of a finding, bool [H, W]: its mask, or the union of its boxes."""
    return read_mask(finding["mask"]) if finding.get("mask") else boxes_to_mask(finding["boxes"], shape)


def picture(path: str | Path, domain: str | Path | Domain) -> NDArray[np.floating]:
    """An image for display, in its own pixels: grey [H, W] or RGB [H, W, 3], in [0, 1].

    Raises:
        ReadError: the file cannot be read.
    """
    image = read_image(path, read_domain(domain))
    return image / 255 if image.dtype == np.uint8 else image
