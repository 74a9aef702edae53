"""What a task of Label Studio asks of a model: which files, which words; and the model's answer as the page draws it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from integrations.label_studio.answers.results import PHRASE, found_item
from integrations.label_studio.errors import LabelStudioError
from integrations.label_studio.pages import page_of
from integrations.label_studio.pages.drawing import confidence_of, sentence_with
from integrations.label_studio.pages.parts import labels_in
from integrations.label_studio.pages.validation import PredictionChecker
from integrations.label_studio.workspace import Workspace
from scripts.cases.domain import Domain
from scripts.predictions.masks import read_mask

LOCAL_FILES = "/data/local-files/"


class Refused(LabelStudioError):
    """A task that asks for a file which is not for it."""


class TaskQuestion:
    """A task's files, found, and its answer's form.

    Args:
        place: the working folder that its project was pushed from.
        data: of the task.
        label_config: of its project.
        domain: of the cases that the model answers.
        phrase: what the user has typed; None for all that the model looks for by itself.

    Raises:
        Refused: images that are not below the working folder's `images`.
        LabelStudioError: a task of another domain, or without images.
    """

    def __init__(
        self, workspace: Workspace, data: Mapping[str, Any], label_config: str, domain: Domain, phrase: str | None
    ) -> None:
        self.page, self.phrase, self.label_config = page_of(domain), phrase, label_config
        self.report = str(data.get("report", ""))
        if data.get("domain", domain.name) != domain.name:
            raise LabelStudioError(
                f"this backend's model is for {domain.name}, the task is of {data['domain']}; connect the project to its own"
            )
        references = data.get("images") or [data.get("image")]
        if not isinstance(references, list) or not all(isinstance(reference, str) for reference in references):
            raise LabelStudioError("the task names no image: its data needs `image`, an address, or `images`, a list of them")
        self.pictures = [_below(workspace.images, reference) for reference in references]
        self.kept = _kept(workspace, self.pictures[0])

    @property
    def record(self) -> dict[str, Any]:
        """Of a datalist, with the files that the pictures were rendered from, where `push` has kept them.

        Raises:
            LabelStudioError: a volume's pictures, whose volume is not known.
        """
        asked = {} if self.phrase is None else {"phrases": [self.phrase]}
        return self.page.question(self.pictures, self.kept) | asked

    def draw(self, case: dict[str, Any]) -> dict[str, Any]:
        """Score and result of a case that the model has answered.

        Raises:
            LabelStudioError: what the project's page cannot show; all is listed.
        """
        if self.phrase is not None:
            return {"score": confidence_of(case), "result": self._found(case)}
        sizes, result = self.page.suggest(case, self.pictures, self.kept, self.report)
        answer = {"score": confidence_of(case), "result": result}
        faults = PredictionChecker(self.label_config).faults(answer | {"model_version": ""}, sizes, self.report)
        if faults:
            raise LabelStudioError(f"the project cannot show the answer: {'; '.join(faults)}; push this model's predictions to it")
        return answer

    def _found(self, case: dict[str, Any]) -> list[dict[str, Any]]:
        """Regions of what the user has typed, under the label that it names; without one where it names none."""
        labels = labels_in(self.label_config).regions
        label = max((label for label in labels if sentence_with(self.phrase, label)), key=len, default=None)
        return [
            found_item(
                read_mask(finding.mask),
                label,
                self.phrase,
                score=finding.confidence,
                image_index=self.page.item_index(finding.image_index),
            )
            for finding in case["findings"]
            if finding.mask is not None
        ]


def phrase_of(context: Mapping[str, Any] | None) -> str | None:
    """The words that a user has typed into the page; None where the call is about something else."""
    typed = [
        text
        for item in (context or {}).get("result") or ()
        if item.get("type") == "textarea" and item.get("from_name") == PHRASE
        for text in item["value"].get("text", ())
    ]
    return typed[-1].strip() or None if typed else None


def _below(images: Path, reference: str) -> Path:
    """The file that a task shows, which must lie below the image folder."""
    parts = urlsplit(reference)
    names = parse_qs(parts.query).get("d", [])
    if not parts.path.endswith(LOCAL_FILES) or len(names) != 1:
        raise Refused("a task's images must be addresses of the image folder, as `push` makes them: /data/local-files/?d=...")
    root = images.resolve()
    file = (root / names[0]).resolve()
    if not file.is_relative_to(root) or file == root:
        raise Refused("an image lies outside the image folder")
    if not file.is_file():
        raise LabelStudioError(f"image {file.relative_to(root)} is not there; push the case again from this working folder")
    return file


def _kept(workspace: Workspace, picture: Path) -> dict[str, Any] | None:
    """What `push` has kept of the case that a picture shows: one of images/PROJECT/CASE/."""
    parts = picture.relative_to(workspace.images.resolve()).parts
    return workspace.read_case(parts[0], parts[1]) if len(parts) > 2 else None
