"""Volumes named on a command line, as records for an inference."""

from pathlib import Path

from scripts.cases.domain import Domain
from scripts.datalists.listing.records import datalist_records
from scripts.files.errors import UserError
from scripts.readers.nifti_faults import NIFTI_ENDINGS


def volume_records(volumes: str | Path, domain: str | Path | Domain, masks: str | Path | None = None) -> list[dict]:
    """Records for one volume, for all volumes of a folder, or for all volumes of a datalist, each with its anatomy mask.

    Args:
        volumes: a NIfTI file, a folder of one DICOM series, a folder of these, or a datalist (.json); of a prepared datalist the
            volumes that it was prepared from are taken.
        domain: what the volumes are.
        masks: the mask of a single volume, or a folder with NAME.nii.gz or NAME.nii for each volume's NAME; not for a datalist,
            whose records name their masks.

    Returns:
        records with volume_id, patient_id, image and anatomy_mask; of files and folders both ids are the name without ending.

    Raises:
        UserError: nothing there, a datalist of another domain, volumes without mask (all are named).
    """
    path = Path(volumes)
    if path.suffix == ".json":
        records = [_as_taken(record) for record in datalist_records(path, domain)]
    elif not path.exists():
        raise UserError(
            f"{volumes} does not exist: give a NIfTI file, a folder with a DICOM series, a folder of these, or a datalist"
        )
    else:
        found = [path] if path.is_file() or not _volumes_in(path) else _volumes_in(path)
        records = [_record(volume, masks) for volume in found]
    bare = [record["volume_id"] for record in records if "anatomy_mask" not in record]
    if bare:
        raise UserError(
            f"{len(bare)} volumes have no anatomy mask: {', '.join(bare[:20])}. Give --masks, a file or a folder with NAME.nii.gz "
            "for each; `python -m scripts preprocess-ct --segment` makes masks with TotalSegmentator"
        )
    return records


def _volumes_in(folder: Path) -> list[Path]:
    """NIfTI files of a folder, and its subfolders, each a DICOM series; nothing where the folder is a series itself."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() or entry.name.lower().endswith(NIFTI_ENDINGS))


def _record(volume: Path, masks: str | Path | None) -> dict:
    name = volume.name if volume.is_dir() else volume.name.removesuffix(".gz").removesuffix(".nii")
    record = {"volume_id": name, "patient_id": name, "image": str(volume.resolve())}
    given = Path(masks) if masks else None
    choices = [given] if given and given.is_file() else [given / f"{name}{ending}" for ending in NIFTI_ENDINGS] if given else []
    mask = next((choice for choice in choices if choice.is_file()), None)
    return {**record, "anatomy_mask": str(mask.resolve())} if mask else record


def _as_taken(record: dict) -> dict:
    """A record with the volume and mask that a scanner and a segmentation gave, whatever was prepared from them."""
    taken = {
        key: record[f"source_{short}"]
        for key, short in (("image", "image"), ("anatomy_mask", "mask"))
        if f"source_{short}" in record
    }
    return {**record, **taken}
