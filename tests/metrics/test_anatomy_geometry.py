"""Alignment and uniformity by anatomy: against each anatomy by itself, and who counts."""

import math

import pytest
import torch
import torch.nn.functional as F
from ignite.engine import Engine

from scripts.metrics import AnatomyGeometry
from scripts.metrics.embedding_geometry import alignment, uniformity
from scripts.networks.fvlm import AnatomyEmbeddings, AnatomyTexts

PATIENTS, ANATOMIES = 12, 4


def epoch(present, normal):
    """Metrics of an epoch in three uneven batches, and the embeddings."""
    generator = torch.Generator().manual_seed(3)
    images, texts = (F.normalize(torch.randn(PATIENTS, ANATOMIES, 6, generator=generator), dim=-1) for _ in range(2))

    def step(engine, rows):
        ids = torch.zeros(PATIENTS, ANATOMIES, dtype=torch.int64)
        return {
            "image_outputs": AnatomyEmbeddings(images[rows], present[rows], torch.tensor(0.1)),
            "text_outputs": AnatomyTexts(texts[rows], normal[rows], ids[rows]),
        }

    engine = Engine(step)
    for measure in ("alignment", "uniformity_images", "uniformity_texts"):
        AnatomyGeometry(measure).attach(engine, measure)
    engine.run([slice(0, 3), slice(3, 4), slice(4, 12)], max_epochs=2)  # the second epoch starts anew
    return engine.state.metrics, images, texts


def test_the_mean_over_anatomies_of_who_shows_and_has_them_abnormal():
    present, normal = torch.ones(PATIENTS, ANATOMIES, dtype=torch.bool), torch.zeros(PATIENTS, ANATOMIES, dtype=torch.bool)
    present[:4, 0] = False  # eight left
    normal[2:, 1] = True  # two left
    normal[1:, 2] = True  # one left: does not count
    found, images, texts = epoch(present, normal)
    rows = [(slice(4, 12), 0), (slice(0, 2), 1), (slice(0, 12), 3)]
    assert found["alignment"] == pytest.approx(sum(alignment(images[r, k], texts[r, k]) for r, k in rows) / 3)
    assert found["uniformity_images"] == pytest.approx(sum(uniformity(images[r, k]) for r, k in rows) / 3)
    assert found["uniformity_texts"] == pytest.approx(sum(uniformity(texts[r, k]) for r, k in rows) / 3)


def test_nobody_counts():
    present = torch.zeros(PATIENTS, ANATOMIES, dtype=torch.bool)
    found, _, _ = epoch(present, present)
    assert all(math.isnan(value) for value in found.values())
