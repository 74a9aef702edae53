import io
import logging

import cv2
import numpy as np
import pytest
from PIL import Image

from scripts.readers.film import ReadError, read_film
from scripts.readers.film_raster import unsigned_range


@pytest.fixture
def levels():
    """All 256 levels in a 64 x 48 picture whose corner is not symmetric."""
    picture = np.random.default_rng(0).permutation(64 * 48).reshape(64, 48) % 256
    return picture.astype(np.uint8)


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(height=120, width=90):
    rows, columns = np.mgrid[:height, :width]
    return (127 + 60 * np.sin(rows / 17) + 60 * np.cos(columns / 11)).astype(np.uint8)


@pytest.mark.parametrize(
    ("largest", "top"),
    [(0, 255), (255, 255), (256, 1023), (1023, 1023), (1024, 4095), (4096, 16383), (16384, 65535), (65535, 65535)],
)
def test_range_is_the_smallest_usual_bit_depth(largest, top):
    assert unsigned_range(largest) == (0, top)


def test_eight_bits_are_divided_by_255_with_axes_kept(tmp_path, levels):
    Image.fromarray(levels).save(tmp_path / "film.png")
    np.testing.assert_array_equal(read_film(tmp_path / "film.png"), levels.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("top", [1023, 4095, 16383, 65535])
def test_sixteen_bit_words_use_the_bits_that_they_hold(tmp_path, top):
    stored = np.linspace(0, top, 64 * 48).round().astype(np.uint16).reshape(64, 48)
    cv2.imwrite(str(tmp_path / "film.png"), stored)
    np.testing.assert_allclose(read_film(tmp_path / "film.png"), stored / top, atol=1e-6)


def test_colour_alpha_and_palette_become_luminance(tmp_path, levels):
    rgb = np.dstack([levels, levels[::-1], levels[:, ::-1]])
    luminance = rgb @ [0.299, 0.587, 0.114] / 255
    Image.fromarray(rgb).save(tmp_path / "rgb.png")
    Image.fromarray(np.dstack([rgb, levels])).save(tmp_path / "rgba.png")
    for name in ("rgb.png", "rgba.png"):
        np.testing.assert_allclose(read_film(tmp_path / name), luminance, atol=1.01 / 255)
    palette = Image.fromarray(levels, mode="P")
    palette.putpalette([channel for level in range(256) for channel in [255 - level] * 3])
    palette.save(tmp_path / "palette.png")
    np.testing.assert_allclose(read_film(tmp_path / "palette.png"), 1 - levels / 255, atol=1e-6)


def test_one_bit_picture_with_a_name_beyond_ascii(tmp_path, levels):
    Image.fromarray(levels > 99).save(tmp_path / "Röntgen 肺.png")
    np.testing.assert_array_equal(read_film(tmp_path / "Röntgen 肺.png"), (levels > 99).astype(np.float32))


def test_content_decides_not_the_name(tmp_path):
    (tmp_path / "film.png").write_bytes(encoded(Image.fromarray(smooth()), "JPEG", quality=95))
    np.testing.assert_allclose(read_film(tmp_path / "film.png"), smooth() / 255, atol=0.03)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 0.99])
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path, kind, share):
    data = encoded(Image.fromarray(smooth()), kind)
    (tmp_path / "film").write_bytes(data[: int(len(data) * share)])
    words = "is cut short or damaged" if kind == "PNG" else "cut short|header is damaged"
    with pytest.raises(ReadError, match=words):
        read_film(tmp_path / "film")


def test_a_cut_jpeg_is_not_saved_by_the_end_of_its_thumbnail(tmp_path):
    thumbnail = encoded(Image.fromarray(smooth(40, 30)), "JPEG")
    comment = b"\xff\xe3" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = encoded(Image.fromarray(smooth()), "JPEG")
    whole = data[:2] + comment + data[2:]
    (tmp_path / "whole.jpg").write_bytes(whole)
    assert read_film(tmp_path / "whole.jpg").shape == (120, 90)
    (tmp_path / "cut.jpg").write_bytes(whole[:-400])
    with pytest.raises(ReadError, match="no end marker"):
        read_film(tmp_path / "cut.jpg")


def test_a_png_with_a_flipped_bit_is_refused(tmp_path, levels):
    data = bytearray(encoded(Image.fromarray(levels), "PNG"))
    data[len(data) // 2] ^= 4
    (tmp_path / "film.png").write_bytes(data)
    with pytest.raises(ReadError, match="damaged"):
        read_film(tmp_path / "film.png")


def test_exif_orientation_is_left_alone_and_warned_of(tmp_path, caplog):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "film.jpg").write_bytes(encoded(Image.fromarray(smooth()), "JPEG", exif=exif))
    with caplog.at_level(logging.WARNING):
        assert read_film(tmp_path / "film.jpg").shape == (120, 90)
    assert "EXIF orientation" in caplog.text


def test_printing_colours_are_refused(tmp_path):
    (tmp_path / "film.jpg").write_bytes(encoded(Image.fromarray(smooth()).convert("CMYK"), "JPEG"))
    with pytest.raises(ReadError, match="CMYK"):
        read_film(tmp_path / "film.jpg")
