import math

import numpy as np
import pytest
import torch
from ignite.engine import Engine

from scripts.metrics.retrieval import RetrievalRecall, retrieval_recall


def slow_recall(images, texts, k):
    """One query at a time; another answer that is not clearly worse stands before the match."""

    def cosine(a, b):
        return float(np.dot(a, b) / math.sqrt(np.dot(a, a) * np.dot(b, b)))

    hits = 0
    for queries, answers in ((images, texts), (texts, images)):
        for index, query in enumerate(queries):
            own = cosine(query, answers[index])
            before = sum(cosine(query, a) >= own for other, a in enumerate(answers) if other != index)
            hits += before < k
    return hits / (2 * len(images))


@pytest.mark.parametrize("k", [1, 2, 5, 20])
@pytest.mark.parametrize("size", [2, 20])
def test_recall_is_that_of_a_loop(k, size):
    generator = np.random.default_rng(size + k)
    images = generator.normal(size=(size, 3))
    texts = images + generator.normal(size=images.shape) * [1, 2, 3]
    texts *= generator.uniform(0.1, 9, size=(size, 1))  # lengths do not count
    expected = slow_recall(images, texts, k)
    assert retrieval_recall(torch.from_numpy(images), torch.from_numpy(texts), k) == pytest.approx(expected)
    assert (k, size) != (1, 20) or 0.1 < expected < 0.9


def test_the_directions_are_both_counted():
    # Every image is nearest to its text; text 0 lies nearer to image 1 than to its own.
    images = torch.eye(2, 3)
    texts = torch.tensor([[0.5, 0.6, 0.39**0.5], [0.1, 0.9, 0.18**0.5]])
    assert retrieval_recall(images, texts, 1) == 0.75 == retrieval_recall(texts, images, 1)


def test_ties_count_against_the_match():
    same = torch.ones(4, 3)
    assert [retrieval_recall(same, same, k) for k in (1, 3, 4)] == [0, 0, 1]


def test_a_broken_network_finds_nothing():
    broken = torch.full((6, 3), float("nan"))
    good = torch.eye(6, 3)
    for images, texts in ((broken, broken), (broken, good), (good, broken)):
        assert retrieval_recall(images, texts, 5) == 0


def test_an_epoch_is_one_set_however_it_is_cut():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(10, 4, generator=generator)
    texts = images + torch.randn(10, 4, generator=generator)
    engine = Engine(lambda engine, rows: {"image_embeddings": images[rows], "text_embeddings": texts[rows], "loss": 1.0})
    RetrievalRecall(k=2).attach(engine, "recall")
    expected = slow_recall(images.numpy(), texts.numpy(), 2)
    for _ in range(2):  # the second epoch starts anew
        assert engine.run([slice(0, 4), slice(4, 8), slice(8, 10)]).metrics["recall"] == pytest.approx(expected)
    assert 0.2 < expected < 1
