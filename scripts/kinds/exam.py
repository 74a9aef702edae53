"""The kind "exam" with its arrays; its pictures are those of `scripts.kinds.image`."""

import numpy as np
from numpy.typing import NDArray

from scripts.kinds.boxes import boxes_to_mask
from scripts.predictions.masks import read_mask


def has_place(finding: dict) -> bool:
    """Whether a finding of an exam says where on its image it is, by a mask or a box."""
    return bool(finding.get("mask") or finding.get("box"))


def finding_mask(finding: dict, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A finding's place on its image, bool [H, W]: its mask, else its box."""
    return read_mask(finding["mask"]) if finding.get("mask") else boxes_to_mask([finding["box"]], shape)
