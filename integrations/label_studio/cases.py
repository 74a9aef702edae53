"""Cases made ready for Label Studio: pictures rendered, names taken out, predictions drawn and checked."""

import logging
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from random import Random
from typing import Any

from tqdm import tqdm

from integrations.dicom.deidentify import identifiers_of, scrub_report
from integrations.dicom.pseudonyms import Pseudonyms
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages import page_of
from integrations.label_studio.pages.drawing import NO_REPORT, confidence_of
from integrations.label_studio.workspace import Workspace
from integrations.review.record import LEAST_CONFIDENT, RANDOM
from scripts.cases.finding import Finding
from scripts.datalists.datalist import Datalist
from scripts.files.faults import MISSING, Fault, describe_faults
from scripts.files.read_error import ReadError
from scripts.files.validation import ErrorCollector

RENDERING_THREADS = 4
"""Reading and writing of pictures lets other threads work."""
SAME_NUMBER = 1e-3

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaseInput:
    """A case on the user's side: its line of predictions.jsonl and, where a datalist is given, its record and split."""

    case: dict[str, Any]
    record: dict[str, Any] = field(default_factory=dict)
    split: str = "training"


@dataclass(frozen=True)
class Prepared:
    """A case as Label Studio gets it: `data` of its task, `prediction`; and `kept`, which stays with the user."""

    data: dict[str, Any]
    prediction: dict[str, Any]
    sizes: list[tuple[int, int]]
    kept: dict[str, Any]


def case_inputs(cases: Sequence[dict[str, Any]], datalist: Datalist | None) -> list[CaseInput]:
    """Each case with its record.

    Raises:
        LabelStudioError: cases of several domains or models, of another domain than the datalist's, or that it does not name.
    """
    for what, values in (
        ("domains", {case["domain"] for case in cases}),
        ("models", {version_of(case["model"]) for case in cases}),
    ):
        if len(values) > 1:
            raise LabelStudioError(
                f"the predictions are of several {what} ({', '.join(sorted(values))}): put those of each into a folder of its "
                "own and push the folders one by one"
            )
    if not cases:
        raise LabelStudioError("there is no case in the predictions; run the inference on some")
    if datalist is None:
        return [CaseInput(case) for case in cases]
    if datalist.domain.reference != cases[0]["domain"]:
        named = f"{datalist.path} is of domain {datalist.domain.reference}"
        raise LabelStudioError(f"{named}, the predictions of {cases[0]['domain']}; give theirs")
    records = {datalist.case_id(record): (record, split) for split, found in datalist.splits.items() for record in found}
    unknown = [case["case_id"] for case in cases if case["case_id"] not in records]
    if unknown:
        named = ", ".join(unknown[:5])
        reason = f"does not name {len(unknown)} of {len(cases)} predicted cases ({named}{', ...' * (len(unknown) > 5)})"
        raise LabelStudioError(f"{datalist.path} {reason}; give the datalist that the inference ran on")
    return [CaseInput(case, *records[case["case_id"]]) for case in cases]


def version_of(model: dict[str, Any]) -> str:
    """What Label Studio calls a model: its bundle, version and the first digits of its checkpoint."""
    return f"{model['bundle']} {model['version']} ({model['checkpoint_sha256'][:8]})"


def prepare(
    workspace: Workspace, project: str, found: Sequence[CaseInput], *, version: str, shape: str, random_share: float, keep_phi: bool
) -> list[Prepared]:
    """Make cases ready; pictures that are there already are not rendered again.

    Args:
        found: the cases, of one domain and one model.
        version: name of the model.
        shape: what places are drawn as, one of `results.SHAPES`.
        random_share: share of the cases, [0, 1], that come at a random place in the order of review.
        keep_phi: send reports as they are, and pictures with burnt-in names.

    Raises:
        LabelStudioError: images that cannot be read, masks of another size than their image, boxes outside; all are listed.
    """
    pseudonyms = Pseudonyms(workspace.key)
    work = partial(_prepared, workspace, project, pseudonyms, version=version, shape=shape, keep_phi=keep_phi)
    with ThreadPoolExecutor(RENDERING_THREADS) as pool:
        done = list(tqdm(pool.map(work, found), total=len(found), desc="pictures", unit="case", disable=None))
    faults = [fault for one in done if not isinstance(one, Prepared) for fault in one]
    if faults:
        raise LabelStudioError(describe_faults(faults))
    return _in_order([one for one in done if isinstance(one, Prepared)], random_share)


def case_fault(case_id: str, kind: str, reason: str, hint: str) -> Fault:
    """A fault of a case's predictions."""
    notes = ErrorCollector("predictions", record=case_id)
    notes.add(kind, "", MISSING, reason, hint)
    return notes.faults[0]


def _prepared(
    workspace: Workspace, project: str, pseudonyms: Pseudonyms, case_input: CaseInput, *, version: str, shape: str, keep_phi: bool
) -> Prepared | list[Fault]:
    """A case made ready, or what is wrong with it."""
    case, record = case_input.case, case_input.record
    pseudonym = pseudonyms.of("case", case["case_id"])
    kept = workspace.read_case(project, pseudonym) or {"pushed": {}}
    if kept.get("images", case["images"]) != case["images"]:
        reason = f"stands for the images {', '.join(kept['images'])} in project {project}"
        return [case_fault(case["case_id"], "other images", reason, "push to a project of another name")]
    report = record.get("report") or "\n".join(f"{anatomy}: {text}" for anatomy, text in record.get("reports", {}).items())
    page = page_of(case["domain"])
    try:
        shown = report if keep_phi else scrub_report(report, _identifiers(case, record))
        shown = shown.replace("\r\n", "\n").strip() or NO_REPORT
        about = {"report": shown, "shape": shape, "keep_phi": keep_phi}
        drawn = page.draw(case, record, workspace.images, f"{project}/{pseudonym}", kept, **about)
    except ReadError as error:
        return [case_fault(case["case_id"], "unreadable file", str(error), "mend the file, or leave the case out")]
    # The name alone: a folder's path may tell of its owner.
    data = {"case_id": pseudonym, "domain": page.domain.name, "report": shown} | drawn.data
    pushed = {"shape": shape, "findings": [kept_form(finding) for finding in case["findings"]]}
    if not _alike(kept["pushed"].get(version, pushed), pushed):
        reason = f"was sent to project {project} with other findings or another shape under the same model version, {version}"
        return [case_fault(case["case_id"], "other findings", reason, "give these a name with --model_version, or another project")]
    kept |= {
        "case_id": case["case_id"],
        "patient_id": record.get("patient_id", case["case_id"]),
        "split": case_input.split,
        "domain": page.domain.reference,
        "images": case["images"],
        **drawn.kept,
        "pushed": kept["pushed"] | {version: kept["pushed"].get(version, pushed)},
    }
    kept |= {key: record[key] for key in ("report", "reports", "site") if key in record}
    prediction = {"model_version": version, "score": confidence_of(case), "result": drawn.result}
    return Prepared(data, prediction, drawn.sizes, kept)


def _identifiers(case: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """What names the patient within a report: names and ids of the images' headers, and the datalist's ids.

    An id of a few characters, or of words alone, would take findings and measurements with it.
    """
    ids = (case["case_id"], record.get("patient_id", ""))
    telling = [value for value in ids if re.fullmatch(r"(?=.*\d)\S{5,}", value)]
    return [*telling, *(name for image in case["images"] for name in identifiers_of(image))]


def kept_form(finding: Finding) -> dict[str, Any]:
    """What is kept of a finding: what it has but its files, which the next inference replaces; `Finding(**kept)` reads it back."""
    return {key: value for key, value in asdict(finding).items() if value is not None and key not in ("mask", "saliency")}


def _alike(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same but for the last digits of numbers, which the same network computes anew each time."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= SAME_NUMBER
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return one == other


def _in_order(prepared: Iterable[Prepared], random_share: float) -> list[Prepared]:
    """Scores that put cases in the order of review, lowest first; the same cases get the same order.

    A case of the random share takes the score of any case, drawn at random: its place says nothing about it.
    """
    ordered = sorted(prepared, key=lambda one: one.data["case_id"])
    scores = [one.prediction["score"] for one in ordered]
    random = Random(" ".join(one.data["case_id"] for one in ordered))
    drawn = set(random.sample(range(len(ordered)), round(random_share * len(ordered))))
    for number, one in enumerate(ordered):
        one.kept["drawn"] = RANDOM if number in drawn else LEAST_CONFIDENT
        if number in drawn:
            one.prediction["score"] = random.choice(scores)
    return ordered
