"""Dictionary transforms that MONAI lacks: reading a film as it is displayed and fitting it into a square."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from scripts.readers.film import read_film
from scripts.transforms.letterbox import Letterbox


class LoadFilmd(MapTransform):
    """Read films (PNG, JPEG, DICOM): paths become float32 tensors [1, H, W] in [0, 1], 1 is white.

    In place of MONAI's `LoadImaged`, which swaps the axes of PNG files, does not invert MONOCHROME1 and applies no
    window.

        Compose([LoadFilmd(keys="image"), Letterboxd(keys="image", size=224), NormalizeHalfd(keys="image")])

    Raises:
        ReadError: the file is no film; see `scripts.readers.film.read_film`.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        for key in self.key_iterator(record):
            record[key] = torch.from_numpy(read_film(record[key])).unsqueeze(0)
        return record


class Letterboxd(MapTransform):
    """Fit films [1, H, W] into a square, [1, size, size], and keep the way back.

    Adds `<key>_letterbox` (a `Letterbox`, whose `native_shape` is the film's height and width), which brings heat
    maps, masks and boxes back to native pixels. It is no tensor: a collate function has to hand it on as a list.

    Args:
        keys: keys that hold films.
        size: side of the square, in pixels.
        allow_missing_keys: whether records without a key pass.

    Raises:
        ValueError: a film that is not [1, H, W].
    """

    def __init__(self, keys: KeysCollection, size: int, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size = size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        for key in self.key_iterator(record):
            film = np.asarray(record[key])
            if film.ndim != 3 or film.shape[0] != 1:
                raise ValueError(f"{key!r} should be a film [1, H, W], got shape {film.shape}")
            letterbox = Letterbox(film.shape[1:], self.size)
            record[key] = torch.from_numpy(letterbox.apply(film[0])).unsqueeze(0)
            record[f"{key}_letterbox"] = letterbox
        return record


class NormalizeHalfd(MapTransform):
    """Bring films from [0, 1] to [-1, 1] by (x - 0.5) / 0.5, as AFLoc expects them; zero padding becomes -1."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        for key in self.key_iterator(record):
            record[key] = (record[key] - 0.5) / 0.5
        return record
