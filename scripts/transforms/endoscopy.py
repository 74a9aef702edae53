"""Dictionary transforms of exams: several endoscopic pictures become one tensor."""

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import MapTransform, RandAffine, Randomizable
from torch import Tensor

from scripts.files.read_error import ReadError
from scripts.readers.field_of_view import find_field_of_view
from scripts.readers.frame import read_frame
from scripts.readers.picture_cache import PictureCache
from scripts.transforms.endoscopy_view import EndoscopyView

logger = logging.getLogger(__name__)

_LUMINANCE = torch.tensor([0.299, 0.587, 0.114])  # ITU-R BT.601


class LoadEndoscopyd(MapTransform, Randomizable):
    """Read an exam's pictures, cut each to its field of view and fit it into a square: paths become float32 [N, 3, S, S] in [0, 1].

        Compose([LoadEndoscopyd(keys="images", size=224, max_images=8), NormalizeHalfd(keys="images")])

    Adds `image_indices`, the place of each of the N in the record's list, and `views`, their `EndoscopyView`s, which bring heat
    maps, masks and boxes back to native pixels. A picture that cannot be read is left out with a warning, another takes its
    place if there is one.

    Args:
        keys: where the list of paths stands.
        size: side S of the square, in pixels.
        max_images: at most so many pictures; of more, `subset` says which.
        subset: "even": evenly spaced ones, the first among them; "random": a fresh choice every time. They keep their order.
        cache_dir: for training: the squares are kept there and read from there the next time, `views` are not given.

    Raises:
        ValueError: no picture of the exam can be read, or another `subset`.
    """

    def __init__(
        self, keys: str = "images", size: int = 224, max_images: int = 8, subset: str = "even", cache_dir: str | None = None
    ) -> None:
        super().__init__(keys)
        if subset not in ("even", "random") or max_images < 1:
            raise ValueError(f'subset must be "even" or "random" and max_images at least 1, got {subset!r} and {max_images}')
        self.size = size
        self.max_images = max_images
        self.subset = subset
        # The recipe holds what the squares depend on: a new way of finding the field of view is a new number.
        self.cache = PictureCache(cache_dir, f"field of view 1, {size} pixels") if cache_dir else None

    def randomize(self, data: Any = None) -> None:
        """Nothing to prepare: the order is drawn for each exam's own number of pictures."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        for key in self.key_iterator(record):
            record |= self._read(record[key], key)
        return record

    def _read(self, paths: Sequence[str], key: Hashable) -> dict[Hashable, Any]:
        seen: dict[int, tuple[Tensor, EndoscopyView | None]] = {}
        faults: list[str] = []
        for index in self._order(len(paths)):
            if len(seen) == self.max_images:
                break
            try:
                seen[index] = self._seen(paths[index])
            except ReadError as error:
                faults.append(str(error))
        if not seen:
            raise ValueError(
                f"none of the exam's {len(paths)} images can be read; the first: {faults[0] if faults else 'no image'}"
            )
        for fault in faults:
            logger.warning("an image is left out of its exam: %s", fault)
        places = sorted(seen)
        views = {} if self.cache else {"views": [seen[index][1] for index in places]}
        return {key: torch.stack([seen[index][0] for index in places]), "image_indices": places, **views}

    def _seen(self, path: str) -> tuple[Tensor, EndoscopyView | None]:
        if self.cache is None:
            frame = read_frame(path)
            view = EndoscopyView(find_field_of_view(frame), self.size)
            return view.apply(frame), view
        square = self.cache.get(path, lambda: self._square(path))
        return torch.from_numpy(square).float() / 255, None

    def _square(self, path: str) -> np.ndarray:
        frame = read_frame(path)
        return EndoscopyView(find_field_of_view(frame), self.size).square(frame)

    def _order(self, count: int) -> list[int]:
        """Places in the order in which they are tried."""
        if self.subset == "random":
            return self.R.permutation(count).tolist()
        first = np.linspace(0, count, min(count, self.max_images), endpoint=False).astype(int).tolist()
        return first + [index for index in range(count) if index not in first]


class RandExamAffined(MapTransform, Randomizable):
    """Turn, scale and move each picture of an exam [N, 3, S, S] by itself; never mirrored, for reports tell left from right.

    Args:
        keys: where the pictures stand; in [0, 1], outside becomes black.
        degrees: largest turn either way.
        scale: largest change of size, as a share.
        shift: largest move, as a share of the side.
        prob: chance of each picture to be changed, in [0, 1].
    """

    def __init__(
        self, keys: str = "images", degrees: float = 15.0, scale: float = 0.15, shift: float = 0.05, prob: float = 0.8
    ) -> None:
        super().__init__(keys)
        self.shift = shift
        self.prob = prob
        self.angle = float(np.deg2rad(degrees))
        self.scale = scale
        self._affine: dict[int, RandAffine] = {}

    def randomize(self, data: Any = None) -> None:
        """Nothing to prepare: MONAI's `RandAffine` draws from the same generator, picture by picture."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        for key in self.key_iterator(record):
            side = record[key].shape[-1]
            affine = self._affine.setdefault(side, self._of_side(side))
            affine.set_random_state(state=self.R)
            record[key] = torch.stack([affine(image).clamp(0, 1) for image in record[key]])
        return record

    def _of_side(self, side: int) -> RandAffine:
        return RandAffine(
            prob=self.prob,
            rotate_range=self.angle,
            scale_range=(self.scale, self.scale),
            translate_range=(self.shift * side, self.shift * side),
            padding_mode="zeros",
            mode="bilinear",
            cache_grid=True,
            spatial_size=(side, side),
        )


class RandExamColourd(MapTransform, Randomizable):
    """Change brightness, contrast, saturation and white balance of each picture of an exam [N, 3, S, S] by itself; black stays.

    MONAI has such transforms for single channels alone, which would tear colours apart.

    Args:
        keys: where the pictures stand, in [0, 1].
        brightness, contrast, saturation: largest change of each, as a share; contrast is a power of the value.
        balance: largest change of each colour against the others, as a share.
        prob: chance of each picture to be changed, in [0, 1].
    """

    def __init__(
        self,
        keys: str = "images",
        brightness: float = 0.2,
        contrast: float = 0.2,
        saturation: float = 0.2,
        balance: float = 0.08,
        prob: float = 0.8,
    ) -> None:
        super().__init__(keys)
        self.ranges = np.array([brightness, contrast, saturation, balance, balance, balance])
        self.prob = prob

    def randomize(self, data: Any = None) -> None:
        """Nothing to prepare: each picture draws its own changes."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        for key in self.key_iterator(record):
            record[key] = torch.stack([self._changed(image) for image in record[key]])
        return record

    def _changed(self, image: Tensor) -> Tensor:
        # The same number of draws whatever they decide.
        chance, draws = self.R.random(), self.R.uniform(-1, 1, 6)
        if chance >= self.prob:
            return image
        brightness, contrast, saturation, *balance = (1 + self.ranges * draws).tolist()
        grey = torch.tensordot(_LUMINANCE, image, 1)
        coloured = (grey + (image - grey) * saturation) * torch.tensor(balance)[:, None, None] * brightness
        return coloured.clamp(0, 1) ** contrast
