"""Heat maps of fixed films while a small AFLoc is trained."""

import functools

import cv2
import numpy as np
import pytest
import torch
from ignite.engine import Engine

from scripts.data.tokenizers import ReportTokenizer
from scripts.handlers import TrainingHeatMaps
from scripts.inferers import PhraseLocalizer
from tests.small_afloc import new_network, reading, write_text_model


class Figures(list):
    """A tracker that keeps what it is given."""

    def log_figure(self, name, figure, step=None):
        figure.canvas.draw()
        heats = [np.asarray(axis.images[1].get_array()) for axis in figure.axes if axis.images]
        self.append((name, step, [axis.get_title() for axis in figure.axes if axis.images], heats))


@pytest.fixture
def records(tmp_path):
    films = [np.random.default_rng(place).integers(0, 255, (50, 40 + place), np.uint8) for place in range(5)]
    for place, film in enumerate(films):
        cv2.imwrite(str(tmp_path / f"{place}.png"), film)
    (tmp_path / "2.png").write_bytes(b"torn")
    findings = [
        [{"label": "mass", "text": "left mass"}],  # says not where
        [{"label": "scar", "text": "no place"}, {"label": "cyst", "text": "left cyst", "boxes": [[3, 4, 10, 12]]}],
        *([{"label": "edema", "text": f"edema {place}", "boxes": [[1, 1, 9, 9]]}] for place in (2, 3, 4)),
    ]
    return [
        {"study_id": f"s{place}", "patient_id": f"p{place}", "image": str(tmp_path / f"{place}.png"), "findings": found}
        for place, found in enumerate(findings)
    ]


def test_the_same_films_each_epoch_as_the_network_changes(records, tmp_path):
    network = new_network(write_text_model(tmp_path / "text"))
    localizer = functools.partial(PhraseLocalizer, network, ReportTokenizer(tmp_path / "text"), 32)
    figures = Figures()

    def step(engine, batch):
        network.train()
        with torch.no_grad():
            for value in network.parameters():
                value += 0.1 * torch.randn_like(value)

    trainer = Engine(step)
    trainer.state.device = torch.device("cpu")
    TrainingHeatMaps(records, reading(), localizer, figures, films=3).attach(trainer)
    trainer.run([0, 1], max_epochs=2)
    first, second = figures
    # The film without a place and the torn one are passed over, the fifth is one too many.
    assert first[:3] == ("heat_maps", 2, ["left cyst", "edema 3"]) and second[:3] == ("heat_maps", 4, first[2])
    assert all(heat.shape[:2] == (50, width) for heat, width in zip(first[3], (41, 43), strict=True))
    assert all(np.abs(one.astype(float) - other).max() > 0 for one, other in zip(first[3], second[3], strict=True))


def test_nothing_is_drawn_without_a_located_finding(records):
    figures, trainer = Figures(), Engine(lambda engine, batch: None)
    TrainingHeatMaps(records[:1], reading(), None, figures).attach(trainer)
    trainer.run([0])
    assert not figures
