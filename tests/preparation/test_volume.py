import json

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy.ndimage import center_of_mass

from scripts.preparation.volume import STEPS, PreparedVolume, organ_window, prepare_volume, read_prepared, to_native
from scripts.readers.volume import ReadError, Volume, corner_distance, read_anatomies, read_volume
from tests.golden.fvlm_volumes import golden_anatomies, golden_volume

LPS = np.diag([-0.8, -0.9, 2.0, 1.0])
LPS[:3, 3] = [30, 40, -50]
SHAPE = (60, 50, 30)
SMALL = (16, 24, 32)


def turned(degrees: float, axes: tuple[int, int]) -> np.ndarray:
    turn = np.eye(4)
    turn[np.ix_(axes, axes)] = [[np.cos(a := np.deg2rad(degrees)), -np.sin(a)], [np.sin(a), np.cos(a)]]
    return turn


def reordered(array: np.ndarray, affine: np.ndarray, codes: str) -> tuple[np.ndarray, np.ndarray]:
    """The same volume stored in another order of axes."""
    turn = ornt_transform(nib.io_orientation(affine), axcodes2ornt(codes))
    return apply_orientation(array, turn), affine @ inv_ornt_aff(turn, array.shape)


TILT = np.eye(4)
TILT[2, 1] = np.tan(np.deg2rad(15))  # gantry: planes lean, the table does not
GRIDS = {
    "LPS": LPS,
    "RAS": reordered(np.empty(SHAPE), LPS, "RAS")[1],
    "oblique": turned(12, (0, 1)) @ turned(-7, (1, 2)) @ LPS,
    "sheared": TILT @ LPS,
}
SLOPES = np.array([2.0, -3.0, 1.5])


def ramp(affine: np.ndarray, shape) -> np.ndarray:
    """A value that rises linearly through the patient: trilinear sampling keeps it exactly, so it tells where a voxel lies."""
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    return (places @ SLOPES - 300).astype(np.float32)


def ball(affine: np.ndarray, shape, centre, radius: float) -> np.ndarray:
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    return (np.linalg.norm(places - centre, axis=-1) < radius).astype(np.uint8)


def middle(affine: np.ndarray) -> np.ndarray:
    return affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2) + affine[:3, 3]


def prepared_of(affine: np.ndarray, **options) -> PreparedVolume:
    anatomies = ball(affine, SHAPE, middle(affine), 10)
    options = {"min_size": SMALL, "margin": (1, 2, 2)} | options
    return prepare_volume(Volume(ramp(affine, SHAPE), affine, "ct.nii"), anatomies, **options)


@pytest.mark.parametrize("grid", GRIDS)
def test_every_voxel_has_the_value_of_its_place_in_the_patient(grid):
    prepared = prepared_of(GRIDS[grid])
    error = np.abs(prepared.image / STEPS - ramp(prepared.affine, prepared.image.shape))[prepared.mask > 0]
    assert error.max() <= 0.5 / STEPS + 0.01 and len(error) > 1000


@pytest.mark.parametrize("grid", GRIDS)
def test_the_mask_lies_where_the_organ_does_and_axes_run_as_stated(grid):
    prepared = prepared_of(GRIDS[grid])
    place = prepared.affine @ [*center_of_mass(prepared.mask), 1]
    # Nearest takes the voxel below: half a new voxel, 1.5 mm in z, is what it may be off.
    np.testing.assert_allclose(place[:3], middle(GRIDS[grid]), atol=1.6)
    directions = prepared.affine[:3, :3] / np.linalg.norm(prepared.affine[:3, :3], axis=0)
    np.testing.assert_allclose(directions, [[0, 0, -1], [0, -1, 0], [1, 0, 0]], atol=1e-6)  # up, back, left


def test_oblique_grids_come_out_at_exactly_the_spacing():
    for grid in ("oblique", "sheared"):
        np.testing.assert_allclose(np.linalg.norm(prepared_of(GRIDS[grid]).affine[:3, :3], axis=0), [3, 1, 1])


def test_the_order_in_which_a_volume_is_stored_makes_no_difference():
    values, anatomies = ramp(LPS, SHAPE), ball(LPS, SHAPE, middle(LPS), 9)
    first = prepare_volume(Volume(values, LPS, "a"), anatomies, min_size=SMALL)
    for codes in ("RAS", "LAS", "SPL", "AIR"):
        stored, affine = reordered(values, LPS, codes)
        other = prepare_volume(Volume(stored, affine, "b"), reordered(anatomies, LPS, codes)[0], min_size=SMALL)
        assert np.array_equal(other.image, first.image) and np.array_equal(other.mask, first.mask), codes
        np.testing.assert_allclose(other.affine, first.affine, atol=1e-9)


def test_extents_are_kept_and_sides_rounded_down():
    affine = np.diag([-0.7, -0.7, 2.2, 1.0])
    values = np.full((52, 51, 20), -500, np.int16)
    prepared = prepare_volume(Volume(values, affine, "a"), np.ones(values.shape, np.uint8), min_size=(1, 1, 1))
    assert prepared.image.shape == (14, 35, 36)  # 44 mm / 3, 35.7 and 36.4 mm
    np.testing.assert_allclose(np.linalg.norm(prepared.affine[:3, :3], axis=0), [44 / 14, 35.7 / 35, 36.4 / 36])
    corners = (affine @ [-0.5, -0.5, -0.5, 1], prepared.affine @ [-0.5, -0.5, -0.5, 1])
    np.testing.assert_allclose(*corners, atol=1e-9)


def test_a_spacing_stored_in_32_bits_loses_no_voxel():
    affine = np.diag([*np.float32([0.9, 0.9, 3]), 1.0]).astype(np.float64)
    values = np.zeros((140, 20, 9), np.int16)
    prepared = prepare_volume(Volume(values, affine, "a"), np.ones(values.shape, np.uint8), min_size=(1, 1, 1))
    assert prepared.image.shape == (9, 18, 126)


def test_crop_padding_and_window():
    affine = np.diag([-1.0, -1.0, 3.0, 1.0])
    values = np.random.default_rng(0).integers(-3000, 2000, (40, 40, 20)).astype(np.int16)
    anatomies = np.zeros(values.shape, np.uint8)
    anatomies[10:14, 36:38, 8:11] = 3
    margin = (2, 4, 5)
    prepared = prepare_volume(Volume(values, affine, "a"), anatomies, min_size=(9, 8, 17), window=(-1000.0, 200.5), margin=margin)
    crop = values[5:19, 32:40, 6:13].transpose(2, 1, 0)
    assert prepared.image.shape == (9, 8, 17)  # 7 x 8 x 14 and the padding, the odd voxel after
    assert np.array_equal(prepared.image[1:8, :, 1:15], np.clip(crop, -1000, 200.5) * STEPS)
    padding = np.ones(prepared.image.shape, bool)
    padding[1:8, :, 1:15] = False
    assert (prepared.image[padding] == -1000 * STEPS).all() and (prepared.mask[padding] == 0).all()
    assert (prepared.mask[3:6, 4:6, 6:10] == 3).all() and prepared.mask.sum() == 3 * 24
    scaled = prepared.scaled()
    assert scaled.dtype == np.float32 and (scaled[padding] == 0).all() and scaled.max() == 1
    assert np.array_equal(prepared.scaled((slice(2, 4), slice(0, 8), slice(3, 9))), scaled[2:4, :, 3:9])


def test_what_cannot_be_prepared():
    volume = Volume(ramp(LPS, SHAPE), LPS, "ct.nii")
    with pytest.raises(ReadError, match=r"ct\.nii: its mask holds none"):
        prepare_volume(volume, np.zeros(SHAPE, np.uint8))
    for anatomies in (np.ones(SHAPE, np.uint16), np.ones(SHAPE[:2], np.uint8)):
        with pytest.raises(ValueError, match="anatomies"):
            prepare_volume(volume, anatomies)
    for options in ({"spacing": (1, 0, 3)}, {"window": (350, -1150)}, {"window": (-1150, 2048)}):
        with pytest.raises(ValueError, match="spacing"):
            prepare_volume(volume, np.ones(SHAPE, np.uint8), **options)


def test_the_published_preparation_where_it_is_right(fvlm_golden):
    """Case 1: spacing equal in x and y, slope 1, margins beyond the volume."""
    case = json.loads((fvlm_golden / "preprocess_expected.json").read_text())["1"]
    arrays = np.load(fvlm_golden / "preprocess_expected.npz")
    values, labels = golden_volume(case)
    affine = np.diag([-0.8, -0.8, 1.5, 1.0])
    affine[:3, 3] = [100, 120, 30]
    prepared = prepare_volume(Volume(values, affine, "a"), golden_anatomies(labels))
    assert list(prepared.image.shape) == case["processed_image_zyx"]["shape"]
    half_step = 0.5 / STEPS / 1500 + 1e-7
    scaled = prepared.scaled()
    np.testing.assert_allclose(scaled[::5, ::8, ::8], arrays["1/processed_image_sub"], atol=half_step)
    for found, wanted in [(scaled, case["processed_image_zyx"]), (prepared.mask, case["processed_mask_zyx"])]:
        assert found.sum(dtype=np.float64) == pytest.approx(wanted["sum"], rel=1e-6)
        assert np.square(found, dtype=np.float64).sum() == pytest.approx(wanted["sumsq"], rel=1e-6)
        box = [[int(side.min()), int(side.max()) + 1] for side in np.nonzero(found)]
        assert np.array_equal(np.transpose(box), wanted["nonzero_bbox"])
    assert np.array_equal(prepared.mask[::5, ::8, ::8], arrays["1/processed_mask_sub"])
    assert {str(value): int(n) for value, n in enumerate(np.bincount(prepared.mask.ravel()))} == case["mask_counts"]
    # The crop begins at the first voxel, so undoing the padding gives the affine of the resized volume, here in z, y, x.
    resized = prepared.affine[:3, :3] @ [41, 80, 124] + prepared.affine[:3, 3]
    np.testing.assert_allclose(resized, np.array(case["resized_affine"])[:3, 3], atol=1e-5)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_map_comes_back_to_where_it_was(grid):
    """A linear map of a prepared volume takes, in every native voxel that it covers, the value of that voxel's place."""
    affine = GRIDS[grid]
    prepared = prepared_of(affine)
    native = to_native(ramp(prepared.affine, prepared.image.shape), prepared.affine, SHAPE, affine)
    assert native.shape == SHAPE and native.dtype == np.float32
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    matrix = np.linalg.inv(prepared.affine) @ affine
    voxels = places @ matrix[:3, :3].T + matrix[:3, 3]
    ends = np.array(prepared.image.shape)
    within = ((voxels >= 0) & (voxels <= ends - 1)).all(-1)
    covered = ((voxels > -0.499) & (voxels < ends - 0.501)).all(-1)
    outside = ((voxels < -0.501) | (voxels > ends - 0.499)).any(-1)
    np.testing.assert_allclose(native[within], ramp(affine, SHAPE)[within], atol=0.02)
    assert within.sum() > 5000 and outside.sum() > 5000 and (native[outside] == 0).all()
    assert (native[covered] < -200).all()


@pytest.mark.parametrize("grid", GRIDS)
def test_a_bright_voxel_comes_back_to_itself(grid):
    affine = GRIDS[grid]
    position = (33, 22, 17)
    values = np.full(SHAPE, -1000, np.int16)
    values[position] = 300
    prepared = prepare_volume(
        Volume(values, affine, "a"), ball(affine, SHAPE, middle(affine), 15), spacing=(0.4, 0.4, 0.5), min_size=(1, 1, 1)
    )
    native = to_native(prepared.scaled(), prepared.affine, SHAPE, affine)
    assert np.unravel_index(native.argmax(), SHAPE) == position


@pytest.fixture
def files(tmp_path):
    return tmp_path / "v1.nii", tmp_path / "v1_mask.nii.gz"


def test_files_give_back_what_was_prepared_and_hounsfield_units_to_others(files):
    prepared = prepared_of(GRIDS["oblique"])
    prepared.save(*files)
    again = read_prepared(*files)
    assert isinstance(again.image, np.memmap) and again.image.flags.c_contiguous and again.image.dtype == np.int16
    assert np.array_equal(again.image, prepared.image) and np.array_equal(again.mask, prepared.mask)
    assert again.mask.dtype == np.uint8 and again.window == prepared.window
    assert corner_distance(again.affine, prepared.affine, prepared.image.shape) < 1e-3
    volume = read_volume(files[0])
    assert np.array_equal(volume.values, prepared.image.T / np.float32(STEPS))
    assert np.array_equal(read_anatomies(files[1], volume), prepared.mask.T)
    assert nib.aff2axcodes(volume.affine) == ("L", "P", "S")
    assert files[0].stat().st_size == 352 + prepared.image.nbytes


def test_what_is_no_prepared_volume_is_refused(files):
    prepared_of(LPS).save(*files)
    data, mask = (path.read_bytes() for path in files)
    files[0].write_bytes(data[:-100])
    with pytest.raises(ReadError, match=r"v1\.nii: cannot be read"):
        read_prepared(*files)
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), LPS), files[0])
    with pytest.raises(ReadError, match="preprocess-ct"):
        read_prepared(*files)
    files[0].write_bytes(data)
    files[1].write_bytes(mask[: len(mask) // 2])
    with pytest.raises(ReadError, match=r"v1_mask\.nii\.gz: cannot be read"):
        read_prepared(*files)
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), LPS), files[1])
    with pytest.raises(ReadError, match="has shape"):
        read_prepared(*files)
    files[0].unlink()
    with pytest.raises(ReadError, match=r"v1\.nii"):
        read_prepared(*files)


def test_windows_are_the_published_ones_where_those_keep_the_organ(fvlm_golden):
    same = 0
    for case in json.loads((fvlm_golden / "center_crop_expected.json").read_text()):
        z0, z1, y0, y1, x0, x1 = case["organ_box"]
        window = organ_window((slice(z0, z1), slice(y0, y1), slice(x0, x1)), case["volume"], case["crop"])
        for part, start, stop, low, high in zip(window, case["start"], case["stop"], (z0, y0, x0), (z1, y1, x1), strict=True):
            assert part.start <= low and high <= part.stop
            if start <= low and high <= stop:
                assert (part.start, part.stop) == (start, stop)
                same += 1
    assert same > 30


def test_any_window_is_large_enough_inside_and_holds_its_organ():
    random = np.random.default_rng(0)
    for side, least in random.integers(1, 40, (300, 2)):
        start, stop = np.sort(random.choice(side + 1, 2, replace=False))
        organ = slice(int(start), int(stop))
        (window, *_) = organ_window((organ,) * 3, (side,) * 3, (least,) * 3)
        assert 0 <= window.start <= organ.start and organ.stop <= window.stop <= side
        assert window.stop - window.start == min(max(least, stop - start), side)
        if window.start > 0 and window.stop < side:
            assert abs((window.start + window.stop) - (organ.start + organ.stop)) <= 2


def test_real_volumes_with_masks(shared_data):
    """Voxel sizes from 3 to 5.4 mm: every anatomy stays, and its places come back to it."""
    prepared_ones = 0
    for path in sorted((shared_data / "ct").glob("*/seg.nii.gz")):
        volume = read_volume(path.with_name("ct.nii.gz"))
        anatomies = read_anatomies(path, volume).astype(np.uint8)
        prepared = prepare_volume(volume, anatomies, spacing=(2.0, 2.0, 3.0), min_size=(56, 96, 128))
        assert set(np.unique(prepared.mask)) == set(np.unique(anatomies)), path
        assert all(side >= least for side, least in zip(prepared.image.shape, (56, 96, 128), strict=True))
        largest = int(np.bincount(anatomies.ravel())[1:].argmax()) + 1
        back = to_native(prepared.mask == largest, prepared.affine, anatomies.shape, volume.affine) > 0.5
        overlap = 2 * (back & (anatomies == largest)).sum() / (back.sum() + (anatomies == largest).sum())
        assert overlap > 0.85, path
        prepared_ones += 1
    assert prepared_ones == 6
