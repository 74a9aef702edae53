"""Tokens of anatomies, their pooling, and where a finding's evidence lies."""

import pytest
import torch

from scripts.networks.anatomy_pooling import AnatomyPooling, anatomy_tokens

PATCH = (2, 3, 4)


def plain_tokens(mask, anatomies, patch):
    """One volume, one token at a time."""
    depth, height, width = (side // step for side, step in zip(mask.shape, patch, strict=True))
    member = torch.zeros(anatomies, depth, height, width, dtype=torch.bool)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                corner = [place * step for place, step in zip((z, y, x), patch, strict=True)]
                block = mask[tuple(slice(c, c + step) for c, step in zip(corner, patch, strict=True))]
                for value in block.unique().tolist():
                    if value:
                        member[value - 1, z, y, x] = True
    return member.flatten(1)


def test_tokens_equal_a_plain_loop():
    generator = torch.Generator().manual_seed(1)
    masks = torch.randint(-6, 4, (3, 6, 9, 8), generator=generator).clamp_min(0).to(torch.uint8)
    member, cut = anatomy_tokens(masks, 4, PATCH)
    assert torch.equal(member, torch.stack([plain_tokens(mask, 4, PATCH) for mask in masks]))
    assert not member[:, 3].any() and not cut[:, 3].any()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_cut_at_any_face(axis, end):
    masks = torch.zeros(1, 6, 9, 8, dtype=torch.uint8)
    masks[0, 2:4, 3:6, 3:5] = 1
    masks[0].select(axis, end)[2, 2] = 2
    assert anatomy_tokens(masks, 3, PATCH).cut.tolist() == [[False, True, False]]


@pytest.fixture
def pooled():
    torch.manual_seed(0)
    pooling = AnatomyPooling(3, hidden_size=16, embedding_size=5, heads=4, dropout=0.0).double().eval()
    with torch.no_grad():
        pooling.query_tokens.normal_()
    levels = [torch.randn(2, 12, 16, dtype=torch.float64) for _ in range(4)]
    member = torch.rand(2, 3, 12) < 0.4
    member[1, 2] = False
    return pooling, levels, member


def test_pooling_equals_one_anatomy_at_a_time(pooled):
    pooling, levels, member = pooled
    features = pooling(levels, member)
    for row in range(2):
        for anatomy in range(3):
            if member[row, anatomy].any():
                tokens = torch.cat([level[row, member[row, anatomy]] for level in levels])[None]
                query = pooling.query_tokens[None, anatomy : anatomy + 1]
                alone = pooling.attention(query, tokens, tokens, need_weights=False)[0][0, 0]
                wanted = pooling.projection_weight[anatomy] @ alone + pooling.projection_bias[anatomy]
                torch.testing.assert_close(features[row, anatomy], wanted)


def test_an_absent_anatomy_gives_no_nan(pooled):
    pooling, levels, member = pooled
    levels[0].requires_grad_()
    features = pooling(levels, member)
    features[member.any(2)].sum().backward()
    assert features.isfinite().all() and levels[0].grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in pooling.parameters())


def test_contributions_add_up(pooled):
    """Along any direction, tokens' contributions and the layers' constants make up the feature."""
    pooling, levels, member = pooled
    anatomy, directions = torch.tensor([0, 2, 1, 0]), torch.randn(4, 5, dtype=torch.float64)
    parts = pooling.contributions(levels, member, anatomy, directions)
    value_bias = pooling.attention.in_proj_bias.chunk(3)[2]
    constant = pooling.attention.out_proj(value_bias)
    for finding, index in enumerate(anatomy.tolist()):
        base = pooling.projection_weight[index] @ constant + pooling.projection_bias[index]
        whole = (pooling(levels, member)[:, index] - base) @ directions[finding]
        there = member[:, index].any(1)
        torch.testing.assert_close(parts[there, finding].sum(1), whole[there])
        assert not parts[:, finding][~member[:, index]].any()
