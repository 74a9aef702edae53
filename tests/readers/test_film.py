import csv
import pickle

import numpy as np
import pytest
from PIL import Image

from scripts.files.errors import UserError
from scripts.readers.film import ReadError, read_film

READ = None
CT_TASK = "volumes are read by the CT task"
# Every file of the shared folder dicom/: read, or words that its reason must hold (all of them).
EXPECTED = {
    "derived_cxr/empty.dcm": ("empty (0 bytes)",),
    "derived_cxr/mono1_12bit.dcm": READ,
    "derived_cxr/mono2_12bit.dcm": READ,
    "derived_cxr/no_photometric.dcm": ("without PhotometricInterpretation", "white or black"),
    "derived_cxr/no_preamble.dcm": READ,
    "derived_cxr/rgb.dcm": READ,
    "derived_cxr/rle.dcm": READ,
    "derived_cxr/rows_mismatch.dcm": ("header is wrong", "1024 x 512", "262144"),
    "derived_cxr/truncated.dcm": ("cut short", "130680"),
    "lungmask/0.dcm": READ,
    "nibabel/slicethickness_empty_string.dcm": READ,
    "nifti/4d.nii.gz": (CT_TASK, "is 4-D"),
    "nifti/bad_magic.nii": (CT_TASK, "bad magic"),
    "nifti/dim_too_big.nii.gz": (CT_TASK, "cut short", "(640, 50, 24)"),
    "nifti/nan_affine.nii.gz": (CT_TASK, "affine holds NaN"),
    "nifti/nan_voxels.nii.gz": (CT_TASK, "17 voxels are NaN or infinite"),
    "nifti/ok_int16.nii.gz": (CT_TASK,),
    "nifti/plain_named_gz.nii.gz": (CT_TASK, "not compressed"),
    "nifti/rgb24_spine_report.nii.gz": (CT_TASK, "colour voxels"),
    "nifti/slice_2d.nii.gz": (CT_TASK, "is 2-D"),
    "nifti/truncated.nii.gz": (CT_TASK, "cut short"),
    "nifti/zero_bytes.nii.gz": (CT_TASK, "empty (0 bytes)"),
    "pydicom/CT_small.dcm": READ,
    "pydicom/JPEG-lossy.dcm": ("JPEG Extended (Process 2 and 4)", "1.2.840.10008.1.2.4.51", "decompress"),
    "pydicom/JPEG2000.dcm": READ,
    "pydicom/MR_small_bigendian.dcm": READ,
    "pydicom/MR_truncated.dcm": ("cut short", "8130"),
    "pydicom/RG3_J2KI.dcm": READ,
    "pydicom/SC_rgb_jpeg.dcm": READ,
    "pydicom/SC_rgb_rle_16bit.dcm": READ,
    "pydicom/SC_rgb_small_odd.dcm": ("3 x 3", "too small to be a film"),
    "pydicom/badVR.dcm": ("dose grid (RTDOSE)",),
    "pydicom/examples_palette.dcm": READ,
    "pydicom/explicit_VR-UN.dcm": READ,
    "pydicom/meta_missing_tsyntax.dcm": ("states no transfer syntax",),
    "pydicom/no_meta.dcm": ("neither PNG, JPEG nor DICOM",),
    "pydicom/reportsi.dcm": ("structured report (SR)",),
    "pydicom/rtstruct.dcm": ("without preamble and file meta information",),
    "pydicom/vlut_04.dcm": READ,
    **{f"series_crlm-ct-1004/1-{number}.dcm": READ for number in range(16, 22)},
    **{f"series_gantrytilting_001/IM-0001-000{number}.dcm": READ for number in range(1, 5)},
    "xrv/Fake_MONOHR1.dcm": READ,
}


def outcome(path):
    try:
        return read_film(path)
    except ReadError as error:
        return error


@pytest.mark.filterwarnings("ignore:Expected explicit VR")
def test_every_real_file_is_read_or_refused_with_its_reason(shared_data):
    """`pytest -s` prints the table."""
    with (shared_data / "dicom/manifest.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert set(names) == set(EXPECTED)
    found = {name: outcome(shared_data / "dicom" / name) for name in names}
    faults = []
    for name, result in found.items():
        refused = isinstance(result, ReadError)
        words = EXPECTED[name]
        text = f"refused: {result.reason}" if refused else f"read {result.shape}, mean {result.mean():.3f}"
        print(f"{name:45} {text}")
        if refused != (words is not READ) or (refused and not all(word in result.reason for word in words)):
            faults.append(f"{name}: {text}")
        if not refused and not (result.dtype == np.float32 and result.ndim == 2 and 0 <= result.min() < result.max() <= 1):
            faults.append(f"{name}: {result.dtype} {result.shape} {result.min()}..{result.max()}")
    assert not faults


def test_monochrome1_looks_like_its_monochrome2_twin(shared_data):
    first, second = (read_film(shared_data / f"dicom/derived_cxr/mono{n}_12bit.dcm") for n in (1, 2))
    np.testing.assert_allclose(first, second, atol=1 / 4095)


@pytest.mark.parametrize(("name", "source"), [("mono2_12bit", "00000005_001"), ("rle", "00000459_021"), ("rgb", "00000495_000")])
def test_dicom_made_from_a_film_reads_like_the_film(shared_data, name, source):
    """The copies are of half the size; 12-bit ones are the 8-bit levels times 16."""
    copy = read_film(shared_data / f"dicom/derived_cxr/{name}.dcm")
    film = read_film(shared_data / f"cxr/nih/{source}.jpg")
    halved = film.reshape(512, 2, 512, 2).mean((1, 3))
    assert np.corrcoef(copy.ravel(), halved.ravel())[0, 1] > 0.995
    assert abs(copy.mean() - film.mean()) < 0.01


def test_all_real_films_are_read(shared_data):
    with (shared_data / "cxr/manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[::7]
    for row in rows:
        width, height = (int(side) for side in row["size_px_or_shape"].split()[0].split("x"))
        assert read_film(shared_data / "cxr" / row["file"]).shape == (height, width), row["file"]


def test_a_missing_file_a_folder_and_text_are_refused(tmp_path):
    (tmp_path / "note.png").write_text("no picture")
    with pytest.raises(ReadError, match=r"gone\.png: cannot be opened \(No such file"):
        read_film(tmp_path / "gone.png")
    with pytest.raises(ReadError, match="Is a directory"):
        read_film(tmp_path)
    with pytest.raises(ReadError, match="neither PNG, JPEG nor DICOM"):
        read_film(tmp_path / "note.png")


def test_constant_and_tiny_pictures_are_refused(tmp_path):
    Image.fromarray(np.full((64, 64), 128, np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(ReadError, match=r"same value \(0\.502 of 1\)"):
        read_film(tmp_path / "grey.png")
    Image.fromarray(np.arange(31 * 90, dtype=np.uint8).reshape(31, 90)).save(tmp_path / "strip.png")
    with pytest.raises(ReadError, match="90 x 31 pixels are too small"):
        read_film(tmp_path / "strip.png")


def test_the_error_is_for_people_and_survives_pickling():
    error = pickle.loads(pickle.dumps(ReadError("a.png", "is cut short")))
    assert isinstance(error, UserError)
    assert (str(error), error.path, error.reason) == ("a.png: is cut short", "a.png", "is cut short")
