import pickle

import cv2
import numpy as np
import pytest
import torch
from monai.transforms import Compose
from PIL import Image

from scripts.cases import read_domain
from scripts.readers.film import ReadError
from scripts.transforms import Letterboxd, LoadDomainImaged, NormalizeHalfd
from scripts.transforms.letterbox import Letterbox

AFLOC_INPUT = [LoadDomainImaged(keys="image", domain="cxr"), Letterboxd(keys="image", size=224), NormalizeHalfd(keys="image")]


def test_from_path_to_network_input_as_published(afloc_film):
    path, name, numbers = afloc_film
    record = Compose(AFLOC_INPUT)({"study_id": "s", "image": str(path)})
    assert isinstance(record["image"], torch.Tensor)
    assert record["image"].dtype == torch.float32
    assert record["image"].shape == (1, 224, 224)
    numbers.near(name, record["image"][0])
    width, height = Image.open(path).size
    assert record["image_letterbox"] == Letterbox((height, width), 224)
    assert record["study_id"] == "s"


def test_the_record_given_is_not_changed_and_the_letterbox_travels_between_workers(afloc_golden):
    path = next((afloc_golden / "setA/images").glob("*.png"))
    record = {"image": str(path)}
    result = Compose(AFLOC_INPUT)(record)
    assert record == {"image": str(path)}
    assert pickle.loads(pickle.dumps(result["image_letterbox"])) == result["image_letterbox"]


def test_missing_keys_are_named_unless_allowed():
    with pytest.raises(KeyError, match="image"):
        LoadDomainImaged(keys="image", domain="cxr")({"report": "clear"})
    for transform in (LoadDomainImaged("image", "cxr", True), Letterboxd("image", 32, True), NormalizeHalfd("image", True)):
        assert transform({"report": "clear"}) == {"report": "clear"}


def test_a_bad_file_and_a_wrong_shape_are_refused(tmp_path):
    with pytest.raises(ReadError, match="gone"):
        LoadDomainImaged(keys="image", domain="cxr")({"image": tmp_path / "gone.png"})
    with pytest.raises(ValueError, match=r"\[1 or 3, H, W\], got shape \(2, 40, 50\)"):
        Letterboxd(keys="image", size=32)({"image": torch.zeros(2, 40, 50)})


def test_colour_images_keep_their_channels_and_their_way_back(tmp_path):
    """A disc of colour on black, 60 x 80: with a field of view it is cut to the disc, without one it is fitted whole."""
    rows, columns = np.indices((60, 80))
    disc = np.hypot(rows - 29.5, columns - 39.5) <= 25
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[disc] = (200, 120, 60)
    cv2.imwrite(str(tmp_path / "eye.png"), frame[..., ::-1])
    domain = read_domain("nasal").model_copy(update={"kind": "image"})
    whole = domain.model_copy(update={"field_of_view": False})
    for own, inside in ((domain, disc), (whole, np.ones((60, 80), bool))):
        item = Compose([LoadDomainImaged("image", own), Letterboxd("image", 32)])({"image": str(tmp_path / "eye.png")})
        assert item["image"].shape == (3, 32, 32) and item["image"].dtype == torch.float32
        middle = item["image"][:, 16, 16].numpy() * 255
        np.testing.assert_allclose(middle, (200, 120, 60), atol=1)
        native = item["image_letterbox"].to_native(np.ones((32, 32), np.float32))
        seen = ~np.isnan(native)
        assert native.shape == (60, 80) and (seen & inside).sum() / (seen | inside).sum() > 0.9
    assert "image_inside" not in item
