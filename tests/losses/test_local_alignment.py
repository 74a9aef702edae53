"""The chunked alignment against a plain loop over texts, by value and by gradient."""

import pytest
import torch

from scripts.losses import local_alignment


def plain_alignment(regions, units, lengths, t1=4.0, t2=5.0, t3=10.0):
    """AFLoc's pair score, one text at a time, by autograd."""
    columns = []
    flat = regions.flatten(2)
    for text, length in zip(units, lengths.tolist(), strict=True):
        words = text[:, :length]
        over_units = torch.einsum("dl,bdr->blr", words, flat).softmax(1)
        over_regions = (t1 * over_units).softmax(2)
        contexts = torch.einsum("blr,bdr->bdl", over_regions, flat)
        cosines = torch.cosine_similarity(words[None], contexts, dim=1)
        columns.append(t3 * (t2 * cosines).exp().sum(1).log())
    return torch.stack(columns, 1)


def pair(texts, lengths, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    regions = torch.randn(3, 16, 4, 5, dtype=dtype, generator=generator)
    units = torch.randn(texts, 16, 7, dtype=dtype, generator=generator)
    lengths = torch.tensor(lengths)
    for text, length in zip(units, lengths, strict=True):
        text[:, length:] = 0
    return regions.requires_grad_(), units.requires_grad_(), lengths


@pytest.mark.parametrize("block", [1, 1 << 21])
@pytest.mark.parametrize("lengths", [[7, 3, 1, 5, 2], [4, 4, 4]])
def test_equals_plain_loop(lengths, block, monkeypatch):
    monkeypatch.setitem(local_alignment.__globals__["_BLOCK_ELEMENTS"], "cpu", block)
    regions, units, lengths = pair(len(lengths), lengths)
    weight = torch.randn(3, len(lengths), dtype=torch.float64)
    expected = plain_alignment(regions, units, lengths)
    actual = local_alignment(regions, units, lengths)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    wanted = torch.autograd.grad((expected * weight).sum(), (regions, units))
    found = torch.autograd.grad((actual * weight).sum(), (regions, units))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_autocast_stays_close_and_returns_float32():
    regions, units, lengths = pair(5, [7, 3, 1, 5, 2], torch.float32)
    exact = local_alignment(regions, units, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        rough = local_alignment(regions, units, lengths)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.5)
    grads = [torch.autograd.grad(s.sum(), (regions, units)) for s in (exact, rough)]
    for a, b in zip(*grads, strict=True):
        assert torch.cosine_similarity(a.flatten(), b.flatten(), dim=0) > 0.99


def test_names_texts_without_units():
    regions, units, lengths = pair(3, [2, 0, 9])
    with pytest.raises(ValueError, match=r"texts \[1, 2\] have \[0, 9\] units"):
        local_alignment(regions, units, lengths)


def test_names_shapes_that_do_not_fit():
    regions, units, lengths = pair(3, [2, 1, 1])
    with pytest.raises(ValueError, match="expected regions"):
        local_alignment(regions, units[:, :8], lengths)
