"""Single losses against the published functions, gradients included."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scripts.losses import attention_maps, local_alignment
from scripts.losses.afloc_loss import symmetric_cross_entropy
from tests.golden.arrays import GoldenArrays


@pytest.fixture(scope="module")
def facts(afloc_golden):
    return json.loads((afloc_golden / "functionsA" / "golden.json").read_text())


@pytest.fixture(scope="module", params=["slim", "whole"])
def numbers(request, afloc_golden):
    if request.param == "slim":
        return GoldenArrays(afloc_golden / "functionsA" / "golden.npz")
    return GoldenArrays(request.getfixturevalue("golden") / "afloc" / "functionsA" / "golden.npz")


def random(seed, *shape, scale=1.0):
    values = (np.random.RandomState(seed).standard_normal(shape) * scale).astype(np.float32)
    return torch.from_numpy(values).requires_grad_()


@pytest.mark.parametrize("case", range(6))
def test_local_loss(case, facts, numbers):
    entry = facts["local"][case]
    scale = entry.get("scale", 1.0)
    images = random(entry["seed_img"], *(entry[key] for key in "BDHW"), scale=scale)
    texts = random(entry["seed_txt"], *(entry[key] for key in "BDL"), scale=scale)
    lengths = torch.tensor(entry["lens"])
    names = ("attention_temperature", "matching_temperature", "score_temperature")
    temperatures = dict(zip(names, entry["temps"], strict=True))
    scores = local_alignment(images, texts, lengths, **temperatures)
    if entry.get("agg") == "mean":  # the published option divides inside the logarithm
        scores = scores - entry["temps"][2] * lengths.log()
    first, second = symmetric_cross_entropy(scores)
    assert float(first.detach()) == pytest.approx(entry["loss0"], rel=1e-5, abs=1e-5)
    assert float(second.detach()) == pytest.approx(entry["loss1"], rel=1e-5, abs=1e-5)
    (first + second).backward()
    assert float(images.grad.norm()) == pytest.approx(entry["grad_img_norm"], rel=2e-4)
    assert float(texts.grad.norm()) == pytest.approx(entry["grad_txt_norm"], rel=2e-4)
    for name, grad in (("img", images.grad), ("txt", texts.grad)):
        numbers.near(f"local{case}_grad_{name}", grad, atol=2e-4 * float(grad.abs().max()))
    maps = attention_maps(images, texts, lengths, entry["temps"][0]).detach()
    numbers.near(f"local{case}_att0", maps[:1, : lengths[0]], atol=1e-5)
    numbers.near(f"local{case}_att_last", maps[-1:, : lengths[-1]], atol=1e-5)


@pytest.mark.parametrize("case", range(4))
def test_report_loss(case, facts, numbers):
    entry = facts["global"][case]
    images, texts = (random(entry[f"seed_{name}"], entry["B"], entry["D"]) for name in ("img", "txt"))
    scores = entry["temp3"] * F.cosine_similarity(images[:, None], texts[None], dim=-1, eps=1e-8)
    numbers.near(f"global{case}_scores", scores, atol=1e-5)
    first, second = symmetric_cross_entropy(scores)
    assert float(first.detach()) == pytest.approx(entry["loss0"], rel=1e-5)
    assert float(second.detach()) == pytest.approx(entry["loss1"], rel=1e-5)
    (first + second).backward()
    assert float(images.grad.norm()) == pytest.approx(entry["grad_img_norm"], rel=2e-4)
    assert float(texts.grad.norm()) == pytest.approx(entry["grad_txt_norm"], rel=2e-4)


def test_attention(numbers):
    regions, units = (torch.from_numpy(numbers[name]) for name in ("attn_ctx", "attn_q"))
    numbers.near("attn_map", attention_maps(regions, units, torch.full((len(units),), units.shape[2])), atol=1e-5)


def test_one_pair_is_refused():
    """The published global loss crashes on one pair, and the local one is silently zero."""
    with pytest.raises(ValueError, match="at least 2 pairs"):
        symmetric_cross_entropy(torch.zeros(1, 1))
