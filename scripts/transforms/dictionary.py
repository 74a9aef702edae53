"""Dictionary transforms that MONAI lacks: reading an image as its domain displays it and fitting it into a square."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from scripts.cases.domain import Domain, read_domain
from scripts.readers.field_of_view import find_field_of_view
from scripts.readers.image import read_image
from scripts.transforms.endoscopy_view import EndoscopyView
from scripts.transforms.letterbox import Letterbox


class LoadDomainImaged(MapTransform):
    """Read images (PNG, JPEG, DICOM) in the colours of their domain: paths become float32 tensors [C, H, W] in [0, 1], 1 is white.

    In place of MONAI's `LoadImaged`, which swaps the axes of PNG files, does not invert MONOCHROME1 and applies no
    window. Where the domain has a field of view (its images are in colour then), `<key>_inside`, bool [H, W], says where it is.

        Compose([LoadDomainImaged(keys="image", domain="cxr"), Letterboxd(keys="image", size=224), NormalizeHalfd(keys="image")])

    Args:
        keys: keys that hold paths.
        domain: what the images are: the name of a domain, or the folder of your own.
        allow_missing_keys: whether records without a key pass.

    Raises:
        DomainError: no such domain.
        ReadError: the file is no image of the domain; see `scripts.readers.image.read_image`.
    """

    def __init__(self, keys: KeysCollection, domain: str | Path | Domain, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.domain = read_domain(domain)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        for key in self.key_iterator(record):
            image = read_image(record[key], self.domain)
            if self.domain.field_of_view:
                record[f"{key}_inside"] = find_field_of_view(image)
            record[key] = torch.from_numpy(image).unsqueeze(0) if image.ndim == 2 else _channels_first(image)
        return record


class Letterboxd(MapTransform):
    """Fit images [C, H, W] into a square, [C, size, size], and keep the way back.

    Adds `<key>_letterbox` (a `Letterbox`, or an `EndoscopyView` where `<key>_inside` says what is seen), whose `native_shape` is
    the image's height and width; it brings heat maps, masks and boxes back to native pixels. It is no tensor: a collate function
    has to hand it on as a list.

    Args:
        keys: keys that hold images.
        size: side of the square, in pixels.
        allow_missing_keys: whether records without a key pass.

    Raises:
        ValueError: an image that is not [1, H, W] or [3, H, W].
    """

    def __init__(self, keys: KeysCollection, size: int, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size = size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        for key in self.key_iterator(record):
            image = np.asarray(record[key])
            if image.ndim != 3 or image.shape[0] not in (1, 3):
                raise ValueError(f"{key!r} should be an image [1 or 3, H, W], got shape {image.shape}")
            inside = record.pop(f"{key}_inside", None)
            view = Letterbox(image.shape[1:], self.size) if inside is None else EndoscopyView(inside, self.size)
            record[key] = torch.from_numpy(view.fit(image))
            record[f"{key}_letterbox"] = view
        return record


def _channels_first(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255


class NormalizeHalfd(MapTransform):
    """Bring images from [0, 1] to [-1, 1] by (x - 0.5) / 0.5, as AFLoc expects them; zero padding becomes -1."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        for key in self.key_iterator(record):
            record[key] = (record[key] - 0.5) / 0.5
        return record
