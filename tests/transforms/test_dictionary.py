import pickle

import numpy as np
import pytest
import torch
from monai.transforms import Compose
from PIL import Image

from scripts.readers.film import ReadError
from scripts.transforms import Letterboxd, LoadFilmd, NormalizeHalfd
from scripts.transforms.letterbox import Letterbox

AFLOC_INPUT = [LoadFilmd(keys="image"), Letterboxd(keys="image", size=224), NormalizeHalfd(keys="image")]


@pytest.mark.parametrize("number", range(4))
def test_from_path_to_network_input_as_published(golden, number):
    (path,) = (golden / "afloc/setA/images").glob(f"img{number}_*.png")
    record = Compose(AFLOC_INPUT)({"study_id": "s", "image": str(path)})
    assert isinstance(record["image"], torch.Tensor)
    assert record["image"].dtype == torch.float32
    published = np.load(golden / "afloc/setA/golden.npz")[f"inf_img_{number}"]
    np.testing.assert_array_equal(record["image"].numpy(), published[None])
    width, height = Image.open(path).size
    assert record["image_letterbox"] == Letterbox((height, width), 224)
    assert record["study_id"] == "s"


def test_the_record_given_is_not_changed_and_the_letterbox_travels_between_workers(golden):
    path = next((golden / "afloc/setA/images").glob("*.png"))
    record = {"image": str(path)}
    result = Compose(AFLOC_INPUT)(record)
    assert record == {"image": str(path)}
    assert pickle.loads(pickle.dumps(result["image_letterbox"])) == result["image_letterbox"]


def test_missing_keys_are_named_unless_allowed():
    with pytest.raises(KeyError, match="image"):
        LoadFilmd(keys="image")({"report": "clear"})
    for transform in (LoadFilmd("image", True), Letterboxd("image", 32, True), NormalizeHalfd("image", True)):
        assert transform({"report": "clear"}) == {"report": "clear"}


def test_a_bad_file_and_a_wrong_shape_are_refused(tmp_path):
    with pytest.raises(ReadError, match="gone"):
        LoadFilmd(keys="image")({"image": tmp_path / "gone.png"})
    with pytest.raises(ValueError, match=r"\[1, H, W\], got shape \(3, 40, 50\)"):
        Letterboxd(keys="image", size=32)({"image": torch.zeros(3, 40, 50)})
