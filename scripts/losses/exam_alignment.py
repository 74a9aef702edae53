"""Which image does a sentence speak of? Soft assignments between the images of exams and the sentences of reports."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from scripts.losses.gather import gather_rows

ASSIGNMENT_TEMPERATURE = 0.1
# Cosines [exams, images, reports, sentences] of one block. On a CPU a block should stay near the cache; a GPU wants long kernels.
_BLOCK_ELEMENTS = {"cpu": 1 << 20, "cuda": 1 << 26}


def masked_softmax(scores: Tensor, mask: Tensor, dim: int) -> Tensor:
    """Softmax over the entries that `mask` (broadcast to `scores`) admits; 0 elsewhere, and everywhere where it admits none."""
    lowest = torch.finfo(scores.dtype).min  # not -inf: a row that admits nothing would give NaN
    return scores.masked_fill(~mask, lowest).softmax(dim) * mask


def assignments(images: Tensor, image_mask: Tensor, sentences: Tensor, temperature: float = ASSIGNMENT_TEMPERATURE) -> Tensor:
    """How much each sentence belongs to each image of the same exam: softmax of their cosines over the exam's images.

    Args:
        images: [B, N, D], length 1.
        image_mask: [B, N] bool.
        sentences: [B, R, D], length 1.
        temperature: of the softmax.

    Returns:
        [B, R, N], sums to 1 over real images, 0 for padding.
    """
    return masked_softmax(sentences @ images.mT / temperature, image_mask[:, None], 2)


def two_way_scores(
    images: Tensor,
    image_mask: Tensor,
    sentences: Tensor,
    sentence_mask: Tensor,
    temperature: float = ASSIGNMENT_TEMPERATURE,
) -> tuple[Tensor, Tensor]:
    """Score every exam against every report by the soft assignment of sentences to images, and of images to sentences.

    With c the cosine of a sentence r and an image n: the first score is the mean over sentences of sum_n softmax_n(c / t) c, the
    second the mean over images of sum_r softmax_r(c / t) c. A report may speak of regions that nobody imaged: those sentences pull
    the first score down, and leave the second as it is.

    The cosines of all pairs are never held at once: blocks of exams go one after the other, and backward makes each anew.

    Args:
        images: [B, N, D], length 1. image_mask: [B, N] bool.
        sentences: [M, R, D], length 1. sentence_mask: [M, R] bool. M may exceed B (reports gathered from other ranks).
        temperature: t.

    Returns:
        two score matrices [B, M], in [-1, 1].
    """
    rows = _rows_of_a_block(images, images.shape[1] * sentence_mask.numel())
    blocks = [
        checkpoint(_block_scores, *block, sentences, sentence_mask, temperature, use_reentrant=False, preserve_rng_state=False)
        for block in zip(images.split(rows), image_mask.split(rows), strict=True)
    ]
    to_images, to_sentences = zip(*blocks, strict=True)
    return torch.cat(to_images), torch.cat(to_sentences)


def _block_scores(
    images: Tensor, image_mask: Tensor, sentences: Tensor, sentence_mask: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    cosines = (images.flatten(0, 1) @ sentences.flatten(0, 1).T).view(*image_mask.shape, *sentence_mask.shape)
    logits = cosines / temperature
    image_there, sentence_there = image_mask[:, :, None, None], sentence_mask[None, None]
    by_sentence = (masked_softmax(logits, image_there, 1) * cosines).sum(1)
    by_image = (masked_softmax(logits, sentence_there, 3) * cosines).sum(3)
    return _mean(by_sentence, sentence_mask[None], 2), _mean(by_image, image_mask[..., None], 1)


def patch_scores(patches: Tensor, image_mask: Tensor, sentences: Tensor, temperature: float = ASSIGNMENT_TEMPERATURE) -> Tensor:
    """How much of each sentence some place of each exam shows: t log mean_p exp(cos(patch p, sentence) / t), a soft maximum.

    Multiple-instance learning: one place is enough for an exam to show a finding, and every place speaks against one that it is not
    to show. The mean of the patches' features, which attention gives, would leave the places around a lesion free to say anything.
    Blocks of exams go one after the other, as in `two_way_scores`.

    Args:
        patches: [B, N, P, D], length 1.
        image_mask: [B, N] bool.
        sentences: [K, D], length 1.
        temperature: t; towards 0 the maximum, towards infinity the mean.

    Returns:
        [B, K], in [-1, 1].
    """
    rows = _rows_of_a_block(patches, patches.shape[1] * patches.shape[2] * len(sentences))
    blocks = [
        checkpoint(_block_patch_scores, *block, sentences, temperature, use_reentrant=False, preserve_rng_state=False)
        for block in zip(patches.split(rows), image_mask.split(rows), strict=True)
    ]
    return torch.cat(blocks)


def _block_patch_scores(patches: Tensor, image_mask: Tensor, sentences: Tensor, temperature: float) -> Tensor:
    seen = image_mask.repeat_interleave(patches.shape[2], 1)[..., None]
    logits = patches.flatten(1, 2) @ sentences.T / temperature
    soft_maximum = logits.masked_fill(~seen, torch.finfo(logits.dtype).min).logsumexp(1)
    return temperature * (soft_maximum - seen.sum(1).to(logits.dtype).log())


def _rows_of_a_block(tensor: Tensor, elements_of_a_row: int) -> int:
    return max(1, _BLOCK_ELEMENTS.get(tensor.device.type, _BLOCK_ELEMENTS["cuda"]) // max(1, elements_of_a_row))


def _mean(values: Tensor, mask: Tensor, dim: int) -> Tensor:
    return (values * mask).sum(dim) / mask.sum(dim).clamp_min(1)


def row_losses(scores: Tensor, compared: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each row with its positives, who share the target evenly (Khosla et al., arXiv 2004.11362, equation 2).

    Args:
        scores: logits [..., N, N].
        compared: bool, of the same shape: who takes part in a row's softmax.
        positive: bool, of the same shape, among the compared.

    Returns:
        losses [..., N], 0 where a row does not count; counts [..., N] bool: a row has positives, and others to tell them from.
    """
    lowest = torch.finfo(scores.dtype).min
    logs = scores.masked_fill(~compared, lowest).log_softmax(-1).masked_fill(~positive, 0)
    counts = positive.any(-1) & (compared & ~positive).any(-1)
    return torch.where(counts, -logs.sum(-1) / positive.sum(-1).clamp_min(1), 0), counts


def gather_padded(tensor: Tensor, fill: float = 0) -> Tensor:
    """`gather_rows` of tensors [B, L, ...] whose L differs between ranks: shorter ones are padded with `fill`."""
    if not (dist.is_available() and dist.is_initialized()):
        return tensor
    longest = torch.tensor(tensor.shape[1], device=tensor.device)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX)
    missing = int(longest) - tensor.shape[1]
    return gather_rows(F.pad(tensor, [*[0, 0] * (tensor.ndim - 2), 0, missing], value=fill))
