"""Masks of a CT volume as a DICOM segmentation (SEG), which archives and viewing stations keep beside the scan.

Needs highdicom, which nothing else here does: `pip install highdicom`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from integrations.dicom.errors import DicomError
from integrations.dicom.headers import read_series_headers
from scripts.files.atomic import atomic_path
from scripts.files.read_error import ReadError
from scripts.readers.volume import read_volume

MAX_LABEL = 64
"""Characters of a DICOM LO value."""
SERIES_NUMBER = 900
"""Above what scanners number."""
SAME_PLACE = 0.01  # mm


def write_segmentation(path: str | Path, masks: Mapping[str, np.ndarray], series: str | Path, model: str | None = None) -> None:
    """Write masks as one binary SEG with a segment each; empty planes are left out.

    Patient and study are those of the scan: the file holds names, as the scan does.

    Args:
        path: file to write.
        masks: label -> bool [X, Y, Z] on the grid that `scripts.readers.volume.read_volume` gives.
        series: the scan: a folder with one CT series of single-frame files, or one of its files.
        model: name and version of the model whose findings an expert has reviewed; None where masks are an expert's alone.

    Raises:
        DicomError: highdicom is not installed; no mask, an empty one, or one of another grid than the scan.
        ReadError: no readable series, or one of enhanced files.
    """
    highdicom = _highdicom()
    shape = read_volume(series).values.shape
    planes = _planes(series, shape)
    faults = [f"{label} marks no voxel" for label, mask in masks.items() if not mask.any()]
    faults += [f"{label} has shape {mask.shape}, the scan {shape}" for label, mask in masks.items() if mask.shape != shape]
    if faults or not masks:
        reason = "; ".join(faults) or "no mask is given"
        raise DicomError(f"{path}: cannot be written: {reason}; give masks on the grid of {series} that mark something")
    segments = [_segment(highdicom, number, label, model) for number, label in enumerate(masks, 1)]
    # A plane's rows run along the volume's Y, its columns along X.
    frames = np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1).astype(np.uint8)
    segmentation = highdicom.seg.Segmentation(
        source_images=planes,
        pixel_array=frames,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="medical-vlm-bundles",
        manufacturer_model_name=(model or "Label Studio")[:MAX_LABEL],
        software_versions=f"highdicom {highdicom.__version__}",
        device_serial_number="0",
        series_description="Reviewed findings",
    )
    with atomic_path(path) as temporary:
        segmentation.save_as(temporary)


def _segment(highdicom: Any, number: int, label: str, model: str | None) -> Any:
    kinds = highdicom.seg.SegmentAlgorithmTypeValues
    made_by: dict[str, Any] = {"algorithm_type": kinds.MANUAL}
    if model is not None:
        identification = highdicom.AlgorithmIdentificationSequence(
            name=model[:MAX_LABEL], family=codes.DCM.ArtificialIntelligence, version=model[:MAX_LABEL]
        )
        made_by = {"algorithm_type": kinds.SEMIAUTOMATIC, "algorithm_identification": identification}
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label[:MAX_LABEL],
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        **made_by,
    )


def _highdicom() -> Any:
    try:
        import highdicom
    except ImportError as error:
        raise DicomError(f"DICOM SEG needs highdicom ({error}); pip install highdicom, or keep the NIfTI masks") from error
    return highdicom


def _planes(series: str | Path, shape: tuple[int, ...]) -> list[Dataset]:
    """Slices of a series in the order of the volume's; of slices that are there twice the first."""
    headers = read_series_headers(series)
    if not headers:
        raise ReadError(series, "is no DICOM series; a segmentation names the files that it was made on")
    if any("PerFrameFunctionalGroupsSequence" in header for header in headers):
        raise ReadError(series, "is enhanced DICOM; a segmentation can be written for one file a slice: convert it first")
    normal = np.cross(*np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3))
    places = np.array([np.array(header.ImagePositionPatient, float) @ normal for header in headers])
    order = np.argsort(places, kind="stable")
    kept = order[np.diff(places[order], prepend=-np.inf) >= SAME_PLACE]
    if len(kept) != shape[2]:
        reason = f"has {len(kept)} slices of its own, the volume {shape[2]}"
        raise ReadError(series, f"{reason}; put the one series into a folder of its own")
    return [headers[index] for index in kept]
