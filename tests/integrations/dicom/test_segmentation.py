"""DICOM segmentations: read back by their own headers, they mark the same places of the patient."""

import sys

import numpy as np
import pytest
from pydicom import dcmread

from integrations.dicom.errors import DicomError
from integrations.dicom.segmentation import write_segmentation
from scripts.files.read_error import ReadError
from scripts.readers.volume import read_volume
from tests.integrations.volumes import lesion, organs, oriented, write_series, write_volume


@pytest.fixture
def series(tmp_path):
    pytest.importorskip("highdicom")
    return write_series(tmp_path / "series", turn=14.0, StudyID="7")


def stored(values: np.ndarray) -> np.ndarray:
    return oriented(values, np.eye(4), "LPS")[0]


def marked(file, number: int, affine: np.ndarray) -> set[tuple[int, ...]]:
    """Voxels that a segment marks, by what the SEG says on where its frames lie, in the grid of an affine (RAS)."""
    shared = file.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    found = set()
    for frame, own in zip(file.pixel_array, file.PerFrameFunctionalGroupsSequence, strict=True):
        named = own if "SegmentIdentificationSequence" in own else shared
        if named.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        corner = np.array(own.PlanePositionSequence[0].ImagePositionPatient, float)
        for row, column in np.argwhere(frame):
            across, down = column * measures.PixelSpacing[1], row * measures.PixelSpacing[0]
            place = corner + across * cosines[0] + down * cosines[1]
            voxel = np.linalg.solve(affine, [-place[0], -place[1], place[2], 1])[:3]
            assert np.abs(voxel - np.round(voxel)).max() < 1e-3
            found.add(tuple(np.round(voxel).astype(int).tolist()))
    return found


def test_segments_mark_the_voxels_of_their_masks(series, tmp_path):
    masks = {"Lung nodule": stored(lesion(3)), "Pericardial effusion": stored(organs() == 2)}
    write_segmentation(tmp_path / "out.dcm", masks, series["image"], "bundle 0.1.0 (aaaaaaaa)")
    file, affine = dcmread(tmp_path / "out.dcm"), read_volume(series["image"]).affine
    for number, mask in enumerate(masks.values(), 1):
        assert marked(file, number, affine) == set(map(tuple, np.argwhere(mask).tolist()))
    scan = dcmread(next((tmp_path / "series").iterdir()))
    for key in ("FrameOfReferenceUID", "StudyInstanceUID", "PatientID", "PatientName", "StudyID"):
        assert file.get(key) == scan.get(key)
    assert file.Modality == "SEG" and file.SeriesInstanceUID != scan.SeriesInstanceUID
    assert [segment.SegmentLabel for segment in file.SegmentSequence] == list(masks)
    (made_by,) = file.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert made_by.AlgorithmName == "bundle 0.1.0 (aaaaaaaa)"


def test_a_file_of_a_series_stands_for_it_and_an_experts_own_masks_name_no_model(series, tmp_path):
    one = sorted((tmp_path / "series").iterdir())[2]
    write_segmentation(tmp_path / "out.dcm", {"Cyst": stored(lesion(1))}, one)
    file = dcmread(tmp_path / "out.dcm")
    assert marked(file, 1, read_volume(one).affine) == set(map(tuple, np.argwhere(stored(lesion(1))).tolist()))
    assert file.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"


def test_masks_that_cannot_be_written_are_named(series, tmp_path):
    masks = {"Nodule": np.zeros_like(stored(lesion(0))), "Cyst": lesion(0)[:12]}
    with pytest.raises(DicomError, match=r"Nodule marks no voxel; Cyst has shape \(12, 18, 14\), the scan \(22, 18, 14\)"):
        write_segmentation(tmp_path / "out.dcm", masks, series["image"])
    with pytest.raises(DicomError, match="no mask is given"):
        write_segmentation(tmp_path / "out.dcm", {}, series["image"])
    assert not (tmp_path / "out.dcm").exists()


def test_what_is_no_dicom_is_refused(series, tmp_path):
    record = write_volume(tmp_path / "nifti" / "scan.nii.gz", "LPS")
    with pytest.raises(ReadError, match="is no DICOM series"):
        write_segmentation(tmp_path / "out.dcm", {"Cyst": stored(lesion(1))}, record["image"])


def test_without_highdicom_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(DicomError, match="pip install highdicom"):
        write_segmentation(tmp_path / "out.dcm", {"Cyst": lesion(1)}, tmp_path)
