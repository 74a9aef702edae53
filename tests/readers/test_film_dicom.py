import logging

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from scripts.readers.film import ReadError, read_film


@pytest.fixture
def film_of(tmp_path):
    """Write a DICOM file of pixels and attributes; returns its path."""

    def write(pixels, bits=None, without=(), **attributes):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["test"])
        dataset.Modality, dataset.PhotometricInterpretation = "CR", "MONOCHROME2"
        dataset.Rows, dataset.Columns = pixels.shape[:2]
        dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
        dataset.BitsAllocated = 8 * pixels.itemsize
        dataset.BitsStored = bits or dataset.BitsAllocated
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        if pixels.ndim == 3:
            dataset.PlanarConfiguration = 0
        dataset.PixelData = pixels.tobytes()
        dataset["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
        for name, value in attributes.items():
            setattr(dataset, name, value)
        for name in without:
            delattr(dataset, name)
        dataset.save_as(tmp_path / "film.dcm", enforce_file_format=True)
        return tmp_path / "film.dcm"

    return write


def lut(entries, first, depth):
    item = Dataset()
    item.add_new("LUTDescriptor", "US" if first >= 0 else "SS", [len(entries), first, depth])
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return [item]


TWELVE_BITS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)  # each of 0..4095 once


def test_without_window_unsigned_pixels_use_their_bits(film_of):
    np.testing.assert_allclose(read_film(film_of(TWELVE_BITS, 12)), TWELVE_BITS / 4095, atol=1e-6)


def test_rescale_without_window_changes_nothing(film_of):
    plain = read_film(film_of(TWELVE_BITS // 2, 12))
    for slope, intercept in ((1, 0), (2.5, -1024)):
        path = film_of(TWELVE_BITS // 2, 12, RescaleSlope=slope, RescaleIntercept=intercept)
        np.testing.assert_allclose(read_film(path), plain, atol=1e-6)


def test_without_window_signed_pixels_use_their_own_range(film_of):
    signed = TWELVE_BITS.astype(np.int16) - 1000
    np.testing.assert_allclose(read_film(film_of(signed)), TWELVE_BITS / 4095, atol=1e-6)


def test_linear_window(film_of):
    """PS3.3 C.11.2.1.2.1: y = (x - (c - .5)) / (w - 1) + .5, cut to [0, 1]."""
    film = read_film(film_of(TWELVE_BITS, 12, WindowCenter=[1000, 3000], WindowWidth=[501, 100]))
    np.testing.assert_allclose(film, np.clip((TWELVE_BITS - 999.5) / 500 + 0.5, 0, 1), atol=1e-6)


def test_window_reads_rescaled_values(film_of):
    film = read_film(film_of(TWELVE_BITS, 12, WindowCenter=-24, WindowWidth=501, RescaleSlope=0.5, RescaleIntercept=-1024))
    np.testing.assert_allclose(film, np.clip((TWELVE_BITS / 2 - 1024 + 24.5) / 500 + 0.5, 0, 1), atol=1e-6)


def test_sigmoid_window(film_of):
    film = read_film(film_of(TWELVE_BITS, 12, WindowCenter=2000, WindowWidth=800, VOILUTFunction="SIGMOID"))
    np.testing.assert_allclose(film, 1 / (1 + np.exp(-4 * (TWELVE_BITS - 2000.0) / 800)), atol=1e-6)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": -2000, "WindowWidth": 4001}])
def test_a_negative_slope_turns_black_and_white(film_of, window):
    rising = read_film(film_of(TWELVE_BITS, 12))
    falling = read_film(film_of(TWELVE_BITS, 12, RescaleSlope=-1, RescaleIntercept=0, **window))
    assert np.corrcoef(rising.ravel(), falling.ravel())[0, 1] < -0.99
    assert falling[0, 0] == 1
    assert falling[-1, -1] < 0.02


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 1500, "WindowWidth": 1801}])
def test_monochrome1_is_the_negative(film_of, window):
    positive = read_film(film_of(TWELVE_BITS, 12, **window))
    negative = read_film(film_of(TWELVE_BITS, 12, PhotometricInterpretation="MONOCHROME1", **window))
    np.testing.assert_allclose(negative, 1 - positive, atol=1e-6)


@pytest.mark.parametrize("depth", [8, 10, 16])
def test_lookup_table_is_preferred_to_the_window_and_does_not_wrap(film_of, depth):
    """A table of 3000 entries from value 500 on; 8-bit entries must not make 12-bit values wrap around."""
    entries = (np.linspace(0, 1, 3000) ** 2 * (2**depth - 1)).round().astype(int)
    film = read_film(film_of(TWELVE_BITS, 12, VOILUTSequence=lut(entries, 500, depth), WindowCenter=9, WindowWidth=9))
    want = entries[np.clip(TWELVE_BITS.astype(int) - 500, 0, 2999)] / (2**depth - 1)
    np.testing.assert_allclose(film, want, atol=1e-6)


def test_modality_table(film_of):
    entries = np.arange(4096)[::-1] // 4
    film = read_film(film_of(TWELVE_BITS, 12, ModalityLUTSequence=lut(entries, 0, 16)))
    np.testing.assert_allclose(film, entries[TWELVE_BITS] / 1023, atol=1e-6)


def test_colour_is_luminance(film_of):
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    film = read_film(film_of(rgb, PhotometricInterpretation="RGB"))
    np.testing.assert_allclose(film, rgb @ [0.299, 0.587, 0.114] / 255, atol=1e-6)
    grey = np.dstack([rgb[..., 0], np.full((40, 50), 128), np.full((40, 50), 128)]).astype(np.uint8)
    film = read_film(film_of(grey, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(film, grey[..., 0] / 255, atol=1.5 / 255)


def test_frames_segmentations_and_wide_pixels_are_refused(film_of):
    frames = {"NumberOfFrames": 2, "PixelData": TWELVE_BITS.tobytes() * 2}
    for pixels, attributes, words in [
        (TWELVE_BITS, frames, "holds 2 frames"),
        (TWELVE_BITS, {"Modality": "SEG"}, "segmentation object"),
        (TWELVE_BITS.astype(np.uint32), {}, "32-bit pixels are a measured map"),
    ]:
        with pytest.raises(ReadError, match=words):
            read_film(film_of(pixels, **attributes))


def test_what_is_missing_is_named_with_its_meaning(film_of):
    with pytest.raises(ReadError, match=r"BitsStored \(the bits in use.*PixelRepresentation \(whether stored values are signed\)"):
        read_film(film_of(TWELVE_BITS, without=("BitsStored", "PixelRepresentation")))
    with pytest.raises(ReadError, match="no pixel data"):
        read_film(film_of(TWELVE_BITS, without=("PixelData",)))


@pytest.mark.parametrize("rows", [32, 65])
def test_rows_that_do_not_fit_the_data_are_refused(film_of, rows):
    with pytest.raises(ReadError, match=f"{rows} x 64 pixels need {rows * 128} bytes, the file holds 8192"):
        read_film(film_of(TWELVE_BITS, 12, Rows=rows))


def test_malformed_and_missing_windows_are_refused(film_of):
    with pytest.raises(ReadError, match=r"grey scale .* is malformed"):
        read_film(film_of(TWELVE_BITS, 12, WindowCenter=100, WindowWidth=0))
    with pytest.raises(ReadError, match="the window misses it"):
        read_film(film_of(TWELVE_BITS, 12, WindowCenter=9000, WindowWidth=100))
    with pytest.raises(ReadError, match="maps all pixels to one value"):
        read_film(film_of(TWELVE_BITS, 12, RescaleSlope=0, RescaleIntercept=5))


def test_a_lost_preamble_is_warned_of(film_of, caplog):
    path = film_of(TWELVE_BITS, 12)
    whole = read_film(path)
    path.write_bytes(path.read_bytes()[132:])
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_film(path), whole)
    assert "lost the DICOM preamble" in caplog.text


def test_every_cut_is_refused_and_nothing_else_escapes(film_of):
    path = film_of(TWELVE_BITS, 12)
    data = path.read_bytes()
    for length in [140, 200, 300, *range(400, len(data) - 1, 997)]:
        path.write_bytes(data[:length])
        with pytest.raises(ReadError):
            read_film(path)


def test_a_damaged_header_is_refused_whatever_byte_is_hit(film_of):
    path = film_of(TWELVE_BITS, 12, WindowCenter=2000, WindowWidth=800)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.integers(132, len(data) - TWELVE_BITS.nbytes, 150):
        path.write_bytes(data[:position] + bytes([rng.integers(256)]) + data[position + 1 :])
        try:
            assert read_film(path).min() >= 0
        except ReadError:
            refused += 1
    assert refused > 20
