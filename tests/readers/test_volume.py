import csv
import json

import nibabel as nib
import numpy as np
import pytest

from scripts.readers.volume import ReadError, Volume, corner_distance, cut_anatomies, read_anatomies, read_label_map, read_volume

SHAPE = (9, 10, 12)
AFFINE = np.array([[-0.7, 0, 0, 100], [0, 0.8, 0, -90], [0, 0, 2.5, 40], [0, 0, 0, 1.0]])
VALUES = np.random.default_rng(0).integers(-1000, 1500, SHAPE).astype(np.int16)


def save(path, voxels, affine=AFFINE, slope=None, intercept=0.0):
    """A NIfTI file with the voxels as stored, which stand for voxels * slope + intercept."""
    image = nib.Nifti1Image(voxels, affine)
    nib.save(image, path)
    if slope is not None:
        data = bytearray(path.read_bytes())
        data[112:120] = np.array([slope, intercept], "<f4").tobytes()
        path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_whole_numbers_are_read_as_they_are(tmp_path, name):
    volume = read_volume(save(tmp_path / name, VALUES))
    assert volume.values.dtype == np.int16 and np.array_equal(volume.values, VALUES)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)
    assert volume.affine.dtype == np.float64 and volume.path == tmp_path / name


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(1.5, -24.0, np.float32), (1.0, -1024.0, np.int16), (0.25, 0.0, np.float32)]
)
def test_slope_and_intercept_are_applied_fractions_too(tmp_path, slope, intercept, dtype):
    volume = read_volume(save(tmp_path / "ct.nii", VALUES, slope=slope, intercept=intercept))
    assert volume.values.dtype == dtype
    np.testing.assert_allclose(volume.values, VALUES * slope + intercept, atol=1e-3)


@pytest.mark.parametrize("stored", [np.int32, np.float32, np.float64, ">i2"])
def test_whole_numbers_of_other_types_become_int16(tmp_path, stored):
    volume = read_volume(save(tmp_path / "ct.nii.gz", VALUES.astype(stored)))
    assert volume.values.dtype == np.int16 and np.array_equal(volume.values, VALUES)


def test_fractions_stay_and_a_trailing_dimension_of_one_goes(tmp_path):
    volume = read_volume(save(tmp_path / "ct.nii", (VALUES + 0.5).astype(np.float32)[..., None]))
    assert volume.values.dtype == np.float32 and np.array_equal(volume.values, VALUES + np.float32(0.5))


@pytest.mark.parametrize(
    ("voxels", "affine", "words"),
    [
        (np.stack([VALUES, VALUES], -1), AFFINE, "is 4-D"),
        (VALUES[..., :7], AFFINE, "9 x 10 x 7 voxels, fewer than 8 slices"),
        (np.where(np.arange(1080).reshape(SHAPE) == 7, np.nan, VALUES).astype(np.float32), AFFINE, "1 voxels are NaN or infinite"),
        (np.full(SHAPE, -1000, np.int16), AFFINE, "every voxel is -1000"),
        (VALUES + np.int16(1024), AFFINE, "hold no air"),
        ((VALUES + 1000) / np.float32(2500), AFFINE, "hold no air"),
        (VALUES.astype(np.int32) * 50, AFFINE, "no Hounsfield units"),
        (VALUES, AFFINE @ np.diag([0.001, 0.001, 0.001, 1]), "voxels of 0.0007 x 0.0008 x 0.0025 mm"),
        (VALUES, AFFINE @ np.diag([1, 1, 5, 1]), "outside 0.2-12 mm"),
        (VALUES, np.array([[1, 1, 0, 0], [1, 1.01, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "almost in a plane"),
    ],
)
def test_what_is_no_ct_volume_is_refused_with_the_reason(tmp_path, voxels, affine, words):
    path = save(tmp_path / "ct.nii.gz", voxels, affine)
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert words in caught.value.reason and caught.value.path == str(path)


def test_a_volume_without_a_place_is_refused(tmp_path):
    image = nib.Nifti1Image(VALUES, None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nib.save(image, tmp_path / "ct.nii")
    with pytest.raises(ReadError, match="neither sform nor qform"):
        read_volume(tmp_path / "ct.nii")
    image.set_qform(AFFINE, 1)
    nib.save(image, tmp_path / "ct.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "ct.nii").affine, AFFINE, atol=1e-4)


def test_broken_and_missing_files_are_refused(tmp_path):
    data = save(tmp_path / "ct.nii.gz", VALUES).read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.nii").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no volume at all")
    for name, words in [
        ("cut.nii.gz", "cut short"),
        ("empty.nii", "empty"),
        ("gone.nii", "does not exist"),
        ("notes.txt", "neither NIfTI"),
    ]:
        with pytest.raises(ReadError, match=words):
            read_volume(tmp_path / name)


def labels(shape=SHAPE, dtype=np.uint8):
    found = np.zeros(shape, dtype)
    found[2:5, 3:6, 4:8], found[5:8, 3:6, 4:8] = 10, 52
    return found


@pytest.mark.parametrize(
    ("stored", "most", "read"), [(np.uint8, 255, np.uint8), (np.int32, 300, np.uint16), (np.float32, 117, np.uint8)]
)
def test_labels_are_read_in_the_smallest_type(tmp_path, stored, most, read):
    wanted = labels(dtype=stored)
    wanted[0, 0, 0] = most
    found, affine = read_label_map(save(tmp_path / "seg.nii.gz", wanted))
    assert found.dtype == read and np.array_equal(found, wanted)
    np.testing.assert_allclose(affine, AFFINE, atol=1e-6)


def test_what_is_no_label_map_is_refused(tmp_path):
    for voxels, words in [
        (labels() - np.int16(1), "from -1"),
        (labels() / np.float32(3), "fractions"),
        (labels(dtype=np.int32) * 2000, "65535"),
    ]:
        with pytest.raises(ReadError, match=words):
            read_label_map(save(tmp_path / "seg.nii", voxels))
    (tmp_path / "seg.dcm").write_bytes(b"DICM")
    for name, words in [("seg.dcm", "multi-label NIfTI"), ("gone.nii", "no file")]:
        with pytest.raises(ReadError, match=words):
            read_label_map(tmp_path / name)


@pytest.fixture
def volume(tmp_path):
    return Volume(VALUES, AFFINE, tmp_path / "ct.nii")


def test_a_mask_on_the_volumes_grid(tmp_path, volume):
    near = AFFINE.copy()
    near[0, 3] += 0.04
    for affine in (AFFINE, near):
        assert np.array_equal(read_anatomies(save(tmp_path / "seg.nii", labels(), affine), volume), labels())


def test_a_mask_of_the_same_grid_in_another_order_is_turned(tmp_path, volume):
    """As dcm2niix writes a DICOM series: rows reversed; and with axes swapped."""
    turned = labels()[:, ::-1].transpose(2, 0, 1)
    to_volume = np.array([[0, 1, 0, 0], [0, 0, -1, SHAPE[1] - 1], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    assert np.array_equal(read_anatomies(save(tmp_path / "seg.nii", turned, AFFINE @ to_volume), volume), labels())


def test_a_mask_on_another_grid_or_without_label_is_refused(tmp_path, volume):
    shifted, stretched = AFFINE.copy(), AFFINE @ np.diag([1.01, 1, 1, 1])
    shifted[2, 3] += 0.3
    for found, affine, words in [
        (labels((9, 10, 11)), AFFINE, "has shape 9 x 10 x 11, the volume 9 x 10 x 12"),
        (labels(), shifted, "by up to 0.30 mm"),
        (labels(), stretched, "by up to 0.06 mm"),
        (labels() * np.uint8(0), AFFINE, "0 everywhere"),
    ]:
        with pytest.raises(ReadError, match=words):
            read_anatomies(save(tmp_path / "seg.nii", found, affine), volume)


def test_anatomies_at_any_face_are_cut():
    assert cut_anatomies(labels()) == []
    for face, value in [((0, 3, 4), 1), ((-1, 3, 4), 2), ((3, 0, 4), 3), ((3, -1, 4), 4), ((3, 4, 0), 5), ((3, 4, -1), 6)]:
        touching = labels()
        touching[face] = value
        assert cut_anatomies(touching) == [value]


def test_corner_distance_is_the_largest():
    turned = AFFINE @ np.array([[1, 0, 0, 0], [0.01, 1, 0, 0], [0, 0, 1, 0.1], [0, 0, 0, 1]])
    # At x = 8: 8 * 0.01 * 0.8 mm along y, 0.1 * 2.5 mm along z.
    assert corner_distance(AFFINE, turned, SHAPE) == pytest.approx(np.hypot(0.064, 0.25))


def test_real_volumes_and_their_masks_are_read(shared_data):
    with open(shared_data / "ct" / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].endswith("ct.nii.gz")]
    assert {row["file"].split("/")[0] for row in rows} == {
        "crlm_ct_1004",
        "lung1_001",
        "openkbp_pt_187",
        "openkbp_pt_200",
        "openkbp_pt_201",
        "tsA_torso",
        "tsA_torso_sm",
    }
    for row in rows:
        volume = read_volume(shared_data / "ct" / row["file"])
        assert volume.values.dtype == np.int16 and volume.values.min() < -900 < 700 < volume.values.max()
        if row["mask_files"]:
            anatomies = read_anatomies(shared_data / "ct" / row["mask_files"], volume)
            assert anatomies.any() and set(np.unique(anatomies)) - {0} <= set(map(int, json.loads(row["labels"])))


REFUSED = {
    "nifti/4d.nii.gz": "is 4-D",
    "nifti/bad_magic.nii": "not a NIfTI header",
    "nifti/dim_too_big.nii.gz": "cut short",
    "nifti/nan_affine.nii.gz": "affine holds NaN",
    "nifti/nan_voxels.nii.gz": "17 voxels are NaN",
    "nifti/plain_named_gz.nii.gz": "not compressed",
    "nifti/rgb24_spine_report.nii.gz": "colour voxels",
    "nifti/slice_2d.nii.gz": "is 2-D",
    "nifti/truncated.nii.gz": "cut short",
    "nifti/zero_bytes.nii.gz": "empty",
    "series_crlm-ct-1004": "512 x 512 x 6 voxels, fewer than 8 slices",
    "series_gantrytilting_001": "512 x 512 x 4 voxels, fewer than 8 slices",
    "lungmask": "one single slice",
    "nibabel": "1 of modality MR",
    "xrv": "1 of modality CR",
    "derived_cxr": "of modality CR",
    "pydicom": "is damaged DICOM",
    "pydicom/CT_small.dcm": "one single slice",
    "pydicom/explicit_VR-UN.dcm": "one single slice",
}


def test_of_the_real_series_and_broken_files_only_the_sound_one_is_read(shared_data):
    folder = shared_data / "dicom"
    tried = {*(f"nifti/{path.name}" for path in (folder / "nifti").iterdir()), *REFUSED}
    tried |= {path.name for path in folder.iterdir() if path.is_dir() and path.name != "nifti"}
    read = set()
    for name in tried:
        try:
            read_volume(folder / name)
            read.add(name)
        except ReadError as error:
            assert REFUSED.get(name, "no refusal of this file is expected") in error.reason, f"{name}: {error.reason}"
    assert read == {"nifti/ok_int16.nii.gz"}
