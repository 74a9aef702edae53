"""Public data sets in their owners' layout, made of the real films that lie in the shared folder."""

import csv
import json
import os
import re
from pathlib import Path

import cv2

NIH_ENTRY = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
NIH_BOX = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
NOTES_COLUMNS = [
    *("patientid", "offset", "sex", "age", "finding", "RT_PCR_positive", "survival", "intubated", "intubation_present"),
    *("went_icu", "in_icu", "needed_supplemental_O2", "extubated", "temperature", "pO2_saturation", "leukocyte_count"),
    *("neutrophil_count", "lymphocyte_count", "view", "modality", "date", "location", "folder", "filename", "doi", "url"),
    *("license", "clinical_notes", "other_notes", ""),
]


def nih_entries(entries: dict[str, tuple[str, int]]) -> list[str]:
    """Lines of Data_Entry_2017.csv from {file name: (labels, patient)}."""
    return [f"{name},{labels},0,{patient},57,M,PA,2682,2749,0.143,0.143" for name, (labels, patient) in entries.items()]


def lay_out_nih(shared_data: Path, folder: Path) -> int:
    """ChestX-ray14's folder with the 40 films at hand, 32 of them with boxes; gives the number of boxes."""
    entries, boxes = {}, []
    (folder / "images").mkdir(parents=True)
    for row in _manifest(shared_data, "nih/"):
        name = row["file"].removeprefix("nih/").replace(".jpg", ".png")
        pixels = cv2.imread(str(shared_data / "cxr" / row["file"]), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(folder / "images" / name), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        labels = "|".join(json.loads(row["labels"])).replace("Infiltrate", "Infiltration")
        entries[name] = (labels, int(name[:8]))
        for box in json.loads(row["boxes"]):
            x, y = box["xmin"], box["ymin"]
            boxes.append(f"{name},{box['label']},{x},{y},{box['xmax'] - x},{box['ymax'] - y},,,")
    boxed = {line.split(",")[0] for line in boxes}
    _write(folder / "Data_Entry_2017.csv", NIH_ENTRY, *nih_entries(entries))
    _write(folder / "BBox_List_2017.csv", NIH_BOX, *boxes)
    _write(folder / "test_list.txt", *sorted(boxed))
    _write(folder / "train_val_list.txt", *sorted(set(entries) - boxed))
    return len(boxes)


def lay_out_case_notes(shared_data: Path, folder: Path) -> list[tuple[str, ...]]:
    """The case notes' repository with the 40 films at hand; gives (patient, finding, view, folder, film, note) of each."""
    (folder / "images").mkdir(parents=True)
    cases = []
    for row in _manifest(shared_data, "covid_cohen/"):
        name = row["file"].removeprefix("covid_cohen/")
        os.symlink(shared_data / "cxr" / row["file"], folder / "images" / name)
        patient = row["patient_or_exam"].removeprefix("cohen_")
        view = re.match("view ([^;]+);", row["notes"])[1]
        cases.append((patient, "/".join(json.loads(row["labels"])), view, "images", name, row["text"]))
    write_case_notes(folder / "metadata.csv", cases)
    return cases


def write_case_notes(path: Path, cases: list[tuple[str, ...]]) -> None:
    """metadata.csv from (patient, finding, view, folder, film, note) of each film."""
    keys = ("patientid", "finding", "view", "folder", "filename", "clinical_notes")
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, NOTES_COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(dict(zip(keys, case, strict=True)) for case in cases)


def _manifest(shared_data: Path, prefix: str) -> list[dict[str, str]]:
    with open(shared_data / "cxr/manifest.csv", newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["file"].startswith(prefix)]


def _write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
