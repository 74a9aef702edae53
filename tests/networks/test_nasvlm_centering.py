"""Centring of a fresh NasVLM: its embeddings differ from the start, and nothing else changes."""

import copy

import pytest
import torch

from tests.small_nasvlm import new_batch, new_network, write_text_model


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return write_text_model(tmp_path_factory.mktemp("text"))


def likeness(rows):
    """Mean cosine between different rows of length 1."""
    return float(((rows @ rows.T).sum() - len(rows)) / (len(rows) * (len(rows) - 1)))


@torch.no_grad()
def embed(network, images, inputs):
    """Images, patches and sentences as a training step embeds them, without dropout and without a trace in the network."""
    network = copy.deepcopy(network).train()
    network.text_encoder.eval()
    exams, texts = network(images, **inputs)
    return exams.images[exams.image_mask], exams.patches[exams.image_mask].flatten(0, 1), texts.sentences[texts.sentence_mask]


@pytest.mark.parametrize(("kind", "level"), [("resnet", "sentences"), ("resnet", "words"), ("vit", "sentences")])
def test_images_patches_and_sentences_differ_from_the_start(text_model, kind, level):
    network, (images, inputs) = new_network(text_model, kind, level), new_batch(text_model)
    old, before = copy.deepcopy(network.state_dict()), embed(network, images, inputs)
    network.center(images, inputs)
    after = embed(network, images, inputs)
    for part, was in zip(after, before, strict=True):
        assert likeness(part) < min(0.3, likeness(was)), (likeness(part), likeness(was))
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, old[key])}
    encoder = "exam_encoder.image_encoder"
    heads = {f"{encoder}.report_head.bias", f"{encoder}.{level.removesuffix('s')}_head.weight"}
    statistics = {key for key in changed if key.split(".")[-1] in ("running_mean", "running_var", "num_batches_tracked")}
    assert changed - statistics == heads | {"text_encoder.projection.bias"}
    assert network.training
