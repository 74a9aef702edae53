"""Makers of tiny but faithful copies of public data sets, and the check that what a source returns is a datalist."""

import gzip
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from scripts.datalists.datalist import check_datalist, load_datalist, save_datalist


def _pixels(shape: tuple[int, int]) -> np.ndarray:
    """A slope, because a constant image is refused."""
    return np.linspace(0, 255, shape[0] * shape[1]).reshape(shape).astype(np.uint8)


@pytest.fixture
def film():
    """film(path, shape=(48, 40)): writes a grey image as the path's suffix says, .dcm too."""

    def write(path: Path, shape: tuple[int, int] = (48, 40)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".dcm":
            _write_dicom(path, _pixels(shape))
        else:
            assert cv2.imwrite(str(path), _pixels(shape))
        return path

    return write


def _write_dicom(path: Path, pixels: np.ndarray) -> None:
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.Modality, data.PhotometricInterpretation = "DX", "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OB"
    data.save_as(path, enforce_file_format=True)


@pytest.fixture
def table():
    """table(path, *lines): writes lines as csv, compressed where the name ends in .gz."""

    def write(path: Path, *lines: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "\n".join(lines) + "\n"
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
        return path

    return write


@pytest.fixture
def assert_datalist(tmp_path):
    """assert_datalist(splits): they can be saved, have no fault, and come back with the same ids and images."""

    def check(splits: dict[str, list[dict]]) -> None:
        path = tmp_path / "datalist" / "datalist.json"
        save_datalist(path, "cxr", splits, name="tiny", description="a tiny copy")
        assert check_datalist(path, progress=False) == []
        loaded = load_datalist(path)
        for split, records in splits.items():
            if not records:
                continue
            kept = [(record["study_id"], record["image"]) for record in loaded.split(split)]
            assert kept == [(record["study_id"], record["image"]) for record in records]

    return check
