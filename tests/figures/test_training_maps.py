"""Heat maps of fixed cases while small networks are trained."""

import functools

import cv2
import numpy as np
import pytest
import torch
from ignite.engine import Engine

from scripts.figures import ExamMaps, FilmMaps, TrainingHeatMaps, VolumeMaps
from scripts.files.read_error import ReadError
from scripts.inferers import AnatomyClassifier, ExamLocalizer, ExamPromptClassifier, PhraseLocalizer
from scripts.networks import FVLM, PooledTextEncoder, VolumeEncoder
from scripts.predictions.masks import write_mask
from scripts.reports.by_anatomy.prompts import FindingPrompts
from scripts.reports.tokens.text_models import train_text_model
from scripts.reports.tokens.text_tokenizer import TextTokenizer
from scripts.reports.tokens.tokenizers import ReportTokenizer
from scripts.transforms.letterbox import Letterbox
from tests import small_nasvlm
from tests.small_afloc import new_network, reading, write_text_model
from tests.small_nasvlm import SENTENCES


class Figures(list):
    """A tracker that keeps what it is given."""

    def log_figure(self, name, figure, step=None):
        figure.canvas.draw()
        heats = [np.asarray(axis.images[1].get_array()) for axis in figure.axes if axis.images]
        self.append((name, step, [axis.get_title() for axis in figure.axes if axis.images], heats))


@pytest.fixture
def records(tmp_path):
    films = [np.random.default_rng(index).integers(0, 255, (50, 40 + index), np.uint8) for index in range(5)]
    for index, film in enumerate(films):
        cv2.imwrite(str(tmp_path / f"{index}.png"), film)
    (tmp_path / "2.png").write_bytes(b"torn")
    findings = [
        [{"label": "mass", "text": "left mass"}],  # says not where
        [{"label": "scar", "text": "no place"}, {"label": "cyst", "text": "left cyst", "boxes": [[3, 4, 10, 12]]}],
        *([{"label": "edema", "text": f"edema {index}", "boxes": [[1, 1, 9, 9]]}] for index in (2, 3, 4)),
    ]
    return [
        {"study_id": f"s{index}", "patient_id": f"p{index}", "image": str(tmp_path / f"{index}.png"), "findings": found}
        for index, found in enumerate(findings)
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
    TrainingHeatMaps(FilmMaps(records, reading(), localizer, "cxr", most=3), figures).attach(trainer)
    trainer.run([0, 1], max_epochs=2)
    first, second = figures
    # The film without a place and the torn one are passed over, the fifth is one too many.
    assert first[:3] == ("heat_maps", 2, ["left cyst", "edema 3"]) and second[:3] == ("heat_maps", 4, first[2])
    assert all(heat.shape[:2] == (50, width) for heat, width in zip(first[3], (41, 43), strict=True))
    assert all(np.abs(one.astype(float) - other).max() > 0 for one, other in zip(first[3], second[3], strict=True))


def test_nothing_is_drawn_without_a_located_finding(records):
    figures, trainer = Figures(), Engine(lambda engine, batch: None)
    trainer.state.device = torch.device("cpu")
    TrainingHeatMaps(FilmMaps(records[:1], reading(), None, "cxr"), figures).attach(trainer)
    trainer.run([0])
    assert not figures


NODULE = FindingPrompts("nodule", "lung", ("A nodule.",), ("No nodule.",))
STENT = FindingPrompts("stent", "aorta", ("A stent.",), ("No stent.",))


def read_volume(record):
    """A lung; in volume b an aorta as well."""
    if record["volume_id"] == "torn":
        raise ReadError("torn.nii.gz", "is cut short")
    image = torch.rand(1, 16, 32, 32, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 16, 32, 32, dtype=torch.uint8)
    mask[:, 4:12, 4:20, 4:28] = 1
    mask[:, 2:14, 22:30, 8:16] = 2 if record["volume_id"] == "b" else 0
    return {**record, "image": image, "anatomy_mask": mask}


def test_volumes_show_the_first_finding_that_is_there_in_an_anatomy_that_is_seen(tmp_path):
    torch.manual_seed(0)
    folder = train_text_model(["A nodule. No nodule. A stent. No stent."], tmp_path, hidden_size=16, layers=2, heads=2)
    encoder = VolumeEncoder((16, 32, 32), (4, 8, 8), hidden_size=24, mlp_size=32, layers=2, heads=4, levels=(0,))
    network = FVLM(encoder, PooledTextEncoder(str(folder), pretrained=False, embedding_size=8), ["lung", "aorta"]).train()
    with torch.no_grad():
        network.pooling.query_tokens.normal_()
    labels = {
        "healthy": {"nodule": 0, "stent": 0},
        "a": {"nodule": 1, "stent": 1},
        "torn": {"nodule": 1},
        "b": {"nodule": 0, "stent": 1},
        "unseen": {"stent": 1},
        "many": {"nodule": 1},
    }
    records = [{"volume_id": name, "patient_id": name, "labels": known} for name, known in labels.items()]
    prompts = [STENT, NODULE]
    tokenizer = TextTokenizer(folder, max_tokens=16)
    maps = VolumeMaps(
        records, read_volume, prompts, lambda: AnatomyClassifier(network, tokenizer, prompts, window=(16, 32, 32)), most=4
    )
    panels = maps(torch.device("cpu"))
    assert [panel["title"].split(",")[0] for panel in panels] == ["nodule (lung)", "stent (aorta)"] and not network.training
    lung, aorta = (panel["mask"] for panel in panels)
    assert np.argwhere(lung).min(0).tolist() == [4, 4] and np.argwhere(aorta).min(0).tolist() == [22, 8]
    assert all(panel["film"].shape == panel["heat"].shape == (32, 32) for panel in panels)
    assert 0 < max(panel["heat"].max() for panel in panels) <= 1
    assert VolumeMaps(records[:1], read_volume, prompts, None)(torch.device("cpu")) == []


def test_exams_show_the_image_with_the_finding(tmp_path):
    cv2.imwrite(str(tmp_path / "polyp.png"), np.arange(7200, dtype=np.uint8).reshape(40, 60, 3))
    truth = np.zeros((40, 60), bool)
    truth[5:25, 10:40] = True
    write_mask(tmp_path / "truth.png", truth)
    placed = {"image_index": 2, "label": "polyp", "text": SENTENCES[2], "mask": str(tmp_path / "truth.png")}
    found = {"normal": [], "elsewhere": [{**placed, "image_index": 1}], "strange": [{**placed, "label": "cyst"}], "polyp": [placed]}
    images = ["", "", str(tmp_path / "polyp.png")]
    records = [{"exam_id": name, "patient_id": name, "images": images, "findings": findings} for name, findings in found.items()]

    def read(record):
        generator = torch.Generator().manual_seed(5)
        views = [Letterbox((40, 60), 64)] * 2
        return {**record, "images": torch.rand(2, 3, 64, 64, generator=generator), "image_indices": [0, 2], "views": views}

    folder = small_nasvlm.write_text_model(tmp_path / "text")
    network = small_nasvlm.new_network(folder)
    prompts = {
        "NOR": {"positive": [SENTENCES[4]], "negative": []},
        "NPC": {"positive": [SENTENCES[5]], "negative": []},
        "polyp": {"positive": [SENTENCES[2]], "negative": [SENTENCES[3]]},
    }
    localizer = functools.partial(ExamLocalizer, network, TextTokenizer(folder, max_tokens=32), size=64)
    (panel,) = ExamMaps(records, read, lambda: ExamPromptClassifier(localizer(), prompts, ["NOR", "NPC"]))(torch.device("cpu"))
    assert panel["title"] == "polyp (polyp)" and np.array_equal(panel["mask"], truth) and panel["heat"].shape == (40, 60)
    assert ExamMaps(records[:1], read, None)(torch.device("cpu")) == []
