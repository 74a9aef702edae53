import nibabel as nib
import numpy as np
import pytest

from scripts.readers.nifti_faults import nifti_fault

VOXELS = np.random.default_rng(0).permutation(10 * 20 * 30).astype(np.int16).reshape(10, 20, 30)


def save(path, voxels, affine=None):
    nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_sound_volume_has_no_fault(tmp_path, name):
    assert nifti_fault(save(tmp_path / name, VOXELS)) is None


@pytest.mark.parametrize(
    ("voxels", "affine", "words"),
    [
        (VOXELS[0], None, "is 2-D (20, 30)"),
        (np.stack([VOXELS, VOXELS], -1), None, "is 4-D"),
        (VOXELS.astype(np.complex64), None, "complex voxels"),
        (np.where(VOXELS == 3, np.inf, VOXELS).astype(np.float32), None, "1 voxels are NaN or infinite"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, voxels, affine, words):
    assert words in nifti_fault(save(tmp_path / "ct.nii.gz", voxels, affine))


def test_broken_files(tmp_path):
    data = save(tmp_path / "ct.nii", VOXELS).read_bytes()
    packed = save(tmp_path / "ct.nii.gz", VOXELS).read_bytes()
    for name, content, words in [
        ("a.nii", b"", "empty"),
        ("b.nii", data[:-10], "cut short"),
        ("c.nii", data[:100], "not a NIfTI header"),
        ("d.nii.gz", data, "not compressed"),
        ("e.nii", packed, "gzip without .gz"),
        ("f.nii.gz", packed[: len(packed) // 2], "cut short"),
        ("g.nii.gz", packed[:-40], "cut short"),
        ("h.nii.gz", packed[:12], "not a NIfTI header"),
    ]:
        (tmp_path / name).write_bytes(content)
        assert words in nifti_fault(tmp_path / name), name
