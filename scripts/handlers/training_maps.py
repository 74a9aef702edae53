"""Heat maps of the same few findings while a training goes on: does the network learn where to look?"""

from collections.abc import Callable, Sequence
from typing import Any

from ignite.engine import Engine, Events

from scripts.data.captions import FilmCollate
from scripts.data.dataset import CaseDataset
from scripts.engines.localization_evaluator import finding_mask, has_place
from scripts.handlers.figures import grid_figure
from scripts.handlers.tracking import MLflowTracker
from scripts.inferers.phrase_grounder import PhraseGrounder
from scripts.inferers.phrase_localizer import PhraseLocalizer
from scripts.transforms.reading import read_film


class TrainingHeatMaps:
    """Give the tracker a figure after each epoch: where the network points for the first located finding of each of a few films.

    Films without a located finding are passed over, and those that cannot be read; where there is none at all, nothing is drawn.

    Args:
        records: of the datalist, such as those of validation.
        transform: loads and letterboxes a record's film.
        localizer: makes a localizer of the network that is trained.
        tracker: receives heat_maps_STEP.png.
        films: panels of a figure at most.
    """

    def __init__(
        self,
        records: Sequence[dict[str, Any]],
        transform: Callable[[dict], dict],
        localizer: Callable[[], PhraseLocalizer],
        tracker: MLflowTracker,
        films: int = 8,
    ) -> None:
        located = [record for record in records if _located(record)][:films]
        self.films = CaseDataset(located, transform) if located else None
        self.localizer, self.tracker = localizer, tracker

    def attach(self, engine: Engine) -> None:
        if self.films is not None:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._draw)

    def _draw(self, engine: Engine) -> None:
        # A localizer remembers its phrases, and the text encoder has changed since the last epoch. It puts the network into eval
        # mode; the trainer puts it back at the next iteration.
        localizer = self.localizer()
        batch = FilmCollate()([self.films[place] for place in range(len(self.films))])
        if not batch["case_ids"]:
            return
        films = localizer.encode_films(batch["images"].to(engine.state.device))
        findings = [_located(record)[0] for record in batch["records"]]
        answers = PhraseGrounder(localizer, None)(films, batch["letterboxes"], [[finding["text"]] for finding in findings])
        cases = zip(batch["records"], findings, answers, strict=True)
        pictures = [_picture(record, finding, answer.heat) for record, finding, (answer,) in cases]
        self.tracker.log_figure("heat_maps", grid_figure(pictures, columns=4), step=engine.state.iteration)


def _located(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in record.get("findings", ()) if has_place(finding)]


def _picture(record: dict[str, Any], finding: dict[str, Any], heat: Any) -> dict[str, Any]:
    film = read_film(record["image"])
    return {
        "film": film,
        "heat": heat,
        "boxes": finding.get("boxes", []),
        "mask": finding_mask(finding, film.shape) if finding.get("mask") else None,
        "regions": [],
        "title": finding["text"],
    }
