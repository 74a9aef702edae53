"""Reviews from Label Studio: a datalist that bundles train on, and what became of every finding.

A folder holds `datalist.json`, `masks/` and `reviews.jsonl`, one line a finding of a review, broken here for reading:

    {"case_id": "s2", "patient_id": "p1", "task": "cxr", "reviewer": "expert@hospital", "time": "2026-01-31T10:20:30.123456Z",
     "seconds": 41.2, "model_version": "cxr_localization 0.1.0 (9f86d081)", "label": "Pneumonia", "action": "edited",
     "before": {"label": "Pneumonia", "probability": 0.82, "box": [1310, 1205, 402, 377], "mask": "masks/1-3-0.png",
                "choice": null},
     "after": {"box": [1290, 1205, 430, 390], "mask": "masks/1-3-1.png", "choice": null},
     "image_index": 0, "drawn": "confidence"}

`before` is what the model said, null for what the expert has added; `after` is null for what the expert has rejected. `label` is
the expert's; the model's differs where the expert has given a region another. `choice` is what is said of the case as a whole;
`seconds` is the time that the page was open for the review, `drawn` how the case came to its place in the order of
review. Boxes are [x, y, width, height] in pixels of the stored image, masks PNG files of its size. A finding of a volume has one
line, with what is said of it and its mask, a NIfTI file on the volume's own grid; if asked for, `segmentations/` holds the masks of
each volume that came as DICOM in one DICOM SEG.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from label_studio_sdk import LabelStudio
from tqdm import tqdm

from integrations.dicom.segmentation import write_segmentation
from integrations.label_studio.answers import volumes as ct_reviews
from integrations.label_studio.answers.judgements import chosen, judgements, regions_of
from integrations.label_studio.answers.results import box_of, label_of, mask_of, place_of, size_of, words_of
from integrations.label_studio.client import find_project, tasks_where, translate_api_errors
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages.configurations import DIAGNOSIS, FINDINGS, Labels, labels_in
from integrations.label_studio.pages.volume import Pictures
from integrations.label_studio.workspace import Workspace, check_project
from scripts.datalists.datalist import SPLITS, save_datalist
from scripts.files.atomic import write_atomically
from scripts.predictions.masks import write_mask
from scripts.readers.nifti_faults import NIFTI_ENDINGS

PAGE = 100
"""Tasks a request: each comes with all its masks."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pulled:
    """What a pull has brought: reviewed cases, reviews, cases without the report that their task's datalist asks for (of volumes a
    report or an answer), findings by action."""

    cases: int
    reviews: int
    without_report: int
    actions: dict[str, int]


@dataclass(frozen=True)
class _Review:
    """One annotation of one task, and the prediction that it began from."""

    task_id: int
    annotation: dict[str, Any]
    prediction: dict[str, Any] | None
    reviewer: str

    @property
    def name(self) -> str:
        return f"{self.task_id}-{self.annotation['id']}"


class _Places:
    """Boxes and masks of a review's regions; what is the same before and after is decoded and written once.

    Args:
        review: its name begins those of the mask files.
        output: folder with `masks/`.
    """

    def __init__(self, review: _Review, output: Path) -> None:
        self._name, self._output = review.name, output
        self._known: dict[str, dict[str, Any]] = {}
        self._written = 0

    def of(self, region: dict[str, Any] | None) -> dict[str, Any]:
        """`box` and `mask`, a file below the folder; a drawn box has no mask, and what is not there has neither."""
        if region is None:
            return {"box": None, "mask": None}
        key = json.dumps([region["type"], size_of(region), region["value"]], sort_keys=True)
        if key not in self._known:
            if region["type"] == "rectanglelabels":
                self._known[key] = {"box": box_of(region), "mask": None}
            else:
                box, mask = place_of(region)
                self._known[key] = {"box": box, "mask": self._write(mask)}
        return self._known[key]

    def path_of_all(self, regions: Sequence[dict[str, Any]]) -> str:
        """Absolute path of a mask of all regions together."""
        if len(regions) == 1 and self.of(regions[0])["mask"]:
            file = self.of(regions[0])["mask"]
        else:
            file = self._write(np.logical_or.reduce([mask_of(region) for region in regions]))
        return str(self._output.absolute() / file)

    def of_volume(self, mask: np.ndarray | None, pictures: Pictures) -> dict[str, Any]:
        """As `of`, of a volume's mask, bool [X, Y, Z]."""
        if mask is None:
            return {"box": None, "mask": None}
        self._written += 1
        file = f"masks/{self._name}-{self._written}.nii.gz"
        ct_reviews.write_volume_mask(self._output / file, mask, pictures)
        return {"box": None, "mask": file}

    def _write(self, mask: np.ndarray) -> str:
        self._written += 1
        file = f"masks/{self._name}-{self._written}.png"
        write_mask(self._output / file, mask)
        return file


def pull(client: LabelStudio, workspace: Workspace, project: str, output: str | Path, *, dicom_seg: bool = False) -> Pulled:
    """Fetch all reviews of a project.

    Of several reviews of a case the latest makes the datalist's record; all of them are in reviews.jsonl. Skipped tasks count as
    not reviewed.

    Args:
        output: folder for datalist.json, masks/ and reviews.jsonl; files of an earlier pull are replaced.
        dicom_seg: write DICOM segmentations of volumes as well; they carry the patient's name, as the scans do.

    Raises:
        LabelStudioError: no such project, no review yet, a task that the working folder does not know, an unreadable mask.
        DicomError: segmentations are wanted and highdicom is not installed.
        DatalistError: the reviewed cases make no valid datalist; lists what is wrong.
    """
    check_project(project)
    output = Path(output)
    with translate_api_errors(f"project {project}"):
        existing = find_project(client, project)
        if existing is None:
            raise LabelStudioError(f"project {project}: is not on this server; see --project and --url")
        people = {user.id: user.email for user in client.users.list()}
        found = [review for task in _reviewed(client, existing.id) for review in _reviews(task, people)]
    if not found:
        raise LabelStudioError(f"project {project}: nothing is reviewed yet; submit some tasks first")
    labels = labels_in(existing.label_config or "")
    (output / "masks").mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = []
    latest: dict[str, tuple[_Review, dict[str, Any], _Places]] = {}
    for data, review in tqdm(found, desc="reviews", unit="review", disable=None):
        kept = workspace.read_case(project, data["case_id"])
        if kept is None:
            path = workspace.cases(project) / f"{data['case_id']}.json"
            raise LabelStudioError(
                f"task {review.task_id}: {path} is not there; give --data the folder that the push was made with"
            )
        places = _Places(review, output)
        lines += _lines(review, kept, places, labels)
        earlier = latest.get(kept["case_id"])
        if earlier is None or earlier[0].annotation["updated_at"] <= review.annotation["updated_at"]:
            latest[kept["case_id"]] = (review, kept, places)
    if dicom_seg:
        _write_segmentations(output, [(review, kept) for review, kept, _ in latest.values()])
    lacking = _write_datalist(output, project, latest, labels)
    write_atomically(output / "reviews.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return Pulled(len(latest), len(found), lacking, dict(Counter(line["action"] for line in lines)))


def _reviewed(client: LabelStudio, project_id: int) -> list[dict[str, Any]]:
    query = tasks_where("total_annotations", "greater", "Number", 0)
    return [task.dict() for task in client.tasks.list(project=project_id, fields="all", query=query, page_size=PAGE)]


def _reviews(task: dict[str, Any], people: dict[int, str]) -> list[tuple[dict[str, Any], _Review]]:
    predictions = {prediction["id"]: prediction for prediction in task["predictions"]}
    found = []
    for annotation in task["annotations"]:
        if annotation.get("was_cancelled"):
            continue
        reviewer = annotation["completed_by"]
        reviewer = reviewer["id"] if isinstance(reviewer, dict) else reviewer
        prediction = predictions.get(annotation.get("parent_prediction"))
        found.append((task["data"], _Review(task["id"], annotation, prediction, people.get(reviewer, str(reviewer)))))
    return found


def _lines(review: _Review, kept: dict[str, Any], places: _Places, labels: Labels) -> list[dict[str, Any]]:
    """A line of reviews.jsonl for every finding of a review; its masks are written."""
    version = review.prediction["model_version"] if review.prediction else None
    findings = kept["pushed"].get(version, {}).get("findings", [])
    annotation = review.annotation
    about = {
        "case_id": kept["case_id"],
        "patient_id": kept["patient_id"],
        "task": kept["task"],
        "reviewer": review.reviewer,
        "time": str(annotation["updated_at"]),
        "seconds": annotation.get("lead_time"),
        "model_version": version,
    }
    if kept["task"] == "ct":
        judged = _judged_of_volume(review, kept, places, findings, labels)
    else:
        judged = _judged(review, kept, places, findings)
    return [about | one | {"drawn": kept["drawn"]} for one in judged]


def _judged(review: _Review, kept: dict[str, Any], places: _Places, findings: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What became of each finding of a film or exam."""
    predicted = review.prediction["result"] if review.prediction else None
    for judged in judgements(review.annotation["result"], predicted, findings, kept["task"]):
        region = judged.after or judged.before
        before, after = None, None
        if judged.before or judged.said or judged.probability is not None:
            label = label_of(judged.before) if judged.before else judged.label
            before = {"label": label, "probability": judged.probability, **places.of(judged.before), "choice": judged.said}
        if judged.after or judged.choice:
            after = places.of(judged.after) | {"choice": judged.choice}
        index = None if region is None else region.get("item_index", 0)
        yield {"label": judged.label, "action": judged.action, "before": before, "after": after, "image_index": index}


def _judged_of_volume(
    review: _Review, kept: dict[str, Any], places: _Places, findings: Sequence[dict[str, Any]], labels: Labels
) -> Iterator[dict[str, Any]]:
    """What became of each finding of a volume."""
    pictures = Pictures.from_json(kept["volume"])
    predicted = review.prediction["result"] if review.prediction else None
    for judged in ct_reviews.judgements(review.annotation["result"], predicted, findings, pictures, labels.regions):
        before, after = None, None
        if judged.before is not None or judged.said or judged.probability is not None:
            said = {"label": judged.label, "probability": judged.probability, "choice": judged.said}
            before = said | places.of_volume(judged.before, pictures)
        if judged.after is not None or judged.choice:
            after = places.of_volume(judged.after, pictures) | {"choice": judged.choice}
        yield {"label": judged.label, "action": judged.action, "before": before, "after": after, "image_index": None}


def _write_segmentations(output: Path, latest: Sequence[tuple[_Review, dict[str, Any]]]) -> None:
    """Write one DICOM SEG of what is marked in each volume."""
    without: list[str] = []
    for review, kept in latest:
        if kept["task"] != "ct":
            continue
        masks = dict(ct_reviews.masks_drawn(review.annotation["result"], Pictures.from_json(kept["volume"])))
        if not masks:
            continue
        image = Path(kept["images"][0])
        if image.name.lower().endswith(NIFTI_ENDINGS):
            without.append(kept["case_id"])
            continue
        version = review.prediction["model_version"] if review.prediction else None
        write_segmentation(output / "segmentations" / f"{review.name}.dcm", masks, image, version)
    if without:
        logger.warning("%d volumes are NIfTI, which no DICOM segmentation can point at; their masks are in masks/", len(without))


def _write_datalist(output: Path, project: str, latest: dict[str, tuple[_Review, dict[str, Any], _Places]], labels: Labels) -> int:
    """Write the reviewed cases' records; the number of those left out because their task asks for a report and none is known."""
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    lacking = 0
    for review, kept, places in latest.values():
        if kept["task"] == "nasal" and "report" not in kept:
            lacking += 1
            continue
        if kept["task"] == "ct":
            record = ct_reviews.record_of(kept, ct_reviews.labels_said(review.annotation["result"], labels.regions))
            if not record["labels"] and record.keys().isdisjoint(("report", "reports")):
                lacking += 1
                continue
        elif kept["task"] == "cxr":
            record = _film(review, kept, places, labels.cases)
        else:
            record = _exam(review, kept, places)
        splits[kept["split"]].append(record)
    task = next(iter(latest.values()))[1]["task"]
    if lacking:
        cases = "volumes have no answer and" if task == "ct" else "exams have"
        told = "%d %s no report and are in reviews.jsonl only; push again with --datalist to add their reports"
        logger.warning(told, lacking, cases)
    if any(splits.values()):
        description = f"Reviewed in Label Studio, project {project}."
        save_datalist(output / "datalist.json", task, splits, name=project, description=description)
    return lacking


def _film(review: _Review, kept: dict[str, Any], places: _Places, labels: Sequence[str]) -> dict[str, Any]:
    """A cxr record: regions of one label become one finding, whose mask, where one has a mask, is all of them."""
    items = review.annotation["result"]
    record = {"study_id": kept["case_id"], "patient_id": kept["patient_id"], "image": kept["images"][0]}
    if "report" in kept:
        record["report"] = kept["report"]
    by_label: dict[str, list[dict[str, Any]]] = {}
    for region in regions_of(items):
        by_label.setdefault(label_of(region), []).append(region)
    present = {*chosen(items, FINDINGS), *by_label}
    record["labels"] = {label: int(label in present) for label in dict.fromkeys((*labels, *by_label))}
    texts = {
        finding["label"]: finding["text"] for sent in kept["pushed"].values() for finding in sent["findings"] if finding["text"]
    }
    record["findings"] = []
    for label, regions in by_label.items():
        words = next(filter(None, map(words_of, regions)), None)
        finding: dict[str, Any] = {"label": label, "text": words or texts.get(label, label)}
        if all(region["type"] == "rectanglelabels" for region in regions):
            finding["boxes"] = [box_of(region) for region in regions]
        else:
            finding["mask"] = places.path_of_all(regions)
        record["findings"].append(finding)
    return record


def _exam(review: _Review, kept: dict[str, Any], places: _Places) -> dict[str, Any]:
    """A nasal record: every region is a finding of its own."""
    items = review.annotation["result"]
    record = {"exam_id": kept["case_id"], "patient_id": kept["patient_id"], "images": kept["images"], "report": kept["report"]}
    if "site" in kept:
        record["site"] = kept["site"]
    diagnosis = chosen(items, DIAGNOSIS)
    if diagnosis:
        record["label"] = diagnosis[0]
    record["findings"] = []
    for region in regions_of(items):
        finding = {"image_index": region.get("item_index", 0), "label": label_of(region), "box": places.of(region)["box"]}
        if region["type"] != "rectanglelabels":
            finding["mask"] = places.path_of_all([region])
        if words_of(region):
            finding["text"] = words_of(region)
        record["findings"].append(finding)
    return record
