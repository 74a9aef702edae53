"""Exams with a class: which classes a screening tells apart, which exams it learns from, and their batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scripts.cases.domain import Domain, read_domain
from scripts.datalists.datalist import Datalist
from scripts.files.errors import UserError
from scripts.loading.dataset import split_rejected
from scripts.loading.exam_batches import join_images


@dataclass(frozen=True)
class ScreeningTask:
    """Classes that a screening tells apart; of two the second is the one screened for.

    Attributes:
        classes: names.
        class_of: position of the class by an exam's label.
    """

    classes: tuple[str, ...]
    class_of: dict[str, int]


def screening_task(name: str, domain: str | Path | Domain) -> ScreeningTask:
    """A screening that the domain knows, by its name.

    Raises:
        UserError: another name.
    """
    tasks = read_domain(domain).screening_tasks
    if name not in tasks:
        raise UserError(f"screening_task must be {', '.join(tasks)}, got '{name}'")
    class_of = {label: number for number, labels in enumerate(tasks[name].values()) for label in labels}
    return ScreeningTask(tuple(tasks[name]), class_of)


def exam_class_records(cases: Datalist, split: str, task: ScreeningTask, held_out_sites: Sequence[str] = ()) -> list[dict]:
    """Exams of a split whose class is known, those of held-out sites left out of all but the test split.

    Raises:
        UserError: a label that is none of the task's (all such exams are named), or no exam left of some class in
            another split than the test, whose figures are then not defined where they need that class.
    """
    records = [record for record in cases.split(split) if "label" in record]
    strange = [f"{record['exam_id']} ({record['label']})" for record in records if record["label"] not in task.class_of]
    if strange:
        raise UserError(
            f"{cases.path}: {len(strange)} exams of {split} have a label that is none of {', '.join(task.class_of)}: "
            f"{', '.join(strange[:20])}. Correct the labels, or take them out of the records"
        )
    if split == "test":
        return records
    records = [record for record in records if record.get("site") not in held_out_sites]
    known = {task.class_of[record["label"]] for record in records}
    missing = [name for position, name in enumerate(task.classes) if position not in known]
    if missing:
        where = f" outside the held-out sites ({', '.join(held_out_sites)})" if held_out_sites else ""
        raise UserError(f"{cases.path}: {split} holds no exam of class {', nor of class '.join(missing)}{where}")
    return records


class ExamClassCollate:
    """Join exams with a class into a batch.

    Args:
        task: which class an exam's label is.

    Returns (when called): images [V, 3, S, S] of all exams; inputs (what else `ExamClassifier` takes): image_index [B, N] into V,
    -1 for padding, and labels [B]; case_ids; rejected. A batch without any good case holds `case_ids` and `rejected` only.
    """

    def __init__(self, task: ScreeningTask) -> None:
        self.task = task

    def __call__(self, items: Sequence[dict]) -> dict[str, Any]:
        items, batch = split_rejected(items)
        if not items:
            return batch
        images, image_index = join_images([item["images"] for item in items])
        labels = torch.tensor([self.task.class_of[item["record"]["label"]] for item in items])
        return {**batch, "images": images, "inputs": {"image_index": image_index, "labels": labels}}
