"""What is wrong with a NIfTI volume, in one sentence."""

import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

NIFTI_ENDINGS = (".nii", ".nii.gz")
_GZIP_SIGNATURE = b"\x1f\x8b"


def nifti_fault(path: str | Path) -> str | None:
    """Say what keeps a NIfTI file from being a usable 3-D scalar volume, or return None when nothing does.

    Looks at the compression, the header, the affine and every voxel, so it takes as long as loading the volume.
    """
    path = Path(path)
    with path.open("rb") as file:
        start = file.read(len(_GZIP_SIGNATURE))
    if not start:
        return "the file is empty (0 bytes)"
    if (path.suffix == ".gz") != (start == _GZIP_SIGNATURE):
        return "the name ends in .gz but the content is not compressed" if path.suffix == ".gz" else "is gzip without .gz"
    try:
        image = nib.load(path)
    except (ImageFileError, HeaderDataError, ValueError, OSError, EOFError, zlib.error):
        return "the header is not a NIfTI header (bad magic, damaged or cut short)"
    if image.get_data_dtype().names or not np.issubdtype(image.get_data_dtype(), np.number):
        return f"holds colour voxels ({image.get_data_dtype()}) instead of one number a voxel"
    if np.issubdtype(image.get_data_dtype(), np.complexfloating):
        return "holds complex voxels"
    if image.ndim != 3:
        return f"is {image.ndim}-D {image.shape}; one 3-D volume is wanted"
    if not np.isfinite(image.affine).all() or np.linalg.det(image.affine) == 0:
        return "the affine holds NaN or is singular, so voxels have no place in space"
    try:
        voxels = np.asanyarray(image.dataobj)
    except (ValueError, OSError, EOFError, zlib.error):
        return f"is cut short: the header promises {image.shape} voxels of {image.get_data_dtype()}, the file holds fewer"
    bad = voxels.size - int(np.isfinite(voxels).sum())
    return f"{bad} voxels are NaN or infinite" if bad else None
