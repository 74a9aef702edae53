"""Each network with an image alone: the same numbers as by its own way in, and weights from its own files."""

import pytest
import torch
from torch import nn

from scripts.networks import FVLM, ExamClassifier, PooledTextEncoder, VolumeEncoder
from scripts.networks.image_only import ImageOnly
from tests import small_afloc, small_nasvlm

BERT = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def rand(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def nasvlm(tmp_path):
    return small_nasvlm.new_network(small_nasvlm.write_text_model(tmp_path / "text")).eval()


@torch.inference_mode()
def test_a_film_gives_its_report_embedding(tmp_path):
    network = small_afloc.new_network(small_afloc.write_text_model(tmp_path / "text")).eval()
    films = rand(2, 1, 40, 40)
    assert torch.equal(ImageOnly(network)(films), network.image_encoder(films).report)


@torch.inference_mode()
def test_an_image_is_an_exam_of_its_own(nasvlm):
    images = rand(3, 3, 64, 64)
    embeddings = ImageOnly(nasvlm)(images)
    alone = [nasvlm.encode_exams(image[None], torch.tensor([[0]])).exam for image in images]
    torch.testing.assert_close(embeddings, torch.cat(alone))


@torch.inference_mode()
def test_a_classifier_gives_probabilities(nasvlm):
    network = ExamClassifier(nasvlm.exam_encoder, ["NOR", "BH", "NPC"]).eval()
    images = rand(2, 3, 64, 64)
    probabilities = ImageOnly(network)(images)
    expected = network.classify(images, torch.tensor([[0], [1]])).logits.softmax(1)
    torch.testing.assert_close(probabilities, expected)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2))


@torch.inference_mode()
def test_each_anatomy_looks_at_the_whole_volume():
    torch.manual_seed(0)
    encoder = VolumeEncoder((16, 16, 16), (8, 8, 8), hidden_size=16, mlp_size=16, layers=2, heads=2, levels=(0,))
    texts = PooledTextEncoder({**BERT, "max_position_embeddings": 16}, embedding_size=8)
    network = FVLM(encoder, texts, ["lung", "heart"]).eval()
    nn.init.normal_(network.pooling.query_tokens)
    volumes = rand(2, 1, 16, 16, 16)
    embeddings = ImageOnly(network)(volumes)
    assert embeddings.shape == (2, 8, 2)
    for number in range(2):
        everywhere = torch.full((2, 16, 16, 16), number + 1)
        torch.testing.assert_close(embeddings[..., number], network.encode_volumes(volumes, everywhere)[0][:, number])


def test_weights_come_as_the_networks_own_or_in_a_file_of_ours(nasvlm):
    network = ImageOnly(nasvlm)
    state = {key: value + 1 for key, value in nasvlm.state_dict().items()}
    for given in (state, {"network": state, "format": 1}):
        nasvlm.load_state_dict({key: torch.zeros_like(value) for key, value in state.items()})
        network.load_state_dict(given)
        assert all(torch.equal(value, state[key]) for key, value in nasvlm.state_dict().items())


def test_a_stem_without_bias_keeps_its_output_and_its_weights_names():
    stem = VolumeEncoder((16, 16, 16), (8, 8, 8), 16, 16, 1, 2, (), density_windows=[(0.0, 0.5), (0.2, 0.4)], stem=[4])
    texts = PooledTextEncoder({**BERT, "max_position_embeddings": 16}, embedding_size=8)
    network = FVLM(stem, texts, ["lung"]).eval()
    volumes, masks, names = rand(1, 1, 16, 16, 16), torch.ones(1, 16, 16, 16), list(network.state_dict())
    with torch.inference_mode():
        before = network.encode_volumes(volumes, masks)[0]
        assert torch.equal(ImageOnly(network)(volumes)[..., 0], before[:, 0])
    assert list(network.state_dict()) == names


def test_another_network_is_refused():
    with pytest.raises(TypeError, match="Linear has no prediction"):
        ImageOnly(nn.Linear(2, 2))
