"""MS-CXR: phrases of MIMIC-CXR reports with the boxes they describe (Boecking et al., ECCV 2022; PhysioNet).

Layout as of MS-CXR 0.1 and 1.1.0:

    SOURCE_DIR/MS_CXR_Local_Alignment_v1.0.0.csv   (release 0.1) or
    SOURCE_DIR/MS_CXR_Local_Alignment_v1.1.0.csv   (release 1.1.0; has `split`: train | val | test)
        dicom_id, category_name, label_text, path, x, y, w, h, image_width, image_height [, split]
    IMAGES_DIR/files/p10/p10000032/s50414267/<dicom_id>.jpg   MIMIC-CXR-JPG, which `path` refers to

The COCO json of the same name holds the same annotations and is not read.
"""

import logging
from pathlib import Path

import pandas as pd

from scripts.datalists.sources.tables import SourceFaults, boxes_of, folder_of, keep_present, read_table, report_unknown

DOMAIN = "cxr"
logger = logging.getLogger(__name__)

COLUMNS = ("dicom_id", "category_name", "label_text", "path", "x", "y", "w", "h")
SPLITS = {"train": "training", "val": "validation", "test": "test"}
IMAGE_PATH = r"^(?:.*/)?files/p\d\d/p(?P<patient>\d+)/s(?P<study>\d+)/[^/]+\.jpg$"


def build(
    source_dir: str | Path, images_dir: str | Path, official_splits: bool = True, skip_missing: bool = False
) -> dict[str, list[dict]]:
    """Read MS-CXR's phrases and boxes; one record a film, one finding a phrase of a film.

    Boxes of one film that share phrase and category are one finding: `label` is the category, `text` the phrase,
    `boxes` x, y, w, h in native pixels. `study_id` is built as in mimic-cxr from the films of this table.

    Args:
        source_dir: MS-CXR's folder; of several tables the newest is read.
        images_dir: MIMIC-CXR-JPG's folder.
        official_splits: use the table's split where it has one (1.1.0); False, and always for 0.1, puts every film into
            `test`, which is how published zero-shot figures are computed.
        skip_missing: leave out films that are not on disk, instead of stopping.

    Raises:
        SourceError: missing table or columns, values of another kind, missing images; all at once.
    """
    source_dir, images_dir = folder_of(source_dir), folder_of(images_dir)
    faults = SourceFaults("ms-cxr", source_dir)
    found = sorted(source_dir.glob("MS_CXR_Local_Alignment_v*.csv"))
    if not found:
        hint = "download it from physionet.org/content/ms-cxr"
        faults.add(source_dir / "MS_CXR_Local_Alignment_v1.1.0.csv", "not found (nor v1.0.0)", hint)
    if not (images_dir / "files").is_dir():
        faults.add(images_dir / "files", "not found", "give MIMIC-CXR-JPG's folder as images_dir")
    path = found[-1] if found else None
    table = read_table(path, COLUMNS, faults, optional=("split",))
    faults.stop_if_any()
    logger.info("ms-cxr: read %s", path)
    table = _checked(table, path, images_dir, official_splits, faults)
    faults.stop_if_any()

    records = _records(table)
    # About a thousand films: asking for each is quicker than walking 227,835 folders.
    present = {record["image"] for record in records if Path(record["image"]).is_file()}
    records = keep_present(records, present, "image", faults, skip_missing, "download these films of MIMIC-CXR-JPG")
    faults.stop_if_any()
    splits: dict[str, list[dict]] = {name: [] for name in SPLITS.values()}
    for record in records:
        splits[SPLITS[record.pop("split")]].append(record)
    return splits


def _checked(table: pd.DataFrame, path: Path, images_dir: Path, official_splits: bool, faults: SourceFaults) -> pd.DataFrame:
    """The table with box, patient, study, image and split in columns of their own."""
    table["box"] = pd.Series(boxes_of(table, ("x", "y", "w", "h"), "dicom_id", path, faults), dtype=object)
    if not official_splits or "split" not in table:
        table["split"] = "test"
    report_unknown(table, "split", "dicom_id", SPLITS, path, faults)
    mixed = table.groupby("dicom_id")["split"].nunique()
    if (mixed > 1).any():
        faults.add(path, "a film is in two splits", "take the owner's own table, unedited", mixed.index[mixed > 1])
    blank = table["label_text"].str.strip().eq("") | table["category_name"].str.strip().eq("")
    if blank.any():
        faults.add(path, "label_text or category_name is blank", "take the owner's own table", table["dicom_id"][blank])

    parts = table["path"].str.extract(IMAGE_PATH)
    bad = parts["patient"].isna()
    if bad.any():
        faults.add(path, "path is not files/pNN/pPATIENT/sSTUDY/DICOM.jpg", "take the owner's own table", table["path"][bad])
    images = f"{images_dir}/files/" + table["path"].str.split("files/", n=1).str[-1]
    return table.assign(patient=parts["patient"], study=parts["study"], image=images)


def _records(table: pd.DataFrame) -> list[dict]:
    """One record a film in the table's order, with `split`."""
    films = table.drop_duplicates("dicom_id").set_index("dicom_id")
    several = films["study"].duplicated(keep=False)
    records = {
        dicom_id: {
            "study_id": f"{film.study}_{dicom_id}" if several[dicom_id] else film.study,
            "patient_id": film.patient,
            "image": film.image,
            "split": film.split,
            "findings": [],
        }
        for dicom_id, film in zip(films.index, films.itertuples(index=False), strict=True)
    }
    keys = ["dicom_id", "category_name", "label_text"]
    for (dicom_id, category, phrase), boxes in table.groupby(keys, sort=False)["box"]:
        records[dicom_id]["findings"].append({"label": category, "text": phrase, "boxes": list(boxes)})
    return list(records.values())
