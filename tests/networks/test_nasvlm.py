"""NasVLM: exams of any number of images, sentences encoded once, both kinds of image encoder."""

import math

import pytest
import torch

from scripts.losses import NasVLMLoss
from scripts.networks import ExamEncoder, ImageEncoder, NasVLM, PooledTextEncoder
from scripts.networks.exams.pooling import GatedAttentionPooling
from tests.small_nasvlm import SENTENCES, SIZE, new_batch, new_image_encoder, new_network, write_text_model

KINDS = [("resnet", "sentences"), ("resnet", "words"), ("vit", "sentences")]


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return write_text_model(tmp_path_factory.mktemp("text"))


def lengths(embeddings):
    return embeddings.norm(dim=-1)


@pytest.mark.parametrize(("kind", "level"), KINDS)
def test_embeddings(text_model, kind, level):
    network, (images, inputs) = new_network(text_model, kind, level).eval(), new_batch(text_model)
    with torch.inference_mode():
        exams, texts = network(images, **inputs)
    patches = {"sentences": 16, "words": 64}[level]
    assert exams.exam.shape == (3, SIZE) and exams.images.shape == (3, 3, SIZE) and exams.patches.shape == (3, 3, patches, SIZE)
    assert texts.report.shape == (3, SIZE) and texts.sentences.shape == (3, 4, SIZE)
    assert exams.image_mask.tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    assert torch.equal(texts.sentence_mask, inputs["sentence_index"] >= 0)
    assert torch.equal(texts.regions, inputs["sentence_region"]) and torch.equal(texts.findings, inputs["statement_id"])
    for embeddings, there in (
        (exams.exam, torch.ones(3)),
        (exams.images, exams.image_mask.float()),
        (exams.patches, exams.image_mask.float()[..., None].expand(-1, -1, patches)),
        (texts.report, torch.ones(3)),
        (texts.sentences, texts.sentence_mask.float()),
    ):
        torch.testing.assert_close(lengths(embeddings), there)
    torch.testing.assert_close(exams.attention.sum(1), torch.ones(3))
    assert not exams.attention[~exams.image_mask].any()
    assert float(exams.temperature) == pytest.approx(0.07)


def test_an_exam_is_the_same_alone_and_in_any_order(text_model):
    network, (images, inputs) = new_network(text_model).eval(), new_batch(text_model)
    with torch.inference_mode():
        exams, texts = network(images, **inputs)
        alone = network.encode_exams(images[[5, 4]], torch.tensor([[0, 1]]))
        inputs["sentence_index"] = inputs["sentence_index"][2:, [2, 0, 1]]
        reordered = network(images, **inputs)[1]
    torch.testing.assert_close(alone.exam[0], exams.exam[2])
    torch.testing.assert_close(alone.images[0], exams.images[2, [1, 0]])
    torch.testing.assert_close(alone.patches[0], exams.patches[2, [1, 0]])
    torch.testing.assert_close(reordered.report[0], texts.report[2])


def test_each_sentence_is_encoded_once(text_model, monkeypatch):
    network, (images, inputs) = new_network(text_model).eval(), new_batch(text_model)
    seen = []
    forward = network.text_encoder.forward
    monkeypatch.setattr(network.text_encoder, "forward", lambda tokens, mask: seen.append(len(tokens)) or forward(tokens, mask))
    texts = network(images, **inputs)[1]
    assert seen == [len(SENTENCES)]
    assert torch.equal(texts.sentences[1, 0], texts.sentences[2, 0])  # the same sentence in two reports


@pytest.mark.parametrize(("kind", "level"), KINDS)
def test_a_training_step_reaches_every_parameter_that_is_not_frozen(text_model, kind, level):
    network, (images, inputs) = new_network(text_model, kind, level).train(), new_batch(text_model)
    NasVLMLoss()(*network(images, **inputs))["loss"].backward()
    frozen = {"text_encoder.bert.embeddings.token_type_embeddings.weight"}
    if kind == "resnet":
        frozen |= {f"exam_encoder.image_encoder.{'sentence' if level == 'words' else 'word'}_head.weight"}
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert without == frozen
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters() if parameter.grad is not None)


def test_the_temperature_stays_within_its_bounds(text_model):
    network, (images, inputs) = new_network(text_model).eval(), new_batch(text_model)
    for pushed, kept in ((100.0, 0.01), (-100.0, 0.5)):
        with torch.no_grad():
            network.logit_scale.fill_(pushed)
        assert float(network(images, **inputs)[0].temperature.detach()) == pytest.approx(kept)
    assert math.isfinite(float(network.temperature.detach()))


def test_sizes_that_do_not_fit(text_model):
    text_encoder = PooledTextEncoder(str(text_model), pretrained=False, embedding_size=SIZE)
    with pytest.raises(ValueError, match="image encoder embeds into 8 dimensions, the text encoder into 16"):
        NasVLM(ImageEncoder("resnet18", 8, 64, 0.125), text_encoder)


@pytest.mark.parametrize(("kind", "level", "known"), [("vit", "words", "sentences"), ("resnet", "letters", "words or sentences")])
def test_unknown_patch_levels(kind, level, known):
    with pytest.raises(ValueError, match=f"patch_level must be {known} with this image encoder, got '{level}'"):
        ExamEncoder(new_image_encoder(kind), level)


def test_gated_attention_by_hand():
    torch.manual_seed(0)
    pooling = GatedAttentionPooling(4, 3).double()
    items, mask = torch.randn(2, 3, 4, dtype=torch.float64), torch.tensor([[True, False, True], [False, False, False]])
    pooled, weights = pooling(items, mask)
    scores = [
        (pooling.weight.weight[0] * (pooling.content(item)).tanh() * (1 / (1 + (-pooling.gate(item)).exp()))).sum()
        for item in items[0, [0, 2]]
    ]
    shares = torch.stack(scores).softmax(0)
    torch.testing.assert_close(weights, torch.stack([torch.stack([shares[0], shares[0] * 0, shares[1]]), torch.zeros(3)]))
    torch.testing.assert_close(pooled[0], shares[0] * items[0, 0] + shares[1] * items[0, 2])
    assert not pooled[1].any()
    pooled.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in pooling.parameters())


def test_the_vision_transformer_tells_places_apart():
    """A patch's own content moves its own token most, and moving the image's patches moves the map."""
    encoder = new_image_encoder("vit").eval()
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    changed = image.clone()
    changed[..., 16:32, 48:64] = 0
    with torch.inference_mode():
        before, after = encoder.stages(image)[-1], encoder.stages(changed)[-1]
        mean = encoder.report_map(before).mean((2, 3))
        torch.testing.assert_close(mean, encoder.report_head(before.mean((2, 3))))
    moved = (after - before).norm(dim=1)[0]
    assert moved.argmax() == 1 * 4 + 3
    with pytest.raises(ValueError, match="must be a multiple of patch_size"):
        type(encoder)(input_size=60, patch_size=16)
