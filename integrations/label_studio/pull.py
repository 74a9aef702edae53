"""Reviews from Label Studio: a datalist that bundles train on, and what became of every finding.

A folder holds `datalist.json`, `masks/` and `reviews.jsonl`, whose form `integrations.review.record` tells; if asked for,
`segmentations/` holds the masks of each volume that came as DICOM in one DICOM SEG.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from label_studio_sdk import LabelStudio
from tqdm import tqdm

from integrations.dicom.segmentation import write_segmentation
from integrations.label_studio.answers.answer import Answer, Labels
from integrations.label_studio.client import find_project, tasks_where, translate_api_errors
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages import Page, page_of
from integrations.label_studio.pages.parts import labels_in
from integrations.label_studio.workspace import Workspace, check_project
from integrations.review.record import REVIEWS, ReviewLine
from scripts.cases.finding import Finding
from scripts.datalists.datalist import SPLITS, save_datalist
from scripts.files.atomic import write_atomically
from scripts.files.faults import Fault, describe_faults
from scripts.files.validation import ErrorCollector
from scripts.readers.nifti_faults import NIFTI_ENDINGS

PAGE = 100
"""Tasks a request: each comes with all its masks."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pulled:
    """What a pull has brought: reviewed cases, reviews, cases left out of the datalist for want of a report (of volumes a report or
    an answer), findings by action."""

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

    @property
    def model_version(self) -> str | None:
        """Of the prediction; None for an empty page."""
        return self.prediction["model_version"] if self.prediction else None


class _Masks:
    """Writes the masks of a review, each once; their names begin with the review's.

    Args:
        output: folder with `masks/`.
    """

    def __init__(self, review: _Review, output: Path, page: Page, kept: Mapping[str, Any]) -> None:
        self._stem, self._output, self._page, self._kept = review.name, output, page, kept
        self._written: dict[int, tuple[np.ndarray, str]] = {}

    def file(self, mask: np.ndarray | None) -> str | None:
        """Path below the folder; None of no mask."""
        if mask is None:
            return None
        if id(mask) not in self._written:
            stem = self._output / "masks" / f"{self._stem}-{len(self._written) + 1}"
            # The mask is held, so that no other takes its identity.
            self._written[id(mask)] = mask, f"masks/{self._page.write_mask(stem, mask, self._kept).name}"
        return self._written[id(mask)][1]

    def path(self, mask: np.ndarray) -> str:
        """Absolute path."""
        return str(self._output.absolute() / str(self.file(mask)))


@dataclass(frozen=True)
class _Reviewed:
    """The latest review of a case, and its record: no masks, which of many cases would fill the memory."""

    review: _Review
    kept: dict[str, Any]
    page: Page
    record: dict[str, Any] | None


def pull(client: LabelStudio, workspace: Workspace, project: str, output: str | Path, *, dicom_seg: bool = False) -> Pulled:
    """Fetch all reviews of a project.

    Of several reviews of a case the latest makes the datalist's record; all of them are in reviews.jsonl. Skipped tasks count as
    not reviewed.

    Args:
        output: folder for datalist.json, masks/ and reviews.jsonl; files of an earlier pull are replaced.
        dicom_seg: write DICOM segmentations of volumes as well; they carry the patient's name, as the scans do.

    Raises:
        LabelStudioError: no such project, no review yet, a task that the working folder does not know, an unreadable mask,
            a region without area.
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
    lines: list[ReviewLine] = []
    faults: list[Fault] = []
    latest: dict[str, _Reviewed] = {}
    for data, review in tqdm(found, desc="reviews", unit="review", disable=None):
        kept = _kept(workspace, project, data["case_id"], review)
        page, answer = page_of(kept["domain"]), _answer(review, kept, labels)
        masks = _Masks(review, output, page, kept)
        made, wrong = _lines(review, page, answer, masks)
        lines, faults = lines + made, faults + wrong
        earlier = latest.get(kept["case_id"])
        if earlier is None or earlier.review.annotation["updated_at"] <= review.annotation["updated_at"]:
            latest[kept["case_id"]] = _Reviewed(review, kept, page, page.record(answer, masks.path))
    if faults:
        raise LabelStudioError(describe_faults(faults))
    if dicom_seg:
        _write_segmentations(output, latest.values(), labels)
    lacking = _write_datalist(output, project, list(latest.values()))
    text = "".join(json.dumps(line.model_dump(), ensure_ascii=False) + "\n" for line in lines)
    write_atomically(output / REVIEWS, text)
    return Pulled(len(latest), len(found), lacking, dict(Counter(line.action for line in lines)))


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


def _kept(workspace: Workspace, project: str, pseudonym: str, review: _Review) -> dict[str, Any]:
    """What `push` has kept of a case."""
    kept, path = workspace.read_case(project, pseudonym), workspace.cases(project) / f"{pseudonym}.json"
    if kept is None:
        raise LabelStudioError(f"task {review.task_id}: {path} is not there; give --data the folder that the push was made with")
    if "domain" not in kept:
        raise LabelStudioError(f'{path}: has no "domain", which was called "task" once; push the predictions again')
    return kept


def _answer(review: _Review, kept: dict[str, Any], labels: Labels) -> Answer:
    predicted = review.prediction["result"] if review.prediction else None
    sent = kept["pushed"].get(review.model_version, {}).get("findings", [])
    return Answer(review.annotation["result"], predicted, [Finding(**finding) for finding in sent], kept, labels)


def _lines(review: _Review, page: Page, answer: Answer, masks: _Masks) -> tuple[list[ReviewLine], list[Fault]]:
    """A line for every finding of a review, and what is wrong with those that cannot be; masks are written."""
    kept = answer.kept
    about = {
        "case_id": kept["case_id"],
        "patient_id": kept["patient_id"],
        "domain": kept["domain"],
        "reviewer": review.reviewer,
        "time": str(review.annotation["updated_at"]),
        "seconds": review.annotation.get("lead_time"),
        "model_version": review.model_version,
        "drawn": kept["drawn"],
    }
    lines, notes = [], ErrorCollector("reviews", record=f"task {review.task_id}")
    for judged in page.judgements(answer):
        before, after = judged.before, judged.after
        said = left = None
        if before is not None:
            mask = masks.file(before.mask)
            said = {"label": before.label, "probability": before.probability}
            said |= {"box": before.box, "mask": mask, "choice": judged.said}
        if after is not None:
            left = {"box": after.box, "mask": masks.file(after.mask), "choice": judged.choice}
        index = next((one.image_index for one in (after, before) if one is not None), None)
        found = {"label": judged.label, "action": judged.action, "before": said, "after": left, "image_index": index}
        line = notes.check(ReviewLine, about | found)
        lines += [line] if line else []
    return lines, notes.faults


def _write_segmentations(output: Path, latest: Iterable[_Reviewed], labels: Labels) -> None:
    """Write one DICOM SEG of what is marked in each volume."""
    without: list[str] = []
    for case in latest:
        masks = case.page.volume_masks(_answer(case.review, case.kept, labels))
        if not masks:
            continue
        image = Path(case.kept["images"][0])
        if image.name.lower().endswith(NIFTI_ENDINGS):
            without.append(case.kept["case_id"])
            continue
        write_segmentation(output / "segmentations" / f"{case.review.name}.dcm", masks, image, case.review.model_version)
    if without:
        logger.warning("%d volumes are NIfTI, which no DICOM segmentation can point at; their masks are in masks/", len(without))


def _write_datalist(output: Path, project: str, latest: Sequence[_Reviewed]) -> int:
    """Write the reviewed cases' records; the number of those left out because their kind asks for what is not known."""
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for case in latest:
        if case.record is not None:
            splits[case.kept["split"]].append(case.record)
    page, lacking = latest[0].page, sum(case.record is None for case in latest)
    if lacking:
        told = "%d %s and are in reviews.jsonl only; push again with --datalist to add their reports"
        logger.warning(told, lacking, page.left_out)
    if any(splits.values()):
        description = f"Reviewed in Label Studio, project {project}."
        save_datalist(output / "datalist.json", page.domain.reference, splits, name=project, description=description)
    return lacking
