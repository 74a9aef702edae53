"""AFLoc's loss by hand: what each level's weight and temperatures do."""

import math

import pytest
import torch

from scripts.losses import AFLocLoss
from scripts.networks import ImageEmbeddings, TextEmbeddings

# One region an image and one unit a text, both of length 1: whatever the attention, its context is the region, so that every level
# is the contrast of a 2x2 table of cosines. Own pairs have cosine 1, others 0: a level of scale s gives 2 * log(1 + exp(-s)).
EYE = torch.eye(2, dtype=torch.float64)
LENGTHS = torch.ones(2, dtype=torch.int64)


def embeddings(sentences=EYE, words=EYE):
    """Two films and their reports; the report level is told apart as well as can be."""
    images = ImageEmbeddings(EYE, sentences[:, :, None, None], words[:, :, None, None])
    return images, TextEmbeddings(EYE, EYE[:, :, None], EYE[:, :, None], LENGTHS, LENGTHS)


def level(scale):
    return 2 * math.log1p(math.exp(-scale))


def test_each_level_has_its_temperatures():
    """With one unit the score is t3 * log(exp(t2 * cosine)) = t3 * t2 * cosine; the report's is t3 * cosine."""
    loss = AFLocLoss(matching_temperature=1.5, score_temperature=0.5)(*embeddings())
    assert float(loss["report"]) == pytest.approx(level(0.5), rel=1e-9)
    assert float(loss["sentences"]) == pytest.approx(level(0.75), rel=1e-9)
    assert float(loss["words"]) == pytest.approx(level(0.75), rel=1e-9)


def test_the_attention_temperature_sharpens_where_a_unit_looks():
    """Two regions, (1, 0) and (0, 1), and texts of two units, (1, 0) and (0, 1): over the units a region's attention is
    a = softmax(1, 0), so that a unit's weight on its own region is w = sigmoid(t1 * (2a - 1)) and its cosine w / |(w, 1 - w)|.
    """
    regions = torch.stack([EYE, -EYE])[..., None]
    units = torch.stack([EYE, -EYE])
    two = torch.full((2,), 2)
    images, texts = ImageEmbeddings(EYE, regions, regions), TextEmbeddings(EYE, units, units, two, two)
    shares = torch.sigmoid(torch.tensor([1.0, -1.0], dtype=torch.float64))
    for t1 in (0.5, 8.0):
        own, other = (torch.sigmoid(t1 * (2 * share - 1)) for share in shares)
        near = own / torch.hypot(own, 1 - own)  # a unit and what it finds on its own film
        far = -other / torch.hypot(other, 1 - other)  # and on the other, where all signs are turned
        expected = level(float(0.1 * 2 * (near - far)))
        loss = AFLocLoss(attention_temperature=t1, matching_temperature=2.0, score_temperature=0.1)(images, texts)
        assert float(loss["sentences"]) == pytest.approx(expected, rel=1e-9)
        assert float(loss["words"]) == pytest.approx(expected, rel=1e-9)


def test_each_level_has_its_weight():
    """Cosines of own pairs differ by level: 1 for reports, .6 for sentences, -1 for words."""
    temperatures = {"matching_temperature": 2.0, "score_temperature": 0.5}
    sentences = torch.tensor([[0.6, 0.8], [0.8, 0.6]], dtype=torch.float64)
    loss = AFLocLoss(0.5, 2.0, 3.0, **temperatures)(*embeddings(sentences, -EYE))
    levels = {"report": level(0.5), "sentences": level(0.6 - 0.8), "words": level(-1.0)}
    for name, value in levels.items():
        assert float(loss[name]) == pytest.approx(value, rel=1e-9)
    assert float(loss["loss"]) == pytest.approx(0.5 * levels["report"] + 2 * levels["sentences"] + 3 * levels["words"], rel=1e-9)
