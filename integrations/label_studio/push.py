"""Predictions to Label Studio: a project with one task a case, each with the model's findings drawn in."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from label_studio_sdk import LabelStudio
from tqdm import tqdm

from integrations.label_studio.cases import Prepared, case_fault, case_inputs, prepare, version_of
from integrations.label_studio.client import ServerGone, find_project, tasks_where, translate_api_errors
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages import page_of
from integrations.label_studio.pages.parts import labels_in
from integrations.label_studio.pages.validation import PredictionChecker
from integrations.label_studio.workspace import Workspace, check_project
from scripts.datalists.datalist import load_datalist
from scripts.files.faults import describe_faults
from scripts.predictions.predictions import read_predictions

BATCH_TASKS = 250
BATCH_BYTES = 16 * 2**20
"""A request that a server's front door lets through and that takes seconds, not minutes."""
PAGE = 1000
PAUSES = (1, 2, 4, 8, 16)
"""Seconds between tries where the server does not answer."""
SETTLING = 2
"""Seconds between two looks at a server that may still be at work on what it did not answer."""
LOWEST_FIRST = "Uncertainty sampling"
FIRST_TAB = "Least confident first"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pushed:
    """What a push has done."""

    project_id: int
    model_version: str
    cases: int
    new_tasks: int
    new_predictions: int


@dataclass(frozen=True)
class _Task:
    id: int
    annotations: int
    data: dict[str, Any]


def push(
    client: LabelStudio,
    workspace: Workspace,
    predictions: str | Path,
    project: str,
    *,
    datalist: str | Path | None = None,
    shape: str = "mask",
    random_share: float = 0.0,
    model_version: str | None = None,
    reviews_per_case: int = 1,
    server_images: str | None = None,
    keep_phi: bool = False,
) -> Pushed:
    """Send predictions for review; what is there already is left as it is.

    Args:
        predictions: predictions.jsonl or its folder.
        project: name of the project, made if absent.
        datalist: the cases' datalist, for reports, patients and splits; without, each case counts as a patient of its own.
        shape: what places are drawn as: "mask", "box" or "polygon".
        random_share: share of the cases, [0, 1], that come at a random place in the order of review; the others come in the order
            of the model's confidence, lowest first.
        model_version: name of the model, where the bundle's own would not tell it from another; its checkpoint's first digits are
            added.
        reviews_per_case: experts that see each case.
        server_images: where the server finds the working folder's `images`, if it runs on another machine: the document root of
            its local files.
        keep_phi: send reports as they are, and pictures with burnt-in names.

    Raises:
        PredictionError, DatalistError: faults of the documents.
        LabelStudioError: faults of the images, or a server that refuses or is gone; what was sent stays, and the next push goes on.
    """
    check_project(project)
    found = case_inputs(read_predictions(predictions), None if datalist is None else load_datalist(datalist))
    page, model = page_of(found[0].case["domain"]), found[0].case["model"]
    version = version_of(model) if model_version is None else f"{model_version} ({model['checkpoint_sha256'][:8]})"
    if keep_phi:
        logger.warning("--keep-phi: reports are sent as they are, with all names, dates and numbers that stand in them")
    prepared = prepare(workspace, project, found, version=version, shape=shape, random_share=random_share, keep_phi=keep_phi)
    title = f"project {project}"
    with translate_api_errors(title):
        existing = find_project(client, project)
    labels = page.labels_of(source.case for source in found)
    if existing is not None:
        labels = labels_in(existing.label_config or "") | labels
    xml = page.configuration(labels)
    _check(prepared, xml)
    settings = {
        "label_config": xml,
        "sampling": LOWEST_FIRST,
        "maximum_annotations": reviews_per_case,
        "show_collab_predictions": True,
    }
    with translate_api_errors(title):
        if existing is None:
            project_id = client.projects.create(title=project, **settings).id
        else:
            project_id = existing.id
            changed = {name: value for name, value in settings.items() if getattr(existing, name, None) != value}
            if changed:
                client.projects.update(project_id, **changed)
        _show_in_order(client, project_id)
        _share_images(client, project_id, f"{(server_images or str(workspace.images)).rstrip('/')}/{project}")
    for one in prepared:
        workspace.save_case(project, one.data["case_id"], one.kept)
    new_tasks, new_predictions = _send_all(client, project_id, prepared, version)
    with translate_api_errors(title):
        client.projects.update(project_id, model_version=version)
    return Pushed(project_id, version, len(prepared), new_tasks, new_predictions)


def _check(prepared: Sequence[Prepared], xml: str) -> None:
    checker = PredictionChecker(xml)
    faults = [
        case_fault(one.kept["case_id"], "bad prediction", reason, "see whether image and prediction belong together")
        for one in prepared
        for reason in checker.faults(one.prediction, one.sizes, one.data["report"])
    ]
    if faults:
        raise LabelStudioError(describe_faults(faults))


def _show_in_order(client: LabelStudio, project_id: int) -> None:
    """A tab with the least confident case first: pages opened from a tab go by its order, `sampling` is for "Label All Tasks"."""
    if all(view.data.get("title") != FIRST_TAB for view in client.views.list(project=project_id)):
        client.views.create(project=project_id, data={"title": FIRST_TAB, "ordering": ["tasks:predictions_score"]})


def _share_images(client: LabelStudio, project_id: int, path: str) -> None:
    """Let the project's pages show the files below a path of the server."""
    if any(storage.path == path for storage in client.import_storage.local.list(project=project_id)):
        return
    try:
        with translate_api_errors(f"pictures in {path}"):
            client.import_storage.local.create(project=project_id, title="pictures", path=path, use_blob_urls=True)
    except ServerGone:
        raise
    except LabelStudioError as error:
        hint = (
            "give the server the folder `images` of the working folder as its document root, and its path there as --server_images"
        )
        raise LabelStudioError(f"{error}; {hint}") from None


def _send_all(client: LabelStudio, project_id: int, prepared: Sequence[Prepared], version: str) -> tuple[int, int]:
    """Send what the server lacks until it lacks nothing; numbers of tasks and predictions that it lacked at first.

    An import without an answer may have been carried out. So nothing is sent a second time before a look at what is there.
    """
    lacked: tuple[int, int] | None = None
    for pause in (*PAUSES, None):
        try:
            with translate_api_errors(f"project {project_id}"):
                tasks, holding = _settled(client, project_id, version, again=lacked is not None)
                new = [one for one in prepared if one.data["case_id"] not in tasks]
                old = [one for one in prepared if one.data["case_id"] in tasks]
                bare = [one for one in old if not holding & {task.id for task in tasks[one.data["case_id"]]}]
                lacked = (len(new), len(new) + len(bare)) if lacked is None else lacked
                _send(client, project_id, new, bare, tasks)
                _refresh(client, old, tasks)
                if new:
                    tasks, _ = _settled(client, project_id, version, again=False)
                _drop_doubles(client, tasks, {one.data["case_id"] for one in prepared})
            return lacked
        except ServerGone as error:
            if pause is None:
                raise
            logger.warning("%s; trying again in %d s", error, pause)
            time.sleep(pause)
    raise AssertionError("the last pause raises")


def _send(
    client: LabelStudio, project_id: int, new: Sequence[Prepared], bare: Sequence[Prepared], tasks: dict[str, list[_Task]]
) -> None:
    with tqdm(total=len(new) + len(bare), desc="sending", unit="case", disable=None) as bar:
        for batch in _batches([{"data": one.data, "predictions": [one.prediction]} for one in new]):
            client.projects.import_tasks(project_id, request=batch, return_task_ids=True)
            bar.update(len(batch))
        for batch in _batches([{"task": tasks[one.data["case_id"]][0].id, **one.prediction} for one in bare]):
            client.projects.import_predictions(project_id, request=batch)
            bar.update(len(batch))


def _refresh(client: LabelStudio, old: Sequence[Prepared], tasks: dict[str, list[_Task]]) -> None:
    """Give tasks what they show now: a report that came with a later push, say, which its predictions mark sentences in."""
    for one in old:
        for task in tasks[one.data["case_id"]]:
            if task.data != one.data:
                client.tasks.update(str(task.id), data=one.data)


def _batches(entries: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Entries in requests of at most so many and so many bytes; one that is larger goes alone."""
    batch: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        length = len(json.dumps(entry))
        if batch and (len(batch) == BATCH_TASKS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += length
    if batch:
        yield batch


def _settled(client: LabelStudio, project_id: int, version: str, again: bool) -> tuple[dict[str, list[_Task]], set[int]]:
    """Tasks by case, oldest first, and ids of those that hold a prediction of `version`.

    Args:
        again: an import went without answer and may still be going on: look until two looks see the same.
    """
    seen = _look(client, project_id, version)
    while again:
        time.sleep(SETTLING)
        before, seen = seen, _look(client, project_id, version)
        again = before != seen
    return seen


def _look(client: LabelStudio, project_id: int, version: str) -> tuple[dict[str, list[_Task]], set[int]]:
    tasks: dict[str, list[_Task]] = {}
    listed = {"project": project_id, "fields": "task_only", "page_size": PAGE}
    for task in client.tasks.list(**listed, include="id,data,total_annotations"):
        tasks.setdefault(task.data.get("case_id", ""), []).append(_Task(task.id, task.total_annotations or 0, task.data))
    query = tasks_where("predictions_model_versions", "contains", "List", [version])
    holding = {task.id for task in client.tasks.list(**listed, include="id", query=query)}
    return {case: sorted(found, key=lambda task: task.id) for case, found in tasks.items()}, holding


def _drop_doubles(client: LabelStudio, tasks: dict[str, list[_Task]], cases: set[str]) -> None:
    """Delete second tasks of a case that nobody has reviewed: a request that was lost on the way can still arrive."""
    for case in cases & tasks.keys():
        kept = next((task for task in tasks[case] if task.annotations), tasks[case][0])
        for task in tasks[case]:
            if task.id != kept.id and task.annotations:
                logger.warning("case %s has reviews on two tasks, %d and %d; both are pulled", case, kept.id, task.id)
            elif task.id != kept.id:
                client.tasks.delete(str(task.id))
