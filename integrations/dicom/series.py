"""Where the pictures of a volume lie in it: from voxels to pictures and back without loss."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

RADIOLOGICAL = "LPI"
"""Pictures run from right to left (so the patient's right is on the left), from front to back, and from head to foot."""


@dataclass(frozen=True, eq=False)
class SliceGeometry:
    """Axial pictures of a volume, in radiological convention.

    Voxels are never interpolated: pictures are the slices along the stored axis that runs most nearly head to foot, turned and
    mirrored. So an oblique or sheared volume is shown along its own axes. Where a voxel's sides within the slice differ by half or
    more, its pixel is repeated, so that the picture is not squeezed.

        series = Series(volume.values.shape, volume.affine, slices=range(60, 80))
        pictures = series.from_volume(volume.values)   # [20, height, width]
        mask = series.to_volume(drawn)                 # bool [X, Y, Z]

    Args:
        shape: of the volume, [X, Y, Z].
        affine: voxel index -> mm in RAS, [4, 4].
        slices: indices along `axis` of the slices shown, each once; pictures follow in this order.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    slices: tuple[int, ...]

    @property
    def axis(self) -> int:
        """The stored axis that runs most nearly head to foot; key slices of predictions are counted along it."""
        return int(np.flatnonzero(io_orientation(self.affine)[:, 0] == 2)[0])

    @property
    def width(self) -> int:
        return self._turned_shape[0] * self._repeats[0]

    @property
    def height(self) -> int:
        return self._turned_shape[1] * self._repeats[1]

    def head_to_foot(self, slices: Iterable[int]) -> tuple[int, ...]:
        """Indices of slices, each once, in the order in which they are shown."""
        return tuple(sorted(set(slices), key=lambda index: self._levels[index]))

    def picture_of(self, values: np.ndarray, slice_index: int) -> np.ndarray:
        """One slice of values [X, Y, Z] on the volume's grid as a picture, [height, width]."""
        level = self._levels[slice_index]
        turned = apply_orientation(values, self._turn)[:, :, level].T
        wide, high = self._repeats
        return turned.repeat(high, axis=0).repeat(wide, axis=1)

    def from_volume(self, values: np.ndarray) -> np.ndarray:
        """Values [X, Y, Z] on the volume's grid as pictures, [N, height, width]."""
        return np.stack([self.picture_of(values, index) for index in self.slices])

    def to_volume(self, stack: np.ndarray) -> np.ndarray:
        """Masks drawn on the pictures, bool [N, height, width], as a mask in the volume's own grid, bool [X, Y, Z].

        A voxel whose pixel is repeated counts where half of it or more is marked. A slice that is not shown takes the mask of the
        nearest one that is.

        Raises:
            ValueError: masks of another number or size than the pictures.
        """
        if stack.shape != (len(self.slices), self.height, self.width):
            raise ValueError(f"masks of shape {stack.shape} for pictures of {(len(self.slices), self.height, self.width)}")
        wide, high = self._repeats
        columns, rows, levels = self._turned_shape
        turned = np.zeros((columns, rows, levels), bool)
        shown = np.array([self._levels[index] for index in self.slices])
        for level in range(levels):
            nearest = stack[int(np.abs(shown - level).argmin())]
            blocks = nearest.reshape(rows, high, columns, wide).mean((1, 3)) >= 0.5
            turned[:, :, level] = blocks.T
        back = ornt_transform(axcodes2ornt(RADIOLOGICAL), io_orientation(self.affine))
        return np.ascontiguousarray(apply_orientation(turned, back))

    def as_json(self) -> dict[str, Any]:
        """What `from_json` makes the same series of."""
        return {"shape": list(self.shape), "affine": self.affine.tolist(), "slices": list(self.slices)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "SliceGeometry":
        return cls(tuple(kept["shape"]), np.array(kept["affine"]), tuple(kept["slices"]))

    @cached_property
    def _turn(self) -> np.ndarray:
        return ornt_transform(io_orientation(self.affine), axcodes2ornt(RADIOLOGICAL))

    @cached_property
    def _turned_shape(self) -> tuple[int, int, int]:
        order = np.argsort(self._turn[:, 0])
        return tuple(int(self.shape[axis]) for axis in order)

    @cached_property
    def _levels(self) -> Sequence[int]:
        """Place in the turned volume of each stored slice."""
        count = self.shape[self.axis]
        return range(count) if self._turn[self.axis, 1] > 0 else range(count - 1, -1, -1)

    @cached_property
    def _repeats(self) -> tuple[int, int]:
        """How often a pixel stands side by side and one above the other."""
        sides = voxel_sizes(self.affine @ inv_ornt_aff(self._turn, self.shape))[:2]
        wide, high = np.maximum(1, np.rint(sides / sides.min())).astype(int)
        return int(wide), int(high)


def spread_slices(count: int, most: int, always: Sequence[int] = ()) -> tuple[int, ...]:
    """Indices of at most `most` slices of `count`, evenly spread, with `always` among them (in addition), in order."""
    step = max(1, -(-count // most))
    return tuple(sorted({*range(step // 2, count, step), *(index for index in always if 0 <= index < count)}))
