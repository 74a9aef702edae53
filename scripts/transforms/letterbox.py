"""Fitting a film into the network's square, and bringing what the network says back to the film's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class Letterbox:
    """Geometry of one film [H, W] inside a square of `size` pixels: longest side to `size`, centred, the rest zero.

    The film is averaged over areas (`cv2.INTER_AREA`), the shorter side is rounded down, and an odd pixel of padding
    goes right or below, as the published AFLoc preprocessing does. Pixel centres lie at half integers and boxes are
    edges, so that a point x of the film is at `x * width / W + left` in the square, and every native pixel is
    covered.

        letterbox = Letterbox(film.shape, 224)
        network_input = letterbox.apply(film)
        heat = letterbox.to_native(network(network_input))

    Args:
        native_shape: height and width of the film, in pixels.
        size: side of the square, in pixels.

    Raises:
        ValueError: a side that is not positive.
    """

    native_shape: tuple[int, int]
    size: int

    def __post_init__(self) -> None:
        if len(self.native_shape) != 2 or min(*self.native_shape, self.size) < 1:
            raise ValueError(f"a letterbox wants a film [H, W] and a positive size, got {self.native_shape} and {self.size}")
        # Plain integers, so that equal geometries are equal whether they come from NumPy, Torch or a file.
        object.__setattr__(self, "native_shape", tuple(int(side) for side in self.native_shape))

    @property
    def inner_shape(self) -> tuple[int, int]:
        """Height and width of the film inside the square."""
        # Whole-number division: the published float product makes some squares (97 x 97) lose a column.
        longest = max(self.native_shape)
        height, width = (max(1, side * self.size // longest) for side in self.native_shape)
        return height, width

    @property
    def offset(self) -> tuple[int, int]:
        """Rows above and columns left of the film inside the square."""
        height, width = self.inner_shape
        return (self.size - height) // 2, (self.size - width) // 2

    def fit(self, image: np.ndarray) -> np.ndarray:
        """Fit an image [C, H, W] into the square, [C, size, size], channel by channel as `apply` does."""
        return np.stack([self.apply(np.ascontiguousarray(channel)) for channel in image])

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Fit a film [H, W] into the square, [size, size], in its own dtype (uint8 or float32 in [0, 1]).

        A float film whose values all lie on the 256 levels k / 255 came from 8 bits; it is averaged in 8 bits and
        given back on such levels, which equals the published preprocessing bit for bit. Films of more bits keep their
        precision.
        """
        self._check_shape(image.shape, self.native_shape)
        if image.dtype == np.uint8:
            return self._pad(self._resize(image))
        levels = np.rint(image * np.float32(255))
        in_range = levels.min() >= 0 and levels.max() <= 255
        if in_range and image.dtype == np.float32 and np.array_equal(levels / np.float32(255), image):
            return self._pad(self._resize(levels.astype(np.uint8)).astype(np.float32) / np.float32(255))
        return self._pad(self._resize(image.astype(np.float32, copy=False)))

    def to_native(self, maps: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Bring maps [..., size, size] back to the film, [..., H, W]: bilinear between pixel centres, padding left out.

        Where the film is smaller than the square the triangle widens (antialiasing), so that no peak falls between
        two pixels. NumPy in, NumPy out; other types than float32 and float64 become float32; NaN spreads to
        the pixels that it is mixed into.
        """
        tensor = torch.from_numpy(np.array(maps)) if isinstance(maps, np.ndarray) else maps
        self._check_shape(tensor.shape[-2:], (self.size, self.size))
        inner = tensor[(..., *self._window)]
        inner = inner if inner.dtype in (torch.float32, torch.float64) else inner.float()
        flat = inner.reshape(-1, 1, *self.inner_shape)
        native = interpolate(flat, self.native_shape, mode="bilinear", align_corners=False, antialias=True)
        native = native.reshape(*tensor.shape[:-2], *self.native_shape)
        return native.numpy() if isinstance(maps, np.ndarray) else native

    def mask_to_network(self, mask: np.ndarray) -> np.ndarray:
        """Bring a mask [H, W] (nonzero = inside) into the square, bool [size, size], nearest pixel centre."""
        self._check_shape(mask.shape, self.native_shape)
        return self._pad(_nearest(mask, self.inner_shape))

    def mask_to_native(self, mask: np.ndarray) -> np.ndarray:
        """Bring a mask [size, size] back to the film, bool [H, W], nearest pixel centre."""
        self._check_shape(mask.shape, (self.size, self.size))
        return _nearest(mask[self._window], self.native_shape)

    def boxes_to_network(self, boxes: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        """Bring boxes (x, y, width, height) from film pixels to square pixels, [N, 4], float64, not rounded."""
        scale, shift = self._box_transform
        return np.asarray(boxes, np.float64).reshape(-1, 4) * scale + shift

    def boxes_to_native(self, boxes: np.ndarray | Sequence[Sequence[float]]) -> np.ndarray:
        """Bring boxes (x, y, width, height) from square pixels to film pixels, [N, 4], float64, not rounded or cut."""
        scale, shift = self._box_transform
        return (np.asarray(boxes, np.float64).reshape(-1, 4) - shift) / scale

    @property
    def _window(self) -> tuple[slice, slice]:
        (top, left), (height, width) = self.offset, self.inner_shape
        return slice(top, top + height), slice(left, left + width)

    @property
    def _box_transform(self) -> tuple[np.ndarray, np.ndarray]:
        (top, left), (height, width) = self.offset, self.inner_shape
        vertical, horizontal = height / self.native_shape[0], width / self.native_shape[1]
        return np.array([horizontal, vertical, horizontal, vertical]), np.array([left, top, 0, 0])

    def _resize(self, image: np.ndarray) -> np.ndarray:
        height, width = self.inner_shape
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)

    def _pad(self, inner: np.ndarray) -> np.ndarray:
        square = np.zeros((self.size, self.size), inner.dtype)
        square[self._window] = inner
        return square

    @staticmethod
    def _check_shape(found: Sequence[int], wanted: tuple[int, int]) -> None:
        if tuple(found) != wanted:
            raise ValueError(f"this letterbox wants shape {wanted}, got {tuple(found)}")


def _nearest(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a mask to bool [H, W] by nearest pixel centre, in whole numbers: OpenCV and Torch round on the way."""
    rows, columns = ((2 * np.arange(n) + 1) * side // (2 * n) for n, side in zip(shape, mask.shape, strict=True))
    return mask[np.ix_(rows, columns)] != 0
