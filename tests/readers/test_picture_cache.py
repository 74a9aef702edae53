import os

import numpy as np
import pytest

from scripts.readers.picture_cache import PictureCache


def test_an_array_is_made_once_for_each_state_of_the_file_and_each_recipe(tmp_path):
    picture, made = tmp_path / "picture.png", []
    picture.write_bytes(b"first")

    def make():
        made.append(picture.read_bytes())
        return np.frombuffer(made[-1], np.uint8)

    cache = PictureCache(tmp_path / "cache", "64 pixels")
    for _ in range(3):
        assert cache.get(picture, make).tobytes() == b"first"
    assert made == [b"first"]
    assert PictureCache(tmp_path / "cache", "32 pixels").get(picture, make).tobytes() == b"first"
    assert len(made) == 2
    picture.write_bytes(b"other")
    os.utime(picture, ns=(1, 1))
    assert cache.get(picture, make).tobytes() == b"other"


def test_what_cannot_be_made_leaves_nothing(tmp_path):
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"broken")
    cache = PictureCache(tmp_path / "cache", "64 pixels")
    for path in (picture, tmp_path / "absent.png"):
        with pytest.raises(OSError, match="no picture"):
            cache.get(path, lambda: (_ for _ in ()).throw(OSError("no picture")))
    assert not (tmp_path / "cache").exists()
