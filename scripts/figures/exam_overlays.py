"""Pictures of what was said of exams: every image with its share of the answer, and heat maps where there are any."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events

from scripts.figures.localization import grid_figure
from scripts.files.atomic import atomic_path
from scripts.inferers.regions import Region
from scripts.predictions.predictions import finding_name
from scripts.readers.frame import read_frame

COLUMNS = 4


class ExamOverlays:
    """Write a picture of each exam; reads "pictures", [(case id, panels)], of an engine's output, see `exam_picture`.

    Args:
        folder: receives a PNG for each exam.
        exams: exams of a run that get a picture, the first ones.
    """

    def __init__(self, folder: str | Path, exams: int = 20) -> None:
        self.folder, self.exams = Path(folder), exams

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._draw)

    def _start(self, engine: Engine) -> None:
        self._left = self.exams

    def _draw(self, engine: Engine) -> None:
        for case_id, panels in engine.state.output["pictures"][: self._left]:
            self._left -= 1
            figure = grid_figure([exam_picture(**panel) for panel in panels], COLUMNS)
            with atomic_path(self.folder / f"{finding_name(case_id, 0)}.png") as path:
                figure.savefig(path)


def exam_picture(
    path: str | Path,
    heat: np.ndarray | None,
    title: str,
    mask: np.ndarray | None = None,
    regions: Sequence[Region] = (),
) -> dict[str, Any]:
    """A panel for `scripts.figures.localization.grid_figure`: an image in its own pixels, [H, W, 3], with what belongs to it."""
    return {"film": read_frame(path) / 255, "heat": heat, "boxes": (), "mask": mask, "regions": list(regions), "title": title}
