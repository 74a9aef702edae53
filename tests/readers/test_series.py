import logging

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from scripts.readers.series import read_series
from scripts.readers.volume import ReadError, read_volume

ROWS, COLUMNS, COUNT = 12, 10, 9
SPACING = (0.8, 0.5)  # between rows, between columns
STORED = np.random.default_rng(0).integers(0, 2500, (COUNT, ROWS, COLUMNS)).astype(np.uint16)
SERIES, OTHER = (generate_uid(entropy_srcs=[name]) for name in ("series", "other"))
FLAT = (1, 0, 0, 0, 1, 0)
ORIGIN = np.array([-20.0, -30.0, 100.0])
STEP = np.array([0.0, 0.0, 2.5])


def slice_header(sop_class=CTImageStorage, series=SERIES):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality, dataset.SeriesInstanceUID, dataset.SeriesDescription = "CT", series, "Thorax 2.5"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    return dataset


def put_pixels(dataset, pixels):
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"


@pytest.fixture
def write(tmp_path):
    """Write one slice of STORED; its place is ORIGIN + number * STEP."""

    def write_slice(number, name=None, series=SERIES, pixels=None, compress=False, without=(), **attributes):
        dataset = slice_header(series=series)
        put_pixels(dataset, STORED[number % COUNT] if pixels is None else pixels)
        dataset.ImagePositionPatient = (ORIGIN + number * STEP).tolist()
        dataset.ImageOrientationPatient, dataset.PixelSpacing = list(FLAT), list(SPACING)
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        for key, value in attributes.items():
            setattr(dataset, key, value)
        for key in without:
            delattr(dataset, key)
        if compress:
            dataset.compress(RLELossless)
        path = tmp_path / (name or f"{(number * 7) % 100:02d}.dcm")  # the order of names is not that of places
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write_slice


def refusal(path):
    with pytest.raises(ReadError) as caught:
        read_series(path)
    return str(caught.value)


def test_slices_are_ordered_by_place_in_hounsfield_units_and_voxels_know_where_they_are(tmp_path, write):
    for number in range(COUNT):
        write(number, compress=number % 2 == 0)
    (tmp_path / "readme.txt").write_text("exported by a viewer")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    values, affine = read_series(tmp_path)
    assert np.array_equal(values, STORED.transpose(2, 1, 0) - np.float32(1024))
    # Row 3, column 4, slice 5 by PS3.3 C.7.6.2.1.1, then from LPS to RAS.
    x, y, z = ORIGIN + 5 * STEP + np.array([4 * SPACING[1], 3 * SPACING[0], 0])
    np.testing.assert_allclose(affine @ [4, 3, 5, 1], [-x, -y, z, 1])
    volume = read_volume(tmp_path)
    assert volume.values.dtype == np.int16 and volume.path == tmp_path


def test_slope_and_intercept_of_each_slice_count(tmp_path, write):
    for number in range(COUNT):
        write(number, RescaleSlope=0.5 + number, RescaleIntercept=-1000.25)
    values, _ = read_series(tmp_path)
    slopes = np.arange(COUNT)[:, None, None] + 0.5
    np.testing.assert_allclose(values, (STORED * slopes - 1000.25).transpose(2, 1, 0), rtol=1e-6)


def test_a_tilted_gantry_shears_the_affine(tmp_path, write):
    """The table moves along z, the planes lean over x by 20 degrees."""
    tilt = np.deg2rad(20)
    for number in range(COUNT):
        write(number, ImageOrientationPatient=[1, 0, 0, 0, float(np.cos(tilt)), float(-np.sin(tilt))])
    _, affine = read_series(tmp_path)
    down = np.array([0, np.cos(tilt), -np.sin(tilt)]) * SPACING[0]
    x, y, z = ORIGIN + 5 * STEP + 3 * down + [4 * SPACING[1], 0, 0]
    np.testing.assert_allclose(affine @ [4, 3, 5, 1], [-x, -y, z, 1], atol=1e-9)
    np.testing.assert_allclose(affine[:3, 2], [0, 0, 2.5])  # along the table, not along the planes' normal


def test_an_enhanced_file_holds_its_slices_as_frames(tmp_path):
    dataset = slice_header(EnhancedCTImageStorage)
    order = np.random.default_rng(1).permutation(COUNT)
    put_pixels(dataset, STORED[order])
    dataset.NumberOfFrames = COUNT
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, orientation.ImageOrientationPatient = list(SPACING), list(FLAT)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = []
    for number in order:
        frame, position, values = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = (ORIGIN + number * STEP).tolist()
        values.RescaleSlope, values.RescaleIntercept = 1, -1024
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [position], [values]
        dataset.PerFrameFunctionalGroupsSequence.append(frame)
    dataset.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    for path in (tmp_path, tmp_path / "enhanced.dcm"):
        values, affine = read_series(path)
        assert np.array_equal(values, STORED.transpose(2, 1, 0) - np.float32(1024))
        np.testing.assert_allclose(affine[:3, 3], [20, 30, 100])


def test_what_is_no_slice_or_there_twice_is_left_out_and_told(tmp_path, write, caplog):
    for number in range(COUNT):
        write(number)
    write(0, "scout.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], series=OTHER)
    write(0, "screen.dcm", SOPClassUID=SecondaryCaptureImageStorage, series=OTHER)
    write(0, "report.dcm", Modality="SR", series=OTHER)
    write(4, "again.dcm")
    with caplog.at_level(logging.WARNING):
        values, _ = read_series(tmp_path)
    assert np.array_equal(values, STORED.transpose(2, 1, 0) - np.float32(1024))
    assert "1 of modality SR, 1 localizers, 1 secondary captures" in caplog.text
    assert "1 slices that are there twice" in caplog.text


def test_several_series_are_named_and_a_file_says_which_is_meant(tmp_path, write):
    for number in range(COUNT):
        write(number, series=SERIES)
        write(number, f"other{number}.dcm", series=OTHER, SeriesDescription="Lung 1.0", pixels=STORED[number] + np.uint16(1))
    words = refusal(tmp_path)
    assert SERIES in words and OTHER in words and "(9 files" in words and "Lung 1.0" in words and "give a file of the one" in words
    values, _ = read_series(tmp_path / "other3.dcm")
    assert np.array_equal(values, STORED.transpose(2, 1, 0) - np.float32(1023))
    assert read_volume(tmp_path / "00.dcm").values[0, 0, 0] == STORED[0, 0, 0] - 1024


def test_missing_slices_are_refused_with_their_positions(tmp_path, write):
    for number in (0, 1, 2, 4, 5, 8):
        write(number)
    words = refusal(tmp_path)
    assert "2.50 mm apart" in words
    assert "5.00 mm from 105.0 (14.dcm) to 110.0 (28.dcm)" in words and "7.50 mm from 112.5 (35.dcm) to 120.0 (56.dcm)" in words


def test_a_patient_who_was_moved_is_refused(tmp_path, write):
    for number in range(COUNT):
        write(number, ImagePositionPatient=(ORIGIN + number * STEP + [2.0 * (number > 5), 0, 0]).tolist())
    assert "shifted against each other" in refusal(tmp_path)


def test_two_pictures_at_one_place_are_refused(tmp_path, write):
    for number in range(COUNT):
        write(number)
    write(3, "late.dcm", pixels=STORED[4])
    words = refusal(tmp_path)
    assert "1 places have two different pictures" in words and "107.5 mm" in words and "late.dcm" in words and "21.dcm" in words


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"pixels": STORED[0, :10]}, "differ in size: (12, 10) in 00.dcm, (10, 10) in 14.dcm"),
        ({"PixelSpacing": [0.8, 0.6]}, "differ in pixel spacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.9998, -0.02]}, "differ in orientation"),
        ({"without": ["ImagePositionPatient"]}, "14.dcm: CT slice without ImagePositionPatient (where it lies)"),
        ({"without": ["RescaleSlope", "RescaleIntercept"]}, "without RescaleSlope"),
        ({"RescaleSlope": 0}, "malformed"),
        ({"PixelSpacing": [0.8, 0]}, "malformed"),
        ({"NumberOfFrames": 2}, "several frames but not where they lie"),
        ({"pixels": STORED[0, :6], "Rows": 12}, "14.dcm: its pixels cannot be decoded"),
    ],
)
def test_slices_that_do_not_fit_are_refused(tmp_path, write, attributes, words):
    for number in range(COUNT):
        write(number, **(attributes if number == 2 else {}))
    assert words in refusal(tmp_path)


def test_damaged_files_are_refused_and_beside_a_named_file_told(tmp_path, write, caplog):
    for number in range(COUNT):
        write(number)
    data = bytearray(write(20, "zz.dcm", NumberOfFrames="1").read_bytes())
    data[data.index(b"1 ", data.index(b"\x28\x00\x08\x00"))] = ord("x")
    (tmp_path / "zz.dcm").write_bytes(data)
    assert "zz.dcm: is damaged DICOM" in refusal(tmp_path)  # its number of frames is no number
    (tmp_path / "zz.dcm").write_bytes(data[:132] + b"\xff" * 50)
    assert "zz.dcm: is damaged DICOM" in refusal(tmp_path)
    with caplog.at_level(logging.WARNING):
        values, _ = read_series(tmp_path / "00.dcm")
    assert values.shape == (COLUMNS, ROWS, COUNT) and "zz.dcm" in caplog.text


def test_what_is_no_ct_series(tmp_path, write):
    (tmp_path / "empty").mkdir()
    assert "holds no CT slice" in refusal(tmp_path / "empty")
    write(0, Modality="MR")
    assert "1 of modality MR" in refusal(tmp_path)
    write(0)
    assert "one single slice" in refusal(tmp_path)


def test_real_series_lie_where_their_headers_say(shared_data):
    """A plain one, and one with a tilted gantry; both have too few slices for `read_volume`."""
    values, affine = read_series(shared_data / "dicom" / "series_crlm-ct-1004")
    assert values.shape == (512, 512, 6) and values.min() == -3024 and 1000 < values.max() < 2000
    np.testing.assert_allclose(np.diag(affine)[:3], [-0.796875, -0.796875, 5])
    np.testing.assert_allclose(affine[:3, 3], [198.2, 204, -275], atol=1e-4)
    values, affine = read_series(shared_data / "dicom" / "series_gantrytilting_001")
    assert values.shape == (512, 512, 4)
    np.testing.assert_allclose(affine[:3, 2], [0, 0, 5], atol=1e-9)
    np.testing.assert_allclose(affine[:3, 1] / 0.41796875, [0, -np.cos(np.deg2rad(14)), -np.sin(np.deg2rad(14))], atol=1e-6)
