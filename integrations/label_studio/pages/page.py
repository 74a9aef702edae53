"""What every kind's page can do: configure a project, draw a case, read an annotation back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from integrations.label_studio.answers.answer import Answer, Judgement, Labels
from scripts.cases.domain import Domain

SaveMask = Callable[[np.ndarray], str]
"""Writes a mask, unless it is written already; gives its absolute path."""


@dataclass(frozen=True)
class Drawn:
    """A case as its task shows it.

    Args:
        sizes: width and height of each picture.
        result: what is drawn and chosen before the expert looks.
        data: what the task's data say of the pictures.
        kept: what stays with the user, for the next push, the backend and the way back.
    """

    sizes: list[tuple[int, int]]
    result: list[dict[str, Any]]
    data: dict[str, Any]
    kept: dict[str, Any]


class Page(Protocol):
    """The page of a domain; one class a kind of case.

    page = page_of("cxr")
    xml = page.configuration(page.labels_of(cases))
    """

    domain: Domain
    left_out: str
    """Why `record` leaves cases out, in words that follow their number; empty where it takes all."""

    def labels_of(self, cases: Iterable[Mapping[str, Any]]) -> Labels:
        """What the findings of predicted cases name."""

    def configuration(self, labels: Labels) -> str:
        """Labeling configuration of a project.

        Raises:
            LabelStudioError: no label at all.
        """

    def draw(
        self,
        case: Mapping[str, Any],
        record: Mapping[str, Any],
        images: Path,
        folder: str,
        kept: Mapping[str, Any],
        *,
        report: str,
        shape: str,
        keep_phi: bool,
    ) -> Drawn:
        """Render a case's pictures, unless they are there, and draw its findings.

        Args:
            case: as `scripts.predictions.predictions.read_predictions` gives it.
            record: of the datalist; empty where there is none.
            images: folder that pages show files of.
            folder: of the case, below `images`.
            kept: what an earlier call's `Drawn.kept` holds, or empty.
            report: text beside the pictures.
            shape: what places are drawn as, one of `results.SHAPES`.
            keep_phi: show pictures with burnt-in names as well.

        Raises:
            ReadError: a file cannot be read, or names are burnt into it.
        """

    def question(self, pictures: Sequence[Path], kept: Mapping[str, Any] | None) -> dict[str, Any]:
        """What a model is to look at, as a record of a datalist.

        Args:
            pictures: files that the task shows.
            kept: of the case; None where it was not pushed from here, so that the pictures themselves are looked at.

        Raises:
            LabelStudioError: pictures that do not do.
        """

    def suggest(
        self, case: Mapping[str, Any], pictures: Sequence[Path], kept: Mapping[str, Any] | None, report: str
    ) -> tuple[list[tuple[int, int]], list[dict[str, Any]]]:
        """Sizes of a task's pictures, and what a model's answer draws on them.

        Args:
            case: the answer.
            pictures, kept: as in `question`.
            report: text beside the pictures.
        """

    def item_index(self, image_index: int | None) -> int | None:
        """Picture that an item names; None where a page shows a single picture."""

    def judgements(self, answer: Answer) -> list[Judgement]:
        """Compare an answer with the prediction that it began from, finding by finding.

        Raises:
            LabelStudioError: a region that cannot be read.
        """

    def record(self, answer: Answer, save: SaveMask) -> dict[str, Any] | None:
        """Record of a datalist; None where the case has not what the datalist asks for.

        Raises:
            LabelStudioError: a region that cannot be read.
        """

    def volume_masks(self, answer: Answer) -> dict[str, np.ndarray]:
        """What is marked in a volume, bool [X, Y, Z] by label; empty for other kinds."""

    def write_mask(self, stem: Path, mask: np.ndarray, kept: Mapping[str, Any]) -> Path:
        """Write a finding's mask to a file whose name begins with that of `stem`; gives its path."""
