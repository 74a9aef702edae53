import copy

import pytest
import torch
import torch.nn.functional as F

from scripts.engines.batches import center_on_first_batch
from scripts.loading.dataset import CaseDataset
from scripts.loading.image_batches import ImageCollate
from scripts.reports.sections import report_sentences
from scripts.reports.tokens.tokenizers import ReportTokenizer
from tests.small_afloc import CASES, new_network, reading, write_cases, write_text_model


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A text model and a batch of different films with different reports."""
    folder = tmp_path_factory.mktemp("cases")
    text_model = write_text_model(folder / "text")
    data = CaseDataset(write_cases(folder), reading())
    items = [data[index] for index in range(CASES)]
    for item in items:
        item["report"] = ". ".join(report_sentences(item["report"]))
    return text_model, ImageCollate(ReportTokenizer(text_model))(items)


def fresh(text_model, dropout=None):
    torch.manual_seed(0)
    # At 32 pixels stage 4 is one pixel, whose mean over a batch is 0 already.
    network = new_network(text_model, input_size=160)
    if dropout is not None:
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
    return network


def likeness(embeddings):
    """Mean cosine between different rows."""
    rows = F.normalize(embeddings, dim=1)
    count = len(rows)
    return float(((rows @ rows.T).sum() - count) / (count * (count - 1)))


@torch.no_grad()
def embed(network, batch):
    """As a training step does, without a trace in the network."""
    return copy.deepcopy(network).train()(batch["images"], **batch["inputs"])


def test_films_and_reports_differ_from_the_start(material):
    text_model, batch = material
    network = fresh(text_model)
    images, texts = embed(network, batch)
    assert likeness(images.report) > 0.9 and likeness(texts.report) > 0.9
    network.center(batch["images"], batch["inputs"])
    images, texts = embed(network, batch)
    assert likeness(images.report) < 0.5 and likeness(texts.report) < 0.5
    network.text_encoder.eval()  # without dropout, as an evaluation embeds reports
    with torch.no_grad():
        assert likeness(network.text_encoder(**batch["inputs"]).report) < 0.5


def test_what_all_share_is_gone(material):
    text_model, batch = material
    network = fresh(text_model, dropout=0.0)
    before = embed(network, batch)
    network.center(batch["images"], batch["inputs"])
    images, texts = embed(network, batch)
    for embedded, old in ((images.report, before[0].report), (texts.report, before[1].report)):
        assert float(embedded.mean(0).abs().max()) < 1e-5 < float(old.mean(0).abs().max())
    for maps, old in ((images.sentences, before[0].sentences), (images.words, before[0].words)):
        shared, was = maps.mean((0, 2, 3)).abs().max(), old.mean((0, 2, 3)).abs().max()
        assert float(shared) < 1e-5 and float(was) > 1e-3 and float(maps.std()) > 1e-3
    # Films keep their differences: all reports moved by the same vector.
    moved = images.report - before[0].report
    torch.testing.assert_close(moved, moved[:1].expand_as(moved), rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_else_changes(material, training):
    text_model, batch = material
    network = fresh(text_model).train(training)
    old = copy.deepcopy(network.state_dict())
    # Running statistics move as in one training step on the same films: the first of many, which later ones forget.
    step = fresh(text_model).train()
    step(batch["images"], **batch["inputs"])
    network.center(batch["images"], batch["inputs"])
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, old[key])}
    statistics = {key for key in old if key.split(".")[-1] in ("running_mean", "running_var", "num_batches_tracked")}
    heads = {f"image_encoder.{name}" for name in ("report_head.bias", "sentence_head.weight", "word_head.weight")}
    assert changed == statistics | heads | {"text_encoder.bert.encoder.layer.2.output.LayerNorm.bias"}
    assert all(torch.equal(network.state_dict()[key], step.state_dict()[key]) for key in statistics)
    assert network.training == training and all(parameter.requires_grad for parameter in network.parameters())


def test_the_first_batch_of_a_loader(material):
    text_model, batch = material
    one, other = fresh(text_model, dropout=0.0), fresh(text_model, dropout=0.0)
    center_on_first_batch(one, [batch], torch.device("cpu"))
    other.center(batch["images"], batch["inputs"])
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_network_follows_its_films_to_the_device(material):
    text_model, batch = material
    network = fresh(text_model)
    center_on_first_batch(network, [batch], torch.device("cuda"))
    assert all(parameter.is_cuda for parameter in network.parameters())
