"""Prepared volumes as the loaders give them, and volumes prepared on the way."""

import nibabel as nib
import numpy as np
import pytest
import torch

from scripts.files.read_error import ReadError
from scripts.preparation.volume import prepare_volume
from scripts.readers.volume import read_volume
from scripts.transforms import LoadPreparedd, PrepareVolumed

LOOKUP = np.array([0, 1, 0, 2], np.uint8)
KNOWN = {1: "a", 2: "b", 3: "c"}


@pytest.fixture
def scan(tmp_path):
    """A volume of noise in air with two boxes of tissue, and its segmentation with labels 1, 2 and 3."""
    values = np.random.default_rng(0).integers(-1000, -900, (40, 36, 20)).astype(np.int16)
    labels = np.zeros(values.shape, np.uint8)
    labels[5:20, 5:20, 4:12], labels[22:30, 8:20, 6:14], labels[30:34, 8:20, 6:14] = 1, 3, 2
    values[labels > 0] += 950
    affine = np.diag([-2.0, -2.0, 4.0, 1.0])
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "v.nii.gz")
    nib.save(nib.Nifti1Image(labels, affine), tmp_path / "m.nii.gz")
    return tmp_path


@pytest.fixture
def prepared(scan):
    volume = read_volume(scan / "v.nii.gz")
    made = prepare_volume(volume, LOOKUP[nib.load(scan / "m.nii.gz").get_fdata().astype(int)], (2, 2, 4), (24, 40, 48))
    made.save(scan / "p.nii", scan / "pm.nii.gz")
    return made


def test_whole_volume_and_window_in_the_middle(scan, prepared):
    record = {"image": str(scan / "p.nii"), "anatomy_mask": str(scan / "pm.nii.gz"), "volume_id": "v"}
    whole = LoadPreparedd()(record)
    assert whole["image"].dtype == torch.float32 and whole["image"].shape == (1, *prepared.image.shape)
    np.testing.assert_allclose(whole["image"][0].numpy(), prepared.scaled(), atol=1e-7)
    assert np.array_equal(whole["anatomy_mask"][0].numpy(), prepared.mask) and whole["volume_id"] == "v"
    start = [(side - least) // 2 for side, least in zip(prepared.image.shape, (16, 32, 32), strict=True)]
    part = tuple(slice(first, first + side) for first, side in zip(start, (16, 32, 32), strict=True))
    window = LoadPreparedd((16, 32, 32))(record)
    assert torch.equal(window["image"][0], whole["image"][0][part])
    assert torch.equal(window["anatomy_mask"][0], whole["anatomy_mask"][0][part])


def test_random_windows_reach_every_place_and_depend_on_the_seed(scan, prepared):
    record = {"image": str(scan / "p.nii"), "anatomy_mask": str(scan / "pm.nii.gz")}
    loader = LoadPreparedd((22, 40, 48), random=True)
    room = [side - least for side, least in zip(prepared.image.shape, (22, 40, 48), strict=True)]
    assert room[0] == 2 and room[1:] == [0, 0]
    loader.set_random_state(seed=0)
    starts = []
    for _ in range(30):
        image = loader(record)["image"][0].numpy()
        starts += [z for z in range(3) if np.allclose(image, prepared.scaled()[z : z + 22])]
    assert len(starts) == 30 and set(starts) == {0, 1, 2}
    loader.set_random_state(seed=0)
    assert np.allclose(loader(record)["image"][0].numpy(), prepared.scaled()[starts[0] : starts[0] + 22])


def test_a_window_larger_than_the_volume_is_refused(scan, prepared):
    record = {"image": str(scan / "p.nii"), "anatomy_mask": str(scan / "pm.nii.gz")}
    with pytest.raises(ReadError, match="24 x 40 x 48 voxels, fewer than 32 x 64 x 64"):
        LoadPreparedd((32, 64, 64))(record)


def test_preparing_on_the_way_is_the_same_and_keeps_the_way_back(scan, prepared):
    record = {"image": str(scan / "v.nii.gz"), "anatomy_mask": str(scan / "m.nii.gz")}
    made = PrepareVolumed(LOOKUP, KNOWN, (2, 2, 4), (24, 40, 48))(record)
    np.testing.assert_allclose(made["image"][0].numpy(), prepared.scaled(), atol=1e-7)
    assert np.array_equal(made["anatomy_mask"][0].numpy(), prepared.mask)
    assert made["native_shape"] == (40, 36, 20) and np.allclose(made["prepared_affine"], prepared.affine)
    assert np.allclose(made["native_affine"], np.diag([-2.0, -2.0, 4.0, 1.0]))


def test_a_label_that_nobody_knows_is_refused(scan):
    record = {"image": str(scan / "v.nii.gz"), "anatomy_mask": str(scan / "m.nii.gz")}
    with pytest.raises(ReadError, match=r"does not name \(2, 3\)"):
        PrepareVolumed(LOOKUP[:2], {1: "a"}, (2, 2, 4), (24, 40, 48))(record)
