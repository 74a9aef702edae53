"""What happens to a prepared volume and its texts together."""

import re
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import RandomizableTransform

_SIDE = re.compile(r"\b(left|right)", re.IGNORECASE)


class RandFlipSidesd(RandomizableTransform):
    """Mirror a volume left to right, now and then, and let its texts say "right" for "left".

    fVLM's code flips volumes and leaves the words as they are, so that texts are wrong about the side.

    Args:
        prob: how often, in [0, 1].

    Returns (when called): the record with `image` and `anatomy_mask` ([1, D, H, W], x last) mirrored and both words exchanged in
    `reports`.
    """

    def __init__(self, prob: float) -> None:
        super().__init__(prob)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        self.randomize(None)
        if self._do_transform:
            for key in ("image", "anatomy_mask"):
                record[key] = torch.flip(torch.as_tensor(record[key]), [3])
            record["reports"] = {name: other_side(text) for name, text in record["reports"].items()}
        return record


def other_side(text: str) -> str:
    """Exchange "left" and "right" in a text, at the start of longer words ("left-sided") too; case stays."""

    def exchanged(match: re.Match) -> str:
        word = {"left": "right", "right": "left"}[match[0].lower()]
        return word.upper() if match[0].isupper() else word.capitalize() if match[0][0].isupper() else word

    return _SIDE.sub(exchanged, text)


class WholeVolumed:
    """Make one anatomy of the whole volume and one text of the whole report: the baseline that contrasts globally, as CLIP does.

    The mask leaves out the volume's outermost voxels, because an anatomy that touches a face does not train.

    Args:
        name: of that anatomy.

    Returns (when called): the record with an `anatomy_mask` of 1 and `reports` of one entry: all texts, one after the
    other.
    """

    def __init__(self, name: str = "whole volume") -> None:
        self.name = name

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        mask = torch.zeros(record["anatomy_mask"].shape, dtype=torch.uint8)
        mask[:, 1:-1, 1:-1, 1:-1] = 1
        record["anatomy_mask"] = mask
        if "reports" in record:
            record["reports"] = {self.name: " ".join(record["reports"].values())}
        return record
