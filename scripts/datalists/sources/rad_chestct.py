"""Rad-ChestCT: chest CT with labels, without reports (Draelos et al., Medical Image Analysis 2021; Zenodo 6406114).

Layout as of the release of 2022, 3,630 of the 35,747 volumes:

    SOURCE_DIR/
      trn00001.npz, val....npz, tst....npz    anywhere below; key "ct", int16 [Z, Y, X] in HU, cut to -1000..1000
      CT_Scan_Metadata_Complete_35747.csv     NoteAcc_DEID (trn00001), MRN_DEID (the patient), ...
      imgtrain_Abnormality_and_Location_Labels.csv, imgvalid_..., imgtest_...
                                              NoteAcc_DEID, "<abnormality>*<location>" for 84 x 52 pairs, each 0 or 1

The labels were mined from the reports by rules (Draelos et al. 2021, SARLE); a pair is 1 where a sentence that tells of
something abnormal names both. The arrays hold no geometry: their owner resampled every volume to 0.8 mm and stored the
slices from head to feet, rows from front to back, columns from the patient's right to left (github.com/rachellea/
ct-volume-preprocessing; the columns of the owner's lung boxes say the same: sup_axis0min, ant_axis1min, rig_axis2min).
`convert_volume` writes that into NIfTI.
"""

import os
import zipfile
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
from tqdm import tqdm

from scripts.datalists.sources.ct_records import add_masks
from scripts.datalists.sources.tables import (
    SourceFaults,
    files_below,
    first_present,
    folder_of,
    keep_present,
    numbers,
    read_table,
    report_repeats,
)
from scripts.files.atomic import atomic_path
from scripts.files.read_error import ReadError

DOMAIN = "ct"
SPACING = 0.8
"""Millimetres between voxels, in every direction and every volume."""
TABLES = {"training": "imgtrain", "validation": "imgvalid", "test": "imgtest"}
METADATA = "CT_Scan_Metadata_Complete_35747.csv"
WORKERS = 4
"""Volumes converted at a time, each in about 0.5 GB."""
DOWNLOAD = "download it from zenodo.org/records/6406114"

_LOBES = "left_upper left_mid left_lower right_upper right_mid right_lower"
_LUNGS = f"lung left_lung right_lung {_LOBES}"
_LOCATIONS = f"""{_LUNGS} airways interstitial subpleural centrilobular hilum mediastinum diaphragm
heart mitral_valve aortic_valve tricuspid_valve pulmonary_valve aorta svc ivc pulmonary_artery pulmonary_vein
esophagus stomach intestine liver gallbladder kidney adrenal_gland spleen pancreas abdomen
thyroid breast axilla chest_wall rib spine bone
right left anterior posterior superior inferior medial lateral other_location"""
LUNG = tuple(_LUNGS.split())
ANYWHERE = tuple(_LOCATIONS.split())
"""All 52 locations: for abnormalities that only one organ can have, wherever the report's sentence places them."""

FINDINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # CT-RATE's labels, all but Mosaic attenuation pattern
    "Emphysema": (("emphysema",), ANYWHERE),
    "Atelectasis": (("atelectasis",), ANYWHERE),
    "Lung nodule": (("nodule", "nodulegr1cm", "scattered_nod"), LUNG),
    "Lung opacity": (("opacity",), ANYWHERE),
    "Pulmonary fibrotic sequela": (("fibrosis",), LUNG),
    "Pleural effusion": (("pleural_effusion",), ANYWHERE),
    "Peribronchial thickening": (("bronchial_wall_thickening",), ANYWHERE),
    "Consolidation": (("consolidation",), ANYWHERE),
    "Bronchiectasis": (("bronchiectasis",), ANYWHERE),
    "Interlobular septal thickening": (("septal_thickening",), ANYWHERE),
    "Cardiomegaly": (("cardiomegaly",), ANYWHERE),
    "Pericardial effusion": (("pericardial_effusion",), ANYWHERE),
    "Coronary artery wall calcification": (("coronary_artery_disease",), ANYWHERE),
    "Hiatal hernia": (("hernia",), ("diaphragm", "esophagus")),
    "Arterial wall calcification": (("calcification",), ("aorta",)),
    # others that the lung, heart, esophagus or aorta can have
    "Air trapping": (("air_trapping",), ANYWHERE),
    "Aspiration": (("aspiration",), ANYWHERE),
    "Bronchiolitis": (("bronchiolitis",), ANYWHERE),
    "Bronchitis": (("bronchitis",), ANYWHERE),
    "Ground-glass opacity": (("groundglass",), ANYWHERE),
    "Hemothorax": (("hemothorax",), ANYWHERE),
    "Honeycombing": (("honeycombing",), ANYWHERE),
    "Interstitial lung disease": (("interstitial_lung_disease",), ANYWHERE),
    "Lung cavitation": (("cavitation",), LUNG),
    "Lung granuloma": (("granuloma",), LUNG),
    "Lung infiltrate": (("infiltrate",), LUNG),
    "Lung mass": (("mass",), LUNG),
    "Lung scarring": (("scarring",), LUNG),
    "Mucous plugging": (("mucous_plugging",), ANYWHERE),
    "Pleural thickening": (("pleural_thickening",), ANYWHERE),
    "Pneumonia": (("pneumonia",), ANYWHERE),
    "Pneumonitis": (("pneumonitis",), ANYWHERE),
    "Pneumothorax": (("pneumothorax",), ANYWHERE),
    "Pulmonary edema": (("pulmonary_edema",), ANYWHERE),
    "Reticulation": (("reticulation",), ANYWHERE),
    "Tree-in-bud pattern": (("tree_in_bud",), ANYWHERE),
    "Tuberculosis": (("tuberculosis",), ANYWHERE),
    "Pericardial thickening": (("pericardial_thickening",), ANYWHERE),
    "Aortic aneurysm": (("aneurysm",), ("aorta",)),
    "Aortic atherosclerosis": (("atherosclerosis",), ("aorta",)),
    "Aortic dilation": (("dilation_or_ectasia",), ("aorta",)),
}
"""What each label is made of: 1 where any of the abnormalities is at any of the locations. The prompt table rad_chestct
asks for these. Published evaluations pool every abnormality over all locations (a thyroid nodule is a nodule there);
here those that other organs can have count in their organ alone."""


def build(
    source_dir: str | Path,
    converted: str | Path,
    owner_splits: bool = False,
    masks: str | Path | None = None,
    skip_missing: bool = False,
) -> dict[str, list[dict]]:
    """Read Rad-ChestCT and convert its volumes to NIfTI; every volume is in `test`.

    One record a volume: `volume_id` is NoteAcc_DEID, `patient_id` MRN_DEID, `labels` those of `FINDINGS`. There are no
    reports, so nothing here trains a vision-language model.

    Args:
        source_dir: the data set's folder.
        converted: folder for the volumes as <volume_id>.nii.gz, about as large as their .npz; those that are there
            already are not made again, and their .npz is not needed any more.
        owner_splits: the owner's training, validation and test set instead, as supervised work uses them.
        masks: folder of anatomy masks on the converted volumes' grid, <volume_id>.nii.gz anywhere below.
        skip_missing: leave out volumes that are not on disk, instead of stopping.

    Raises:
        SourceError: missing tables or columns, labels of other values, volumes without a patient, missing or damaged
            volumes; all at once.
    """
    source_dir, converted = folder_of(source_dir), folder_of(converted)
    faults = SourceFaults("rad-chestct", source_dir)
    patients = _patients(source_dir, faults)
    labels = {split: _labels(source_dir, prefix, faults) for split, prefix in TABLES.items()}
    _report_strangers(labels, patients, faults)
    faults.stop_if_any()

    found = {Path(path).stem: path for path in files_below(source_dir, (".npz",), "looking for volumes")}
    splits: dict[str, list[dict]] = {split: [] for split in TABLES}
    for split, table in labels.items():
        for name, row in table.items():
            image = found.get(name, str(source_dir / f"{name}.npz"))
            record = {"volume_id": name, "patient_id": patients[name], "image": image, "labels": row}
            splits[split if owner_splits else "test"].append(record)
    done = {name for table in labels.values() for name in table if _nifti(converted, name).exists()}
    present = {r["image"] for listed in splits.values() for r in listed if r["volume_id"] in done} | set(found.values())
    for split, listed in splits.items():
        splits[split] = keep_present(listed, present, "image", faults, skip_missing, "finish the download of the .npz files")
    faults.stop_if_any()

    records = [record for listed in splits.values() for record in listed]
    _convert_all([record for record in records if record["volume_id"] not in done], converted, faults)
    for record in records:
        record["image"] = str(_nifti(converted, record["volume_id"]))
    if masks is not None:
        add_masks(records, folder_of(masks), faults)
    faults.stop_if_any()
    return splits


def convert_volume(source: str | Path, target: str | Path) -> None:
    """Write one of Rad-ChestCT's arrays as a NIfTI volume, int16 in HU.

    The array's geometry is the one that the module's docstring tells. The volume's axes point to the patient's left, to
    the back and to the head (LPS), voxels are 0.8 mm apart, and the first one stands at the origin, because the place
    in the scanner is not known.

    Args:
        source: .npz file with the array "ct", int16 [Z, Y, X] in HU.
        target: .nii.gz file; whole or not there.

    Raises:
        ReadError: the file is damaged or holds another thing; with the file and what was found.
    """
    try:
        with np.load(source, allow_pickle=False) as arrays:
            ct = arrays["ct"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        # TypeError: a lone array, which is no archive.
        raise ReadError(source, f'holds no array "ct" that can be read ({type(error).__name__}: {error})') from error
    if ct.ndim != 3 or not ct.size or ct.dtype != np.int16:
        raise ReadError(source, f'"ct" is {ct.dtype} {ct.shape}; int16 [Z, Y, X] in HU is wanted')
    affine = np.diag([-SPACING, -SPACING, SPACING, 1])  # NIfTI counts towards right, front and head
    image = nib.Nifti1Image(ct[::-1].transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, "scanner")
    image.set_sform(affine, "scanner")
    with atomic_path(target) as temporary:
        nib.save(image, temporary)


def _nifti(converted: Path, name: str) -> Path:
    return converted / f"{name}.nii.gz"


def _patients(source_dir: Path, faults: SourceFaults) -> dict[str, str]:
    """Patient by volume, of the whole data set."""
    path = first_present(source_dir, (METADATA,), faults, DOWNLOAD)
    table = read_table(path, ("NoteAcc_DEID", "MRN_DEID"), faults)
    report_repeats(table, "NoteAcc_DEID", path, faults)
    return dict(zip(table["NoteAcc_DEID"], table["MRN_DEID"], strict=True))


def _labels(source_dir: Path, prefix: str, faults: SourceFaults) -> dict[str, dict[str, int]]:
    """Labels by volume, from one of the owner's three tables."""
    path = first_present(source_dir, (f"{prefix}_Abnormality_and_Location_Labels.csv",), faults, DOWNLOAD)
    pairs = {
        label: [f"{abnormality}*{location}" for abnormality in abnormalities for location in locations]
        for label, (abnormalities, locations) in FINDINGS.items()
    }
    columns = list(dict.fromkeys(pair for listed in pairs.values() for pair in listed))
    table = read_table(path, ("NoteAcc_DEID", *columns), faults)
    report_repeats(table, "NoteAcc_DEID", path, faults)
    values = numbers(table, columns, "NoteAcc_DEID", path, faults)
    other = np.isfinite(values) & ~np.isin(values, (0, 1))
    for column in np.flatnonzero(other.any(axis=0)):
        rows = np.flatnonzero(other[:, column])
        records = [f"{table['NoteAcc_DEID'][row]} ({values[row, column]:g})" for row in rows]
        faults.add(path, f"column {columns[column]} is neither 0 nor 1", "take the owner's own table, unedited", records)
    index = {column: number for number, column in enumerate(columns)}
    found = [(values[:, [index[pair] for pair in listed]] == 1).any(axis=1) for listed in pairs.values()]
    rows = zip(table["NoteAcc_DEID"], np.array(found, int).T.tolist(), strict=True)
    return {name: dict(zip(pairs, row, strict=True)) for name, row in rows}


def _report_strangers(labels: dict[str, dict], patients: dict[str, str], faults: SourceFaults) -> None:
    """Note volumes that have no patient, and those that are in two of the owner's sets."""
    names = [name for table in labels.values() for name in table]
    hint = "take all tables of one release, unedited"
    nameless = [name for name in names if not patients.get(name)]
    if nameless and patients:
        faults.add(METADATA, "MRN_DEID is missing for labelled volumes", hint, nameless)
    several = [name for name, count in Counter(names).items() if count > 1]
    if several:
        faults.add("img*_Abnormality_and_Location_Labels.csv", "volumes are in several tables", hint, several)


def _convert_all(records: list[dict], converted: Path, faults: SourceFaults) -> None:
    """Convert volumes side by side; those that cannot be read are one fault, after the others are done."""

    def convert(record: dict) -> str | None:
        try:
            convert_volume(record["image"], _nifti(converted, record["volume_id"]))
        except ReadError as error:
            return f"{os.path.basename(error.path)} ({error.reason})"
        return None

    # Threads, because packing and unpacking release Python's lock.
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        told = list(tqdm(pool.map(convert, records), "converting volumes", len(records), disable=not records, leave=False))
    broken = [fault for fault in told if fault]
    if broken:
        faults.add(faults.folder, "volumes cannot be converted", "download them again; the others are done", broken)
