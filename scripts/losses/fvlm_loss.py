"""fVLM's contrast of anatomies and texts, with targets that know of false negatives."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from scripts.losses.gather import gather_rows


class AnatomyLosses(NamedTuple):
    """Losses of K anatomies: image_to_text and text_to_image [K], 0 where the anatomy does not count; counts [K] bool."""

    image_to_text: Tensor
    text_to_image: Tensor
    counts: Tensor


def pair_targets(participates: Tensor, normal: Tensor, text_ids: Tensor, calibrated: bool = True) -> Tensor:
    """Which images and texts belong together, anatomy by anatomy (arXiv 2501.14548, section on false negatives).

    A patient's own text always does; calibrated, two normal texts and two identical texts do as well.

    Args:
        participates: [N, K] bool, the anatomy is there.
        normal: [N, K] bool, the text says that it shows nothing abnormal.
        text_ids: [N, K], equal where texts are.
        calibrated: False gives plain contrastive targets.

    Returns:
        [K, N, N] bool.
    """
    together = torch.eye(len(normal), dtype=torch.bool, device=normal.device).expand(normal.shape[1], -1, -1)
    if calibrated:
        both_normal = normal.T[:, :, None] & normal.T[:, None]
        together = together | both_normal | (text_ids.T[:, :, None] == text_ids.T[:, None])
    return together & participates.T[:, :, None] & participates.T[:, None]


def anatomy_losses(
    images: Tensor, texts: Tensor, temperature: Tensor, participates: Tensor, abnormal: Tensor, targets: Tensor
) -> AnatomyLosses:
    """Soft cross-entropy of each anatomy in both directions, all anatomies at once.

    Args:
        images, texts: embeddings [N, K, D] of length 1.
        temperature: scalar.
        participates: [N, K] bool.
        abnormal: [N, K] bool.
        targets: [K, N, N] weights >= 0 of pairs, 0 for those who do not participate; rows are normalised here.

    Returns:
        `AnatomyLosses`. An anatomy counts if somebody has it present and abnormal and its targets tell pairs apart.
    """
    pairs = participates.T[:, :, None] & participates.T[:, None]
    scores = torch.einsum("ikd,jkd->kij", images, texts) / temperature
    largest = targets.masked_fill(~pairs, 0).amax((1, 2))
    smallest = targets.masked_fill(~pairs, torch.inf).amin((1, 2))
    counts = (participates & abnormal).any(0) & (largest > smallest)
    weights = targets / targets.sum(2, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
    people = participates.sum(0).clamp_min(1)

    def entropy(scores: Tensor) -> Tensor:
        lowest = torch.finfo(scores.dtype).min  # not -inf: 0 * inf is NaN
        logs = scores.masked_fill(~pairs, lowest).log_softmax(2).masked_fill(~pairs, 0)
        return torch.where(counts, -(weights * logs).sum((1, 2)) / people, 0)

    return AnatomyLosses(entropy(scores), entropy(scores.mT), counts)


class FVLMLoss(nn.Module):
    """The sum over anatomies of fVLM's image-text contrast (Shui et al., arXiv 2501.14548).

    Under torch.distributed the embeddings of all ranks are gathered with gradient, and every rank sums over the same anatomies:
    loss and, after DistributedDataParallel's mean, gradients equal those of one process with the whole batch. (In the published
    code a rank without a patient of an anatomy drops its term.) Where no anatomy counts, the loss is a 0 that still has gradients.

    Args:
        calibrated: pairs of normal and of identical texts are no negatives, see `pair_targets`.
    """

    def __init__(self, calibrated: bool = True) -> None:
        super().__init__()
        self.calibrated = calibrated

    def forward(self, volumes, texts) -> dict[str, Tensor]:
        """Compare the anatomies of a batch's volumes with their texts.

        Args:
            volumes: `AnatomyEmbeddings` of B volumes.
            texts: `AnatomyTexts` of their B reports, in the same order.

        Returns:
            {"loss", "image_to_text", "text_to_image"}: the sum over anatomies of the two directions' mean, and of each.
        """
        present, normal, text_ids = (gather_rows(part) for part in (volumes.present, texts.normal, texts.text_ids))
        images, words = gather_rows(volumes.anatomies), gather_rows(texts.anatomies)
        targets = pair_targets(present, normal, text_ids, self.calibrated).to(images.dtype)
        losses = anatomy_losses(images, words, volumes.temperature, present, ~normal, targets)
        forth, back = losses.image_to_text.sum(), losses.text_to_image.sum()
        return {"loss": (forth + back) / 2, "image_to_text": forth, "text_to_image": back}
