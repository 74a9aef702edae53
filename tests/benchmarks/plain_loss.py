"""AFLoc's losses written down plainly, one text at a time, everything kept for autograd: what ours is held against."""

import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.losses.afloc_loss import symmetric_cross_entropy


def plain_alignment(regions: Tensor, units: Tensor, lengths: Tensor, copies: bool = True) -> Tensor:
    """Scores of `scripts.losses.local_alignment` by a loop over texts; every text meets all images in `torch.bmm`.

    Args:
        regions: [B, D, H, W]. units: [N, D, L]. lengths: [N].
        copies: lay the regions out row by row anew for every text, as the published code does; each copy is kept for
            backward and they are most of its memory. False transposes by strides alone.

    Returns:
        [B, N]; rows are images.
    """
    flat = regions.flatten(2)
    columns = []
    for text, length in zip(units, lengths.tolist(), strict=True):
        words = text[:, :length].repeat(len(regions), 1, 1)
        rows = flat.mT.contiguous() if copies else flat.mT
        over_units = torch.bmm(rows, words).softmax(dim=2)
        over_regions = (4.0 * over_units).softmax(dim=1)
        contexts = torch.bmm(flat, over_regions)
        cosines = F.cosine_similarity(words, contexts, dim=1)
        columns.append(10.0 * (5.0 * cosines).exp().sum(dim=1).log())
    return torch.stack(columns, dim=1)


def plain_alignment_bytes(batch: int, cells: int, width: int, words: int, copies: bool) -> int:
    """About what `plain_alignment` takes at its peak, forward and backward, float32: a guard against filling the memory."""
    one_map, one_context, one_copy = batch * words * cells, batch * words * width, batch * width * cells
    kept = batch * (3 * one_map + 4 * one_context + copies * one_copy)
    passing = 4 * one_map + 3 * one_copy
    return 4 * (kept + passing)


def plain_loss(images, texts) -> dict[str, Tensor]:
    """What `scripts.losses.AFLocLoss()` computes, with `plain_alignment`."""
    report = 10.0 * F.cosine_similarity(images.report[:, None], texts.report[None], dim=-1)
    terms = {
        "report": sum(symmetric_cross_entropy(report)),
        "sentences": sum(symmetric_cross_entropy(plain_alignment(images.sentences, texts.sentences, texts.sentence_lengths))),
        "words": sum(symmetric_cross_entropy(plain_alignment(images.words, texts.words, texts.word_lengths))),
    }
    return {"loss": sum(terms.values()), **terms}
