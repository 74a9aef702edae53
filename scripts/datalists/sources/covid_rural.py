"""COVID Rural: opacities outlined on the films of COVID-19-AR (Desai et al. 2020; Tang et al. 2020, medRxiv 20215483).

TCIA distributes COVID-19-AR as DICOM without outlines. Tang et al. outlined the films and distribute these and the
films as JPEG in the folder covid_rural_annot of github.com/haimingt/opacity_segmentation_covid_chest_X_ray. Layout as
of its commit 28cc682:

    SOURCE_DIR/ (the repository, or its folder covid_rural_annot/)
      jpgs/COVID-19-AR-16406488_01-17-2012-XR.jpg     <patient>_<study date, shifted>-XR.jpg, 224 films
      pngs_masks/COVID-19-AR-16406488_01-17-2012-XR.png   0 background, 1 opacity, 193 masks
      covid_rural_radiologist_notes.csv, covid_rural_patient_info.csv, jpgs/jsons/*.json (labelme outlines), ...

The notes are not read: they name a patient and the days since diagnosis, the films a shifted date, and nothing ties the
two.
"""

import os
import re
from pathlib import Path

import cv2
from tqdm import tqdm

from scripts.cases.domain import read_domain
from scripts.datalists.sources.tables import SourceFaults, first_present, folder_of

DOMAIN = "cxr"
DOWNLOAD = (
    "clone github.com/haimingt/opacity_segmentation_covid_chest_X_ray and give it or its covid_rural_annot; "
    "the DICOM files of TCIA's COVID-19-AR have no outlines"
)
FILM = re.compile(r"(?P<patient>COVID-19-AR-\d+)_.+\.jpg", re.IGNORECASE)


def build(source_dir: str | Path) -> dict[str, list[dict]]:
    """Read COVID Rural; every film is in `test`.

    One record a film, `study_id` its name without .jpg. A film whose mask is not empty has one finding: label
    "Pneumonia" (all patients had COVID-19, and published zero-shot figures prompt for pneumonia) with `mask`. Films
    without a mask or with an empty one have no finding, and no label either: they were not all looked at by the
    annotators.

    Args:
        source_dir: the repository or its folder covid_rural_annot.

    Raises:
        SourceError: missing folders, films of other names, masks without a film, unreadable masks; all at once.
    """
    source_dir = folder_of(source_dir)
    if (source_dir / "covid_rural_annot").is_dir():
        source_dir = source_dir / "covid_rural_annot"
    faults = SourceFaults("covid-rural", source_dir)
    films_dir = first_present(source_dir, ("jpgs",), faults, DOWNLOAD)
    masks_dir = first_present(source_dir, ("pngs_masks",), faults, DOWNLOAD)
    faults.stop_if_any()

    films = sorted(name for name in os.listdir(films_dir) if name.lower().endswith(".jpg"))
    masks = {Path(name).stem: masks_dir / name for name in sorted(os.listdir(masks_dir)) if name.lower().endswith(".png")}
    named = {film: FILM.fullmatch(film) for film in films}
    strange = [film for film, match in named.items() if match is None]
    if strange or not films:
        fault = "films are not named COVID-19-AR-<number>_<date>-XR.jpg" if strange else "no film in it"
        faults.add(films_dir, fault, DOWNLOAD, strange)
    lonely = sorted(set(masks) - {Path(film).stem for film in films})
    if lonely:
        faults.add(masks_dir, "masks without a film in jpgs", "check out the whole repository", lonely)
    outlined = _not_empty(masks, faults)
    faults.stop_if_any()

    records = []
    for film, match in named.items():
        study = Path(film).stem
        record = {"study_id": study, "patient_id": match["patient"], "image": str(films_dir / film)}
        if study in outlined:
            finding = {"label": "Pneumonia", "text": read_domain(DOMAIN).phrase_for("Pneumonia"), "mask": str(masks[study])}
            record["findings"] = [finding]
        records.append(record)
    return {"training": [], "validation": [], "test": records}


def _not_empty(masks: dict[str, Path], faults: SourceFaults) -> set[str]:
    """Studies whose mask has a pixel that is not 0; masks that cannot be read are a fault."""
    filled, unreadable = set(), []
    for study, path in tqdm(masks.items(), "reading masks", leave=False):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if mask is None:
            unreadable.append(path.name)
        elif mask.any():
            filled.add(study)
    if unreadable:
        faults.add(next(iter(masks.values())).parent, "masks cannot be read as PNG", "check them out again", unreadable)
    return filled
