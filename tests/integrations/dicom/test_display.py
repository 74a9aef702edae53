"""Volumes as pictures: the same ones however the volume is stored, and back to its own voxels without loss."""

import json
from dataclasses import replace

import cv2
import nibabel as nib
import numpy as np
import pytest

from integrations.dicom.display import OUTLINES, WINDOWS, picture_name, render_image, render_volume
from integrations.dicom.series import SliceGeometry, spread_slices
from scripts.cases.domain import read_domain
from scripts.files.read_error import ReadError
from scripts.readers.volume import read_volume
from tests.integrations.volumes import SHAPE, affine_of, body, lesion, organs, oriented, write_series, write_volume

STORED = ["RAS", "LPS", "LAS", "RPI", "PSR", "IAL", "SLA"]
"""Orders of axes of NIfTI files, the ones that converters of DICOM write among them."""
TURNS = [0.0, 18.0, -35.0]


def as_seen(values: np.ndarray) -> np.ndarray:
    """Values [X, Y, Z] in RAS order as pictures: from head to foot, from front to back, from the patient's right to left."""
    return values[::-1, ::-1, ::-1].transpose(2, 1, 0)


@pytest.mark.parametrize("axes", STORED)
@pytest.mark.parametrize("turn", TURNS)
def test_pictures_are_radiological_and_masks_come_back_voxel_by_voxel(axes, turn):
    values, affine = oriented(body(), affine_of(turn), axes)
    whole = SliceGeometry(values.shape, affine, ())
    series = replace(whole, slices=whole.head_to_foot(range(SHAPE[2])))
    assert np.array_equal(series.from_volume(values), as_seen(body()))
    mask = oriented(lesion(1), affine, axes)[0]
    drawn = series.from_volume(mask)
    assert np.array_equal(drawn, as_seen(lesion(1)))
    assert np.array_equal(series.to_volume(drawn), mask)
    again = SliceGeometry.from_json(json.loads(json.dumps(series.as_json())))
    assert np.array_equal(again.to_volume(drawn), mask)


@pytest.mark.parametrize("axes", ["RAS", "PSR"])
def test_a_key_slice_is_the_picture_of_that_stored_slice(axes):
    values, affine = oriented(body(), affine_of(), axes)
    series = SliceGeometry(values.shape, affine, ())
    stored = values.take(3, axis=series.axis)
    assert sorted(series.picture_of(values, 3).ravel()) == sorted(stored.ravel())


@pytest.mark.parametrize("axes", STORED)
def test_pixels_of_unequal_sides_are_repeated_and_masks_still_exact(axes):
    values, affine = oriented(body(), affine_of(spacing=(1.0, 2.9, 3.0)), axes)
    whole = SliceGeometry(values.shape, affine, ())
    series = replace(whole, slices=whole.head_to_foot(range(SHAPE[2])))
    assert (series.width, series.height) == (SHAPE[0], 3 * SHAPE[1])
    mask = oriented(lesion(2), affine, axes)[0]
    assert np.array_equal(series.to_volume(series.from_volume(mask)), mask)


def test_slices_that_are_not_shown_take_the_nearest_mask():
    series = SliceGeometry(SHAPE, affine_of(), (12, 9, 4))
    drawn = np.zeros((3, series.height, series.width), bool)
    drawn[1, 5, 7] = True
    mask = series.to_volume(drawn)
    assert sorted(set(np.nonzero(mask)[2].tolist())) == [7, 8, 9, 10]
    assert mask.sum(2).astype(bool).sum() == 1
    with pytest.raises(ValueError, match="masks of shape"):
        series.to_volume(drawn[:2])


def test_spread_slices_are_even_and_hold_the_wanted_ones():
    assert spread_slices(10, 20) == tuple(range(10))
    spread = spread_slices(300, 96, always=[7, 299, 300])
    assert {7, 299} <= set(spread) and 300 not in spread
    rest = [index for index in spread if index not in (7, 299)]
    assert len(rest) <= 96 and set(np.diff(rest)) == {rest[1] - rest[0]}


def test_windows_and_outlines_are_drawn(tmp_path):
    record = write_volume(tmp_path / "scan.nii.gz", "LPS")
    series = render_volume(record["image"], tmp_path / "plain")
    assert len(series.slices) == SHAPE[2] and len(list((tmp_path / "plain").rglob("*.png"))) == 3 * SHAPE[2]
    values = read_volume(record["image"]).values
    for window, (low, high) in WINDOWS.items():
        shown = cv2.imread(str(tmp_path / "plain" / picture_name(window, 6)), cv2.IMREAD_UNCHANGED)
        wanted = np.clip((series.picture_of(values, 6) - low) / (high - low), 0, 1) * 255
        assert shown.shape == (series.height, series.width) and np.abs(shown - wanted).max() <= 0.5
    render_volume(record["image"], tmp_path / "outlined", anatomy_mask=record["anatomy_mask"], choose=lambda count: [6])
    (lung, *_) = sorted((tmp_path / "outlined").rglob("*.png"))
    shown = cv2.cvtColor(cv2.imread(str(lung)), cv2.COLOR_BGR2RGB)
    labels = series.picture_of(oriented(organs(), affine_of(), "LPS")[0], 6)
    assert {tuple(pixel) for pixel in shown[labels == 1].tolist()} >= {OUTLINES[0]}
    inside = cv2.erode((labels == 1).astype(np.uint8), np.ones((3, 3))) > 0
    assert (np.ptp(shown[(labels == 0) | inside], axis=-1) == 0).all(), "only borders are coloured"


def test_a_series_and_its_nifti_give_the_same_pictures(tmp_path):
    as_dicom = write_series(tmp_path / "series", turn=12.0)
    as_nifti = write_volume(tmp_path / "scan.nii.gz", "RAS", turn=12.0)
    render_volume(as_dicom["image"], tmp_path / "a")
    render_volume(as_nifti["image"], tmp_path / "b")
    for window in WINDOWS:
        for index in range(SHAPE[2]):
            one, other = (cv2.imread(str(tmp_path / folder / picture_name(window, index))) for folder in "ab")
            assert np.array_equal(one, other)


def test_a_file_of_a_burnt_in_series_is_refused(tmp_path):
    record = write_series(tmp_path / "series", BurnedInAnnotation="YES")
    for path in (record["image"], sorted((tmp_path / "series").iterdir())[3]):
        with pytest.raises(ReadError, match="BurnedInAnnotation YES"):
            render_volume(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(render_volume(record["image"], tmp_path / "out", keep_phi=True).slices) == SHAPE[2]


def test_a_mask_of_another_grid_is_refused(tmp_path):
    record = write_volume(tmp_path / "scan.nii.gz")
    nib.save(nib.Nifti1Image(organs(), affine_of(turn=5.0)), tmp_path / "other.nii.gz")
    with pytest.raises(ReadError, match=r"other\.nii\.gz: lies elsewhere"):
        render_volume(record["image"], tmp_path / "out", anatomy_mask=tmp_path / "other.nii.gz")


def test_real_volumes_keep_their_voxels(shared_data):
    for name in ("tsA_torso_sm", "openkbp_pt_187"):
        volume = read_volume(shared_data / "ct" / name / "ct.nii.gz")
        whole = SliceGeometry(volume.values.shape, volume.affine, ())
        series = replace(whole, slices=whole.head_to_foot(range(volume.values.shape[whole.axis])))
        mask = volume.values > 150
        assert mask.any() and np.array_equal(series.to_volume(series.from_volume(mask)), mask)


def test_pictures_hold_pixels_and_nothing_else(shared_data, tmp_path):
    render_image(shared_data / "dicom" / "derived_cxr" / "mono2_12bit.dcm", tmp_path / "film.png", read_domain("cxr"))
    content = (tmp_path / "film.png").read_bytes()
    kinds, place = [], 8
    while place < len(content):
        kinds.append(content[place + 4 : place + 8])
        place += 12 + int.from_bytes(content[place : place + 4], "big")
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
