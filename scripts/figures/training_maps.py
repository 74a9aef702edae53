"""Heat maps of the same few findings while a training goes on: does the network learn where to look?"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events

from scripts.cases.domain import Domain, read_domain
from scripts.engines.evaluators.exam import encode_case, placed_findings
from scripts.figures.exam_overlays import exam_picture
from scripts.figures.localization import grid_figure
from scripts.figures.volume_overlays import prepared_panel
from scripts.inferers.anatomy_classifier import AnatomyClassifier
from scripts.inferers.exam_prompt_classifier import ExamPromptClassifier
from scripts.inferers.phrase_grounder import phrase_maps
from scripts.inferers.phrase_localizer import PhraseLocalizer
from scripts.kinds import exam, image
from scripts.loading.dataset import CaseDataset, split_rejected
from scripts.loading.image_batches import ImageRecordCollate
from scripts.reports.by_anatomy.prompts import FindingPrompts
from scripts.tracking.recorder import MLflowTracker

COLUMNS = 4
MAX_PANELS = 8  # panels of a figure


class TrainingHeatMaps:
    """Give the tracker a figure after each epoch: where the network points in the same few cases.

    Args:
        panels: draws them with the network as it is, on a device: `FilmMaps`, `ExamMaps` or `VolumeMaps`. Where it has none,
            nothing is drawn.
        tracker: receives heat_maps_STEP.png.
        outline: what the legend calls the masks' outlines.
    """

    def __init__(
        self, panels: Callable[[torch.device], list[dict[str, Any]]], tracker: MLflowTracker, outline: str = "true outline"
    ) -> None:
        self.panels, self.tracker, self.outline = panels, tracker, outline

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._draw)

    def _draw(self, engine: Engine) -> None:
        panels = self.panels(engine.state.device)
        if panels:
            self.tracker.log_figure("heat_maps", grid_figure(panels, COLUMNS, self.outline), step=engine.state.iteration)


# An inferer remembers what it encoded, and the network has changed since the last epoch: each class below makes a new one. It puts
# the network into eval mode; the trainer puts it back at the next iteration.


class FilmMaps:
    """The first located finding of each of a few films.

    Films without a located finding are passed over, and those that cannot be read.

    Args:
        records: of the datalist, such as those of validation.
        transform: loads and letterboxes a record's film.
        localizer: makes a localizer of the network that is trained.
        domain: what the images are.
        most: films at most.
    """

    def __init__(
        self,
        records: Sequence[dict[str, Any]],
        transform: Callable[[dict], dict],
        localizer: Callable[[], PhraseLocalizer],
        domain: str | Path | Domain,
        most: int = MAX_PANELS,
    ) -> None:
        self.films = _first(records, transform, lambda record: any(map(image.has_place, record.get("findings", ()))), most)
        self.localizer = localizer
        self.domain = read_domain(domain)

    def __call__(self, device: torch.device) -> list[dict[str, Any]]:
        batch = ImageRecordCollate()(_read(self.films))
        if not batch["case_ids"]:
            return []
        localizer = self.localizer()
        films = localizer.encode_films(batch["images"].to(device))
        findings = [next(filter(image.has_place, record["findings"])) for record in batch["records"]]
        panels = []
        for number, (record, finding) in enumerate(zip(batch["records"], findings, strict=True)):
            _, (heat,) = phrase_maps(localizer, films.film(number), batch["letterboxes"][number], [finding["text"]])
            panels.append(_film_panel(image.picture(record["image"], self.domain), finding, heat))
        return panels


class ExamMaps:
    """The first located finding of each of a few exams, on the image that shows it.

    Exams without a located finding that the prompts know are passed over, and those that cannot be read.

    Args:
        records: of the datalist, such as those of validation.
        transform: loads a record's images.
        findings: makes the answers to prompts with the network that is trained.
        most: exams at most.
    """

    def __init__(
        self,
        records: Sequence[dict[str, Any]],
        transform: Callable[[dict], dict],
        findings: Callable[[], ExamPromptClassifier],
        most: int = MAX_PANELS,
    ) -> None:
        self.exams = _first(records, transform, lambda record: any(map(exam.has_place, record.get("findings", ()))), most)
        self.findings = findings

    def __call__(self, device: torch.device) -> list[dict[str, Any]]:
        cases, _ = split_rejected(_read(self.exams))
        findings = self.findings() if cases else None
        return [panel for case in cases for panel in _exam_panel(findings, case, device)]


class VolumeMaps:
    """The first finding that the labels of each of a few prepared volumes call present, on the slice that shows most of it.

    Volumes without such a finding in an anatomy that they show are passed over, and those that cannot be read.

    Args:
        records: of the datalist, such as those of validation.
        transform: loads a prepared volume.
        prompts: findings that may be asked for.
        classifier: makes a classifier, with these prompts, of the network that is trained.
        most: volumes at most.
    """

    def __init__(
        self,
        records: Sequence[dict[str, Any]],
        transform: Callable[[dict], dict],
        prompts: Sequence[FindingPrompts],
        classifier: Callable[[], AnatomyClassifier],
        most: int = MAX_PANELS,
    ) -> None:
        self.labels = [finding.label for finding in prompts]
        self.volumes = _first(records, transform, lambda record: bool(self._present(record)), most)
        self.classifier = classifier

    def __call__(self, device: torch.device) -> list[dict[str, Any]]:
        cases, _ = split_rejected(_read(self.volumes))
        classifier = self.classifier() if cases else None
        return [panel for case in cases for panel in self._panel(classifier, case, device)]

    def _present(self, record: dict[str, Any]) -> list[int]:
        known = record.get("labels", {})
        return [index for index, label in enumerate(self.labels) if known.get(label) == 1]

    def _panel(self, classifier: AnatomyClassifier, case: dict[str, Any], device: torch.device) -> list[dict[str, Any]]:
        classifier.network.eval()
        answer = classifier(case["image"].to(device), case["anatomy_mask"][0].to(device), evidence=True)
        for index in self._present(case["record"]):
            evidence = answer.evidence[index]
            if evidence is not None:
                finding = classifier.prompts[index]
                value = classifier.network.anatomies.index(finding.anatomy) + 1
                saliency = evidence.volume(case["image"].shape[1:]).numpy()
                title = f"{finding.label} ({finding.anatomy}), probability {answer.probabilities[index]:.2f}"
                return [prepared_panel(case, value, finding.anatomy, saliency, title)]
        return []


def _first(
    records: Sequence[dict[str, Any]], transform: Callable[[dict], dict], fit: Callable[[dict], bool], most: int
) -> Sequence[dict[str, Any]]:
    chosen = [record for record in records if fit(record)][:most]
    return CaseDataset(chosen, transform) if chosen else []


def _read(cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [cases[index] for index in range(len(cases))]  # a `CaseDataset` has no end: its index counts epochs on


def _film_panel(film: np.ndarray, finding: dict[str, Any], heat: np.ndarray) -> dict[str, Any]:
    return {
        "film": film,
        "heat": heat,
        "boxes": finding.get("boxes", []),
        "mask": image.finding_mask(finding, film.shape[:2]) if finding.get("mask") else None,
        "regions": [],
        "title": finding["text"],
    }


def _exam_panel(findings: ExamPromptClassifier, case: dict[str, Any], device: torch.device) -> list[dict[str, Any]]:
    record = case["record"]
    for found in placed_findings(findings, case, encode_case(findings, case, device), {}):
        finding = record["findings"][found.number]
        path = record["images"][finding["image_index"]]
        return [exam_picture(path, found.heat, f"{finding['label']} ({case['case_id']})", mask=found.truth)]
    return []
