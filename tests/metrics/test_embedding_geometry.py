"""Alignment and uniformity: by hand, at their ends, and over an epoch."""

import math

import pytest
import torch
from ignite.engine import Engine

from scripts.metrics.embedding_geometry import Alignment, Uniformity, alignment, uniformity


def pairs(size=9):
    generator = torch.Generator().manual_seed(size)
    images = torch.randn(size, 5, generator=generator)
    return images, images + torch.randn(size, 5, generator=generator)


def slow_uniformity(embeddings):
    rows = [[float(value) / math.hypot(*row) for value in row] for row in embeddings.tolist()]
    potentials = [math.exp(-2 * math.dist(a, b) ** 2) for index, a in enumerate(rows) for b in rows[:index]]
    return math.log(sum(potentials) / len(potentials))


def slow_alignment(images, texts):
    cosines = [torch.dot(a, b) / (a.norm() * b.norm()) for a, b in zip(images, texts, strict=True)]
    return float(sum(2 - 2 * cosine for cosine in cosines)) / len(cosines)


def test_they_are_those_of_a_loop_and_lengths_do_not_count():
    images, texts = pairs()
    assert uniformity(images * torch.arange(1, 10)[:, None]) == pytest.approx(slow_uniformity(images), abs=1e-6)
    assert alignment(images, texts * 7) == pytest.approx(slow_alignment(images, texts), abs=1e-6)


def test_their_ends():
    images, _ = pairs(400)
    assert uniformity(torch.ones(4, 3)) == 0 == alignment(images, images * 2)
    assert alignment(images, -images) == pytest.approx(4)
    assert uniformity(torch.randn(400, 256, generator=torch.Generator().manual_seed(0))) == pytest.approx(-4, abs=0.1)
    assert math.isnan(uniformity(images[:1])) and math.isnan(alignment(images * math.nan, images))


def test_an_epoch_is_one_set_however_it_is_cut():
    images, texts = pairs()
    engine = Engine(lambda engine, rows: {"image_embeddings": images[rows], "text_embeddings": texts[rows], "loss": 1.0})
    Alignment().attach(engine, "alignment")
    Uniformity("image").attach(engine, "images")
    Uniformity("text").attach(engine, "texts")
    for _ in range(2):  # the second epoch starts anew
        metrics = engine.run([slice(0, 4), slice(4, 8), slice(8, 9)]).metrics
        assert metrics["alignment"] == pytest.approx(slow_alignment(images, texts), abs=1e-6)
        assert metrics["images"] == pytest.approx(slow_uniformity(images), abs=1e-6)
        assert metrics["texts"] == pytest.approx(slow_uniformity(texts), abs=1e-6)
