"""Scores between every image's regions and every text's words or sentences, without keeping the attention maps."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Elements of one block of attention maps [texts, units, regions]. On a CPU a block should stay in cache; a GPU wants long kernels.
_BLOCK_ELEMENTS = {"cpu": 1 << 21, "cuda": 1 << 26}
_NORM_FLOOR = 1e-8  # the published clamp of |unit| * |context|


def local_alignment(
    regions: Tensor,
    units: Tensor,
    lengths: Tensor,
    *,
    attention_temperature: float = 4.0,
    matching_temperature: float = 5.0,
    score_temperature: float = 10.0,
) -> Tensor:
    """Score every image against every text by the attention of text units over image regions.

    AFLoc (arXiv 2401.02044, sentence- and word-level alignment; the attention is GLoRIA's). With x the regions of image i and w the
    units of text j: A = softmax over units of (w . x); alpha = softmax over regions of (t1 A); context c = sum alpha x;
    score = t3 log sum over units exp(t2 cos(w, c)).

    The plain form keeps several [B, B, L, R] maps for backward. Here blocks of texts pass one image at a time, only the contexts
    [B, B, L, D] are kept, and the maps are made again in backward; |units| and units . context need no map at all.

    Args:
        regions: image maps, [B, D, H, W], not normalised.
        units: words or sentences, [N, D, L], zero past `lengths`. N may exceed B (texts gathered from other ranks).
        lengths: units that count in each text, [N], 1 <= length <= L.
        attention_temperature: t1, sharpness of the attention over regions.
        matching_temperature: t2, sharpness of the sum over units.
        score_temperature: t3, scale of the score.

    Returns:
        scores, [B, N], at least float32; rows are images, columns are texts.

    Raises:
        ValueError: shapes that do not fit, or a text whose length is outside 1..L (its index is named).
    """
    if regions.ndim != 4 or units.ndim != 3 or regions.shape[1] != units.shape[1] or lengths.shape != units.shape[:1]:
        raise ValueError(
            "expected regions [B, D, H, W], units [N, D, L], lengths [N]; "
            f"got {tuple(regions.shape)}, {tuple(units.shape)}, {tuple(lengths.shape)}"
        )
    outside = ((lengths < 1) | (lengths > units.shape[2])).nonzero().flatten().tolist()
    if outside:
        raise ValueError(
            f"texts {outside} have {lengths[outside].tolist()} units; each needs 1 to {units.shape[2]}: "
            "leave empty reports out, or tokenize with a longer limit"
        )
    device = regions.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        regions, units = regions.to(dtype), units.to(dtype)
    temperatures = (attention_temperature, matching_temperature, score_temperature)
    return _LocalAlignment.apply(regions.flatten(2), units.transpose(1, 2), lengths, temperatures)


def _blocks(lengths: Tensor, regions: int, device: str) -> list[Tensor]:
    """Indices of texts of similar length, as many at a time as a block of maps may hold."""
    order = lengths.argsort()
    budget = _BLOCK_ELEMENTS.get(device, _BLOCK_ELEMENTS["cuda"])
    size = max(1, budget // (int(lengths.max()) * regions))
    return list(order.split(size))


def _attention(image: Tensor, words: Tensor, padding: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Attention of `words` [J, L, D] over `image` [D, R]: A [J, L, R] and exp(t1 A), whose sum over R is left to the caller.

    A lies in [0, 1], so exp(t1 A) needs no maximum subtracted. Padded units get A = 0.
    """
    texts, length, width = words.shape
    scores = (words.reshape(-1, width) @ image).view(texts, length, -1)
    if padding is not None:
        scores.masked_fill_(padding[..., None], float("-inf"))
    over_units = scores.softmax(dim=1)
    return over_units, torch.mul(over_units, temperature, out=scores).exp_()


class _LocalAlignment(torch.autograd.Function):
    """Forward and hand-written backward of `local_alignment`; regions [B, D, R], units [N, L, D]."""

    @staticmethod
    def forward(ctx, regions: Tensor, units: Tensor, lengths: Tensor, temperatures: tuple[float, float, float]) -> Tensor:
        t1, t2, t3 = temperatures
        wide = torch.promote_types(regions.dtype, torch.float32)
        blocks = _blocks(lengths, regions.shape[2], regions.device.type)
        scores = torch.empty(len(regions), len(units), dtype=wide, device=regions.device)
        cosines, contexts, scales = [], [], []
        for texts in blocks:
            length = int(lengths[texts].max())
            words = units[texts, :length].contiguous()
            padding = torch.arange(length, device=units.device) >= lengths[texts, None]
            padding = padding if bool(padding.any()) else None
            word_norms = words.to(wide).norm(dim=-1)
            block_contexts = words.new_empty(len(regions), *words.shape)
            block_cosines = word_norms.new_empty(len(regions), *word_norms.shape)
            block_scales = torch.empty_like(block_cosines)
            for i, image in enumerate(regions):
                _, weights = _attention(image, words, padding, t1)
                scale = weights.sum(-1, dtype=wide).reciprocal_()
                context = (weights.view(-1, weights.shape[-1]) @ image.T).view_as(words)
                context.mul_(scale[..., None])
                norms = (word_norms * context.to(wide).norm(dim=-1)).clamp_min_(_NORM_FLOOR)
                block_cosines[i] = torch.linalg.vecdot(words.to(wide), context.to(wide)) / norms
                block_contexts[i], block_scales[i] = context, scale
            matches = block_cosines * t2
            if padding is not None:
                matches = matches.masked_fill(padding, float("-inf"))
            scores[:, texts] = t3 * matches.logsumexp(dim=-1)
            cosines.append(block_cosines), contexts.append(block_contexts), scales.append(block_scales)
        ctx.save_for_backward(regions, units, lengths, *blocks, *cosines, *contexts, *scales)
        ctx.temperatures = temperatures
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_scores: Tensor) -> tuple[Tensor, Tensor, None, None]:
        t1, t2, t3 = ctx.temperatures
        regions, units, lengths, *saved = ctx.saved_tensors
        wide = torch.promote_types(regions.dtype, torch.float32)
        count = len(saved) // 4
        grad_regions = torch.zeros(regions.shape, dtype=wide, device=regions.device)
        grad_units = torch.zeros(units.shape, dtype=wide, device=units.device)
        for texts, cosines, contexts, scales in zip(*(saved[k * count : (k + 1) * count] for k in range(4)), strict=True):
            length, width = cosines.shape[-1], units.shape[-1]
            words = units[texts, :length].contiguous()
            padding = torch.arange(length, device=units.device) >= lengths[texts, None]
            matches = cosines * t2
            if bool(padding.any()):
                matches = matches.masked_fill(padding, float("-inf"))
            else:
                padding = None
            grad_cosines = matches.softmax(-1) * (t2 * t3 * grad_scores[:, texts, None])
            word_norms = words.to(wide).norm(dim=-1)
            grad_words = torch.zeros(words.shape, dtype=wide, device=words.device)
            for i, image in enumerate(regions):
                context, cosine = contexts[i], cosines[i]
                context_norms = context.to(wide).norm(dim=-1)
                norms = (word_norms * context_norms).clamp_min(_NORM_FLOOR)
                direct = grad_cosines[i] / norms
                shrink = grad_cosines[i] * cosine
                grad_context = (
                    direct[..., None] * words - (shrink / context_norms.square().clamp_min(_NORM_FLOOR))[..., None] * context
                )
                grad_words += direct[..., None] * context - (shrink / word_norms.square().clamp_min(_NORM_FLOOR))[..., None] * words
                over_units, weights = _attention(image, words, padding, t1)
                flat = (-1, weights.shape[-1])
                grad_context = (grad_context * scales[i][..., None]).to(image.dtype)
                # Softmax over regions: alpha * (g - sum alpha g), where sum alpha g = grad_context . context.
                grad = (grad_context.view(-1, width) @ image).view_as(weights)
                grad.sub_(torch.linalg.vecdot(grad_context, context)[..., None]).mul_(weights)
                # Softmax over units; its factor t1 is applied to the small side of the products below.
                grad.mul_(over_units).addcmul_(over_units, grad.sum(dim=1, keepdim=True), value=-1)
                grad_words += (grad.view(flat) @ image.T).view_as(words) * t1
                grad_image = grad_context.view(-1, width).T @ weights.view(flat)
                grad_regions[i] += grad_image.addmm_((words.view(-1, width) * t1).T, grad.view(flat))
            grad_units[texts, :length] = grad_words
        return grad_regions.to(regions.dtype), grad_units.to(units.dtype), None, None


def attention_maps(regions: Tensor, units: Tensor, lengths: Tensor, attention_temperature: float = 4.0) -> Tensor:
    """Where on its own image each unit of a text looks: alpha of `local_alignment` for matching pairs, for display.

    Args:
        regions: [B, D, H, W]. units: [B, D, L] of the B matching texts. lengths: [B].

    Returns:
        [B, L, H, W], each map sums to 1; zero past `lengths`.
    """
    words = units.mT
    padding = torch.arange(words.shape[1], device=words.device) >= lengths[:, None]
    scores = (words @ regions.flatten(2)).masked_fill(padding[..., None], float("-inf"))
    maps = (scores.softmax(dim=1) * attention_temperature).softmax(dim=2).masked_fill(padding[..., None], 0.0)
    return maps.view(*maps.shape[:2], *regions.shape[2:])
