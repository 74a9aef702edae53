"""Dictionary transforms that give a CT volume as the network takes it: prepared before, or prepared now."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Randomizable

from scripts.files.read_error import ReadError
from scripts.preparation.volume import MIN_SIZE, SPACING, prepare_volume, read_prepared
from scripts.readers.volume import merge_labels, read_anatomies, read_volume


class LoadPreparedd(Randomizable):
    """Read a prepared volume and its anatomies, or a window of them; only what is used is read from disk.

    Args:
        size: voxels (D, H, W) of the window; None for the whole volume.
        random: the window lies anywhere; else in the middle.

    Returns (when called): the record with `image` float32 [1, D, H, W] in [0, 1] and `anatomy_mask` uint8 [1, D, H, W] in the place
    of their paths.

    Raises:
        ReadError: damaged files, or a volume smaller than the window.
    """

    def __init__(self, size: Sequence[int] | None = None, random: bool = False) -> None:
        self.size = None if size is None else tuple(size)
        self.random = random

    def randomize(self, room: Sequence[int]) -> None:
        """Draw where the window begins, from 0 to `room` along each axis."""
        self._start = [int(self.R.randint(side + 1)) for side in room]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        prepared = read_prepared(record["image"], record["anatomy_mask"])
        shape = prepared.image.shape
        size = self.size or shape
        room = [side - least for side, least in zip(shape, size, strict=True)]
        if min(room) < 0:
            found, wanted = (" x ".join(map(str, sides)) for sides in (shape, size))
            raise ReadError(record["image"], f"has {found} voxels, fewer than {wanted}: prepare it with --min_size {wanted}")
        if self.random:
            self.randomize(room)
            start = self._start
        else:
            start = [side // 2 for side in room]
        part = tuple(slice(first, first + side) for first, side in zip(start, size, strict=True))
        record["image"] = torch.from_numpy(prepared.scaled(part))[None]
        record["anatomy_mask"] = torch.from_numpy(np.array(prepared.mask[part]))[None]
        return record


class PrepareVolumed:
    """Read a volume as a scanner or archive gives it, with its segmentation, and prepare both for the network.

    Args:
        lookup, known: label of the segmentation -> anatomy value, and the labels that its table names, see `merge_labels`.
        spacing: mm in x, y, z.
        min_size: voxels (D, H, W) that the result has at least.

    Returns (when called): the record with `image` float32 [1, D, H, W] in [0, 1], `anatomy_mask` uint8 [1, D, H, W], and what the
    way back needs: `prepared_affine` (voxel (z, y, x) -> mm), `native_shape` and `native_affine`.

    Raises:
        ReadError: the volume or its mask cannot be used; see `read_volume`, `read_anatomies`, `prepare_volume`.
    """

    def __init__(
        self,
        lookup: np.ndarray,
        known: Collection[int],
        spacing: Sequence[float] = SPACING,
        min_size: Sequence[int] = MIN_SIZE,
    ) -> None:
        self.lookup, self.known, self.spacing, self.min_size = lookup, frozenset(known), tuple(spacing), tuple(min_size)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        volume = read_volume(record["image"])
        labels = read_anatomies(record["anatomy_mask"], volume)
        anatomies = merge_labels(record["anatomy_mask"], labels, self.lookup, self.known)
        prepared = prepare_volume(volume, anatomies, self.spacing, self.min_size)
        return {
            **record,
            "image": torch.from_numpy(prepared.scaled())[None],
            "anatomy_mask": torch.from_numpy(prepared.mask)[None],
            "prepared_affine": prepared.affine,
            "native_shape": volume.values.shape,
            "native_affine": volume.affine,
        }
