"""The field of view of an endoscopic picture: cut out, fitted into the network's square, and the way back."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from scripts.transforms.letterbox import Letterbox


@dataclass(frozen=True, eq=False)
class EndoscopyView:
    """Geometry of one picture: cut to the box of its field of view, then a letterbox of `size` pixels.

        view = EndoscopyView(find_field_of_view(frame), 224)
        network_input = view.apply(frame)
        heat = view.to_native(network(network_input))

    Args:
        inside: the field of view, bool [H, W], not empty.
        size: side of the square, in pixels.
    """

    inside: np.ndarray
    size: int

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """x, y, width, height of the field of view in the picture."""
        return cv2.boundingRect(self.inside.astype(np.uint8))

    @cached_property
    def letterbox(self) -> Letterbox:
        """From the box to the square."""
        _, _, width, height = self.box
        return Letterbox((height, width), self.size)

    @property
    def native_shape(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.inside.shape

    def apply(self, frame: np.ndarray) -> Tensor:
        """Fit a picture, RGB uint8 [H, W, 3], into the square, float32 [3, size, size] in [0, 1]; outside the view it is black."""
        return torch.from_numpy(self.square(frame)).float() / 255

    def square(self, frame: np.ndarray) -> np.ndarray:
        """As `apply`, uint8 [3, size, size]."""
        return self.fit(frame.transpose(2, 0, 1))

    def fit(self, image: np.ndarray) -> np.ndarray:
        """Fit an image [C, H, W] into the square, [C, size, size], in its own dtype; outside the view it is 0."""
        inside = self._cut(self.inside)
        seen = [np.where(inside, self._cut(channel), 0).astype(image.dtype) for channel in image]
        return np.stack([self.letterbox.apply(np.ascontiguousarray(channel)) for channel in seen])

    def to_native(self, maps: Tensor | np.ndarray) -> np.ndarray:
        """Bring maps [..., size, size] back to the picture, [..., H, W]; NaN outside the field of view."""
        inner = self.letterbox.to_native(np.asarray(maps))
        native = np.full((*inner.shape[:-2], *self.native_shape), np.nan, inner.dtype)
        x, y, width, height = self.box
        native[..., y : y + height, x : x + width] = np.where(self._cut(self.inside), inner, np.nan)
        return native

    def mask_to_network(self, mask: np.ndarray) -> np.ndarray:
        """Bring a mask [H, W] (nonzero = inside) into the square, bool [size, size]."""
        return self.letterbox.mask_to_network(self._cut(mask))

    def mask_to_native(self, mask: np.ndarray) -> np.ndarray:
        """Bring a mask [size, size] back to the picture, bool [H, W]."""
        native = np.zeros(self.native_shape, bool)
        x, y, width, height = self.box
        native[y : y + height, x : x + width] = self.letterbox.mask_to_native(mask)
        return native & self.inside

    def boxes_to_network(self, boxes: np.ndarray) -> np.ndarray:
        """Bring boxes (x, y, width, height) from the picture's pixels to the square's, [N, 4], not rounded or cut."""
        return self.letterbox.boxes_to_network(np.asarray(boxes, np.float64).reshape(-1, 4) - np.array([*self.box[:2], 0, 0]))

    def boxes_to_native(self, boxes: np.ndarray) -> np.ndarray:
        """Bring boxes from the square's pixels to the picture's, [N, 4], not rounded or cut."""
        return self.letterbox.boxes_to_native(boxes) + np.array([*self.box[:2], 0, 0])

    def _cut(self, array: np.ndarray) -> np.ndarray:
        x, y, width, height = self.box
        return array[y : y + height, x : x + width]
