"""Centring of a fresh FVLM: what all volumes, and all texts, share is taken out, and nothing else changes."""

import copy

import pytest
import torch

from scripts.networks import FVLM, PooledTextEncoder, VolumeEncoder
from scripts.networks.anatomy_pooling import anatomy_tokens

SIZE, PATCH, NAMES = (16, 16, 16), (8, 8, 8), ["lung", "heart", "aorta"]
BERT = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture
def network():
    torch.manual_seed(0)
    encoder = VolumeEncoder(SIZE, PATCH, hidden_size=16, mlp_size=16, layers=2, heads=2, levels=(0,), dropout=0.2)
    return FVLM(encoder, PooledTextEncoder({**BERT, "max_position_embeddings": 16}, embedding_size=8), NAMES)


@pytest.fixture(scope="module")
def batch():
    """Six volumes; nobody has an aorta, half of them have no heart. Twelve texts of three lengths."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(6, 1, *SIZE, generator=generator)
    masks = torch.zeros(6, *SIZE, dtype=torch.uint8)
    masks[:, 2:14, 2:9, 2:14] = 1
    masks[::2, 4:9, 10:15, 4:12] = 2
    lengths = torch.tensor([5, 7, 9]).repeat(4)
    attention = (torch.arange(9) < lengths[:, None]).long()
    tokens = torch.randint(5, 40, (12, 9), generator=generator) * attention
    ids = torch.randint(0, 12, (6, 3), generator=generator)
    inputs = {"masks": masks, "tokens": tokens, "attention_mask": attention, "text_index": ids, "text_ids": ids}
    return images, {**inputs, "normal": torch.zeros(6, 3, dtype=torch.bool)}


@torch.no_grad()
def embed(network, batch):
    """Features before they are brought to length 1: of each anatomy, and of the texts."""
    images, inputs = batch
    network = copy.deepcopy(network).eval()
    member, _ = anatomy_tokens(inputs["masks"], len(NAMES), PATCH)
    features = network.pooling(network.volume_encoder(images), member)
    return features, member.any(2), network.text_encoder(inputs["tokens"], inputs["attention_mask"])


def likeness(rows):
    """Mean cosine between different rows."""
    rows = torch.nn.functional.normalize(rows, dim=1)
    return float(((rows @ rows.T).sum() - len(rows)) / (len(rows) * (len(rows) - 1)))


def test_what_all_share_is_gone_anatomy_by_anatomy(network, batch):
    old, present, old_texts = embed(network, batch)
    network.center(*batch)
    features, _, texts = embed(network, batch)
    for index in range(2):
        mean, was = (part[present[:, index], index].mean(0) for part in (features, old))  # of those who have it
        assert float(mean.abs().max()) < 1e-6 < 1e-2 < float(was.abs().max())
        moved = (features - old)[:, index]
        torch.testing.assert_close(moved, moved[:1].expand_as(moved), rtol=0, atol=1e-6)
    assert float(texts.mean(0).abs().max()) < 1e-6 < 1e-2 < float(old_texts.mean(0).abs().max())
    moved = texts - old_texts
    torch.testing.assert_close(moved, moved[:1].expand_as(moved), rtol=0, atol=1e-6)
    assert likeness(old[:, 0]) > 0.9 and likeness(features[:, 0]) < 0.1
    assert likeness(texts) < 0.1 < likeness(old_texts)


def test_an_anatomy_that_nobody_has_stays_as_it_is(network, batch):
    before = copy.deepcopy(network.state_dict())
    network.center(*batch)
    bias, was = network.pooling.projection_bias.detach(), before["pooling.projection_bias"]
    assert torch.equal(bias[2], was[2]) and not torch.equal(bias[0], was[0])
    assert bias.isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_nothing_else_changes_and_dropout_has_no_say(network, batch, training):
    network.train(training)
    before, random_state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    network.center(*batch)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"pooling.projection_bias", "text_encoder.projection.bias"}
    assert network.training == training and torch.equal(torch.get_rng_state(), random_state)
    assert all(parameter.requires_grad for name, parameter in network.named_parameters() if "token_type" not in name)
