"""What a record may hold, by the kind of case."""

from dataclasses import dataclass
from typing import Any

from scripts.cases.domain import read_domain
from scripts.files.form import (
    Check,
    ErrorCollector,
    Form,
    check_box,
    check_image_index,
    check_path,
    check_report,
    check_text,
    check_zero_or_one,
    list_of,
    named,
    nullable,
    unknown,
)

REGIONS = read_domain("nasal").regions


@dataclass(frozen=True)
class TaskForm(Form):
    """Form of a task's records; `id_key` names the key that tells cases apart."""

    id_key: str


def _findings(form: Form) -> Check:
    def check_finding(notes: ErrorCollector, key: str, value: Any) -> None:
        if isinstance(value, dict):
            form.check(notes, value, f"{key}.")
        else:
            notes.wrong_type(key, value, "an object")

    return list_of(check_finding, "findings", may_be_empty=True)


def _check_region(notes: ErrorCollector, key: str, value: Any) -> None:
    if not isinstance(value, str):
        notes.wrong_type(key, value, "the name of a region, or null")
    elif value not in REGIONS:
        notes.add("unknown region", key, value, *unknown(value, REGIONS))


_LABELS = named(check_zero_or_one, "0 or 1")
_CXR_FINDING = Form(
    required={"label": check_text},
    optional={
        "text": check_text,
        "boxes": list_of(check_box, "boxes", may_be_empty=False),
        "mask": check_path,
        "tags": list_of(check_text, "tags", may_be_empty=True),
    },
)
_NASAL_FINDING = Form(
    required={"image_index": check_image_index, "label": check_text},
    optional={"text": check_text, "box": check_box, "mask": check_path},
)

TASKS = {
    "nasal": TaskForm(
        id_key="exam_id",
        required={
            "exam_id": check_text,
            "patient_id": check_text,
            "images": list_of(check_path, "images", may_be_empty=False),
            "report": check_report,
        },
        optional={
            "site": check_text,
            "label": check_text,
            "findings": _findings(_NASAL_FINDING),
            "regions": list_of(nullable(_check_region), "regions", may_be_empty=False),
        },
    ),
    "cxr": TaskForm(
        id_key="study_id",
        required={"study_id": check_text, "patient_id": check_text, "image": check_path},
        optional={"report": check_report, "labels": _LABELS, "findings": _findings(_CXR_FINDING)},
    ),
    "ct": TaskForm(
        id_key="volume_id",
        required={"volume_id": check_text, "patient_id": check_text, "image": check_path},
        optional={
            "anatomy_mask": check_path,
            "report": check_report,
            "reports": named(check_report, "texts", empty_kind="empty report"),
            "labels": _LABELS,
            "source_image": check_path,
            "source_mask": check_path,
        },
    ),
}
"""Form of a record by task; see `scripts.datalists.datalist` for an example of each."""
