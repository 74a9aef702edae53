"""From the tokens of a volume to one feature an anatomy."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AnatomyTokens(NamedTuple):
    """Which tokens belong to which of K anatomies.

    member: [B, K, N] bool, N tokens of the patch grid, x running fastest. cut: [B, K] bool, the anatomy touches a face.
    """

    member: Tensor
    cut: Tensor


def anatomy_tokens(masks: Tensor, anatomies: int, patch_size: Sequence[int]) -> AnatomyTokens:
    """Bring label maps to the patch grid: a token belongs to an anatomy if any of its voxels does.

    For the whole batch at once, on the masks' device.

    Args:
        masks: [B, D, H, W] integers, 0 or an anatomy's position + 1; sides are multiples of the patch.
        anatomies: K.
        patch_size: voxels of a token (D, H, W).
    """
    batch, *sides = masks.shape
    grid = [side // patch for side, patch in zip(sides, patch_size, strict=True)]
    split = [batch, grid[0], patch_size[0], grid[1], patch_size[1], grid[2], patch_size[2]]
    patches = masks.reshape(split).permute(0, 1, 3, 5, 2, 4, 6).reshape(batch, grid[0] * grid[1] * grid[2], -1)
    faces = [masks.select(axis, end).flatten(1) for axis in (1, 2, 3) for end in (0, -1)]
    border = torch.cat(faces, 1)
    # One pass an anatomy: a comparison of bytes, where indices for a scatter would take eight times the masks' memory.
    member = torch.stack([(patches == value).any(2) for value in range(1, anatomies + 1)], 1)
    cut = torch.stack([(border == value).any(1) for value in range(1, anatomies + 1)], 1)
    return AnatomyTokens(member, cut)


class AnatomyPooling(nn.Module):
    """fVLM's anatomy features: a learned query of each anatomy attends over that anatomy's tokens of all levels.

    One attention layer is shared, a projection each anatomy's own (arXiv 2501.14548, its code; the paper's text describes a
    self-attention layer). All anatomies of all volumes go through one masked attention.

    Args:
        anatomies: K.
        hidden_size: C of the tokens, a multiple of `heads`.
        embedding_size: D of the features.
        heads: attention heads.
        dropout: of the attention weights, in [0, 1).
    """

    def __init__(
        self, anatomies: int, hidden_size: int = 768, embedding_size: int = 256, heads: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.query_tokens = nn.Parameter(torch.zeros(anatomies, hidden_size))
        self.attention = nn.MultiheadAttention(hidden_size, heads, dropout, batch_first=True)
        layers = [nn.Linear(hidden_size, embedding_size) for _ in range(anatomies)]  # for their initial values
        self.projection_weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.projection_bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, levels: Sequence[Tensor], member: Tensor) -> Tensor:
        """Pool the tokens of each anatomy.

        Args:
            levels: tokens [B, N, C] of each level.
            member: [B, K, N] bool; an anatomy without any token gets a feature that means nothing.

        Returns:
            features [B, K, D].
        """
        tokens = torch.cat(list(levels), 1)
        # A query that may look nowhere would give NaN: such an anatomy looks everywhere, and nobody reads its feature.
        allowed = (member | ~member.any(2, keepdim=True)).repeat(1, 1, len(levels))
        blocked = ~allowed.repeat_interleave(self.attention.num_heads, 0)
        queries = self.query_tokens.expand(len(tokens), -1, -1)
        pooled, _ = self.attention(queries, tokens, tokens, attn_mask=blocked, need_weights=False)
        return torch.einsum("bkc,kdc->bkd", pooled, self.projection_weight) + self.projection_bias

    @torch.no_grad()
    def contributions(self, levels: Sequence[Tensor], member: Tensor, anatomy: Tensor, directions: Tensor) -> Tensor:
        """How much each token pushes an anatomy's feature along a direction: where a finding's evidence lies.

        The pooling is linear once its attention is known, so its output's product with a direction is a sum over tokens and a
        constant (the decomposition of Gandelsman et al., arXiv 2310.05916, applied to this layer).

        Args:
            levels, member: as in `forward`.
            anatomy: the anatomy of each direction, [F] int64.
            directions: [F, D], in the space of the features.

        Returns:
            [B, F, N], summed over levels and heads; 0 outside the anatomy.
        """
        tokens, layer = torch.cat(list(levels), 1), self.attention
        heads, size = layer.num_heads, layer.head_dim
        to_query, to_key, to_value = layer.in_proj_weight.chunk(3)
        query_bias, key_bias, _ = layer.in_proj_bias.chunk(3)
        queries = F.linear(self.query_tokens[anatomy], to_query, query_bias).unflatten(1, (heads, size))
        keys = F.linear(tokens, to_key, key_bias).unflatten(2, (heads, size))
        values = F.linear(tokens, to_value).unflatten(2, (heads, size))
        back = torch.einsum("fd,fdc->fc", directions, self.projection_weight[anatomy])
        back = (back @ layer.out_proj.weight).unflatten(1, (heads, size))
        inside = member[:, anatomy].repeat(1, 1, len(levels))[:, :, None]
        scores = torch.einsum("fhc,bnhc->bfhn", queries, keys) / size**0.5
        lowest = torch.finfo(scores.dtype).min
        weights = scores.masked_fill(~inside, lowest).softmax(3) * inside
        parts = weights * torch.einsum("fhc,bnhc->bfhn", back, values)
        return parts.sum(2).unflatten(2, (len(levels), -1)).sum(2)
