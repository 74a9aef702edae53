"""Indiana University chest X-rays of Open-i, films with reports (Demner-Fushman et al., JAMIA 2016; openi.nlm.nih.gov).

Two layouts of the same 3,955 reports and 7,470 films are read, as of 2024:

    SOURCE_DIR/                                   NLM: NLMCXR_reports.tgz and NLMCXR_png.tgz, extracted
      ecgen-radiology/1.xml                       AbstractText Label=COMPARISON | INDICATION | FINDINGS | IMPRESSION,
                                                  parentImage id="CXR1_1_IM-0001-4001", one a film
      NLMCXR_png/CXR1_1_IM-0001-4001.png          (or the films beside ecgen-radiology/)
    SOURCE_DIR/                                   Kaggle: raddar/chest-xrays-indiana-university
      indiana_reports.csv                         uid, ..., indication, comparison, findings, impression
      indiana_projections.csv                     uid, filename, projection (Frontal | Lateral)
      images/images_normalized/1_IM-0001-4001.dcm.png

NLM's files do not say which film is frontal (the caption of both is "Xray Chest PA and Lateral", and the order
differs), only Kaggle's table does; laid into NLM's folder it serves there too.
"""

import logging
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
from tqdm import tqdm

from scripts.datalists.sources.tables import (
    OWN_SPLIT,
    SourceFaults,
    files_below,
    first_present,
    folder_of,
    keep_present,
    read_table,
    report_repeats,
    report_unknown,
)
from scripts.datalists.splits import split_by_patient

DOMAIN = "cxr"
logger = logging.getLogger(__name__)

SECTIONS = ("comparison", "indication", "findings", "impression")
VIEWS = ("Frontal", "Lateral")
IMAGE_NUMBER = re.compile(r"IM-.+")
DOWNLOAD = "download NLMCXR_reports.tgz and NLMCXR_png.tgz from openi.nlm.nih.gov and extract both, or Kaggle's copy"


def build(source_dir: str | Path, frontal_only: bool = True, seed: int = 0, skip_missing: bool = False) -> dict[str, list[dict]]:
    """Read the Indiana University films and reports, split 60/20/20 by patient.

    One record a film; `study_id` is the report's number where it has one film, else `<number>_<film>`. The release
    holds one report a person, so the report's number is the patient too. `report` has the sections that are there as
    "FINDINGS: ..." lines. Reports with neither findings nor impression are left out.

    Args:
        source_dir: folder of either layout.
        frontal_only: frontal films alone; needs indiana_projections.csv.
        seed: of the split.
        skip_missing: leave out films that are not on disk, instead of stopping.

    Raises:
        SourceError: neither layout, missing columns, XML that does not parse or declares entities, missing films; all
            at once.
    """
    source_dir = folder_of(source_dir)
    faults = SourceFaults("openi", source_dir)
    projections = _read_projections(source_dir, faults)
    views = dict(zip(projections["film"], projections["projection"], strict=True))
    if (source_dir / "indiana_reports.csv").exists():
        reports, films = _read_kaggle(source_dir, projections, faults)
    else:
        reports, films = _read_nlm(source_dir, faults)
    _report_missing_projections(source_dir, frontal_only, faults)
    faults.stop_if_any()

    found = {os.path.basename(path): path for path in files_below(source_dir, (".png",), "looking for films")}
    if frontal_only:
        films = {uid: [n for n in names if views.get(_film_key(uid, n)) == "Frontal"] for uid, names in films.items()}
    unsaid = [uid for uid in films if not reports[uid]]
    logger.info("openi: %d of %d reports have neither findings nor impression", len(unsaid), len(films))
    records = []
    for uid, names in films.items():
        for name in names if reports[uid] else ():
            study = uid if len(names) == 1 else f"{uid}_{_film_key(uid, name)[1]}"
            image = found.get(name, str(source_dir / name))
            records.append({"study_id": study, "patient_id": uid, "image": image, "report": reports[uid]})
    records = keep_present(records, set(found.values()), "image", faults, skip_missing, "extract all of the films")
    faults.stop_if_any()
    return split_by_patient(records, OWN_SPLIT, seed)


def _film_key(uid: str, name: str) -> tuple[str, str]:
    """Report number and film number, alike in both layouts: CXR1_1_IM-0001-4001.png and 1_IM-0001-4001.dcm.png."""
    number = IMAGE_NUMBER.search(name.removesuffix(".png").removesuffix(".dcm"))
    return uid, number[0] if number else name


def _read_projections(source_dir: Path, faults: SourceFaults) -> pd.DataFrame:
    """uid, filename, projection and film (see `_film_key`); no rows where the folder has no indiana_projections.csv."""
    path = source_dir / "indiana_projections.csv"
    table = read_table(path if path.exists() else None, ("uid", "filename", "projection"), faults)
    report_unknown(table, "projection", "filename", VIEWS, path, faults)
    table["film"] = [_film_key(uid, name) for uid, name in zip(table["uid"], table["filename"], strict=True)]
    return table


def _report_missing_projections(source_dir: Path, frontal_only: bool, faults: SourceFaults) -> None:
    """Kaggle's layout cannot do without its table of films, NLM's only for frontal films."""
    if (source_dir / "indiana_projections.csv").exists():
        return
    hint = "put Kaggle's indiana_projections.csv into the folder"
    if (source_dir / "indiana_reports.csv").exists():
        faults.add(source_dir / "indiana_projections.csv", "not found", hint)
    elif frontal_only:
        fault = "not found, and it alone says which films are frontal"
        faults.add(source_dir / "indiana_projections.csv", fault, f"{hint}, or give --frontal_only=False")


def _read_kaggle(source_dir: Path, projections: pd.DataFrame, faults: SourceFaults) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Reports and films by report number, from Kaggle's tables."""
    path = source_dir / "indiana_reports.csv"
    table = read_table(path, ("uid", *SECTIONS), faults)
    report_repeats(table, "uid", path, faults)
    unreported = projections["filename"][~projections["uid"].isin(table["uid"])]
    if len(unreported) and len(table):
        faults.add(path, "films of indiana_projections.csv have no report", "take both tables of one download", unreported)
    rows = table[list(SECTIONS)].to_dict("records")
    reports = {uid: _report(sections) for uid, sections in zip(table["uid"], rows, strict=True)}
    return reports, projections.groupby("uid", sort=False)["filename"].agg(list).to_dict()


def _read_nlm(source_dir: Path, faults: SourceFaults) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Reports and films by report number, from NLM's XML files in the order of their numbers."""
    folder = first_present(source_dir, ("ecgen-radiology", "NLMCXR_reports/ecgen-radiology"), faults, DOWNLOAD)
    if folder is None:
        return {}, {}
    paths = sorted(folder.glob("*.xml"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        faults.add(folder, "no .xml file in it", DOWNLOAD)
    reports, films, broken = {}, {}, []
    for path in tqdm(paths, "reading reports", leave=False):
        try:
            root = _parse(path)
        except ValueError as error:
            broken.append(f"{path.name} ({error})")
            continue
        texts = {node.get("Label", "").lower(): "".join(node.itertext()) for node in root.iter("AbstractText")}
        reports[path.stem] = _report(texts)
        films[path.stem] = [f"{node.get('id')}.png" for node in root.iter("parentImage") if node.get("id")]
    if broken:
        faults.add(folder, "reports cannot be read", "extract NLMCXR_reports.tgz again", broken)
    return reports, films


def _parse(path: Path) -> ElementTree.Element:
    """Parse XML that declares nothing: a DOCTYPE can define entities that grow without bound."""
    data = path.read_bytes()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("it has a DOCTYPE or an entity, which the release has not")
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(f"not XML: {error}") from error


def _report(sections: dict[str, str]) -> str:
    """Sections that are there, one a line; "" where neither findings nor impression is."""
    texts = {name: " ".join(sections.get(name, "").split()) for name in SECTIONS}
    if not texts["findings"] and not texts["impression"]:
        return ""
    return "\n".join(f"{name.upper()}: {text}" for name, text in texts.items() if text)
