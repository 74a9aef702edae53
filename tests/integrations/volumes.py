"""Small volumes in every orientation, and predictions of them."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from scripts.cases.finding import Finding
from scripts.predictions.predictions import PredictionWriter
from scripts.readers.volume import read_volume
from tests.integrations.conftest import MODEL

SHAPE = (22, 18, 14)
"""Of a volume in RAS order: three sides, so that swapped axes are seen."""


def affine_of(turn: float = 0.0, spacing: tuple[float, float, float] = (1.5, 1.5, 3.0)) -> np.ndarray:
    """Voxel -> mm in RAS, turned about the left-right axis by some degrees."""
    angle = np.deg2rad(turn)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]) @ np.diag(spacing)
    affine[:3, 3] = (-30.0, 12.5, 100.25)
    return affine


def oriented(values: np.ndarray, affine: np.ndarray, axes: str) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels, stored in another order of axes, such as "LPS"."""
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(axes))
    return apply_orientation(values, turn), affine @ inv_ornt_aff(turn, values.shape)


def body(seed: int = 0) -> np.ndarray:
    """Hounsfield units [X, Y, Z] in RAS order: air, soft tissue brighter to the right, front and head, and noise."""
    x, y, z = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    tissue = np.round(-100 + 4 * x + 6 * y + 8 * z + np.random.default_rng(seed).integers(0, 4, SHAPE)).astype(np.int16)
    tissue[:2] = -1000
    return tissue


def organs() -> np.ndarray:
    """Two anatomies [X, Y, Z] in RAS order."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:10, 3:14, 2:12] = 1
    labels[12:19, 5:11, 4:9] = 2
    return labels


def lesion(seed: int) -> np.ndarray:
    """An irregular place, bool [X, Y, Z] in RAS order, in no way symmetrical."""
    place = np.zeros(SHAPE, bool)
    place[5:9, 4:7, 3:7] = np.random.default_rng(seed).random((4, 3, 4)) > 0.3
    place[13, 6, 8] = True
    return place


def write_volume(path: Path, axes: str = "RAS", turn: float = 0.0, spacing: tuple[float, float, float] = (1.5, 1.5, 3.0)) -> dict:
    """Write a volume and its anatomies; gives the record of a datalist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = affine_of(turn, spacing)
    mask = path.with_name(f"{path.name.split('.')[0]}_organs.nii.gz")
    for file, values in ((path, body()), (mask, organs())):
        nib.save(nib.Nifti1Image(*oriented(values, affine, axes)), file)
    return {"image": str(path), "anatomy_mask": str(mask)}


def write_series(folder: Path, turn: float = 0.0, **stated: Any) -> dict:
    """Write the same as a DICOM series, names in no order of place, with more attributes as stated; gives the record."""
    folder.mkdir(parents=True, exist_ok=True)
    values, affine = oriented(body(), affine_of(turn), "LPS")
    to_lps = np.diag([-1.0, -1.0, 1.0])
    spacing = nib.affines.voxel_sizes(affine)
    series, frame_of_reference = generate_uid(), generate_uid()
    for number in range(values.shape[2]):
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = CTImageStorage
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        header.Modality, header.SeriesInstanceUID, header.FrameOfReferenceUID = "CT", series, frame_of_reference
        header.StudyInstanceUID, header.SeriesNumber, header.InstanceNumber = stated.get("StudyInstanceUID", series), 1, number + 1
        header.PatientName, header.PatientID, header.PatientBirthDate, header.PatientSex = "Doe^Jane", "p0", "", "F"
        header.StudyDate = header.StudyTime = header.AccessionNumber = header.StudyID = ""
        header.PhotometricInterpretation, header.SamplesPerPixel = "MONOCHROME2", 1
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
        header.RescaleSlope, header.RescaleIntercept, header.SliceThickness = 1, 0, spacing[2]
        header.PixelSpacing = [spacing[1], spacing[0]]
        header.ImageOrientationPatient = [*(to_lps @ affine[:3, 0] / spacing[0]), *(to_lps @ affine[:3, 1] / spacing[1])]
        header.ImagePositionPatient = list(to_lps @ (affine @ [0, 0, number, 1])[:3])
        header.Rows, header.Columns = values.shape[1], values.shape[0]
        header.PixelData = values[:, :, number].T.astype("<i2").tobytes()
        for name, value in stated.items():
            setattr(header, name, value)
        header.save_as(folder / f"{number * 5 % 17:02d}.dcm", enforce_file_format=True)
    mask = folder.with_name(f"{folder.name}_organs.nii.gz")
    nib.save(nib.Nifti1Image(*oriented(organs(), affine_of(turn), "LPS")), mask)
    return {"image": str(folder), "anatomy_mask": str(mask)}


def write_predictions(folder: Path, volumes: dict[str, dict], axes: str = "LPS") -> None:
    """Write predictions as the ct bundle does: of each volume a finding with a place, two without; the first is least sure.

    Args:
        volumes: id -> its record.
        axes: order in which they are stored.
    """
    with PredictionWriter(folder, "ct", MODEL) as writer:
        for number, (name, record) in enumerate(volumes.items()):
            affine = read_volume(record["image"]).affine
            place = oriented(lesion(number), np.eye(4), axes)[0]
            writer.add(name, [record["image"]], findings_of(place, affine, confidence=0.7 + number / 100))


def findings_of(place: np.ndarray, affine: np.ndarray, confidence: float) -> list[Finding]:
    """A nodule at a place, bool [X, Y, Z] as the volume is stored, and two findings that are absent."""
    saliency = nib.Nifti1Image((place * 255).astype(np.uint8), affine)
    saliency.header.set_slope_inter(1 / 255, 0)
    axis = int(np.abs(affine[2, :3] / nib.affines.voxel_sizes(affine)).argmax())
    others = tuple(other for other in range(3) if other != axis)
    key_slice = int(place.sum(others).argmax())
    nodule = Finding("Lung nodule", None, "lung", 0.81, confidence, 0, key_slice=key_slice, saliency=saliency)
    return [nodule, *(Finding(label, None, "heart", 0.2, 0.8, 0) for label in ("Cardiomegaly", "Pericardial effusion"))]
