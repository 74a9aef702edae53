"""fVLM's contrast of anatomies and texts, with targets that know of false negatives."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from scripts.losses.gather import gather_rows


class CoTeachingOutputs(NamedTuple):
    """What a co-teaching pair of networks adds to a batch; each entry `AnatomyEmbeddings` and `AnatomyTexts`.

    partner: of the second network. by_network, by_partner: of the momentum copies of the first and of the second, no gradient.
    """

    partner: tuple
    by_network: tuple
    by_partner: tuple


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


def similarities(images: Tensor, texts: Tensor, temperature: Tensor) -> Tensor:
    """Scores of all images and texts, anatomy by anatomy: [N, K, D] and [N, K, D] -> [K, N, N], rows are images."""
    return torch.einsum("ikd,jkd->kij", images, texts) / temperature


def soft_targets(weights: Tensor, teacher_logits: Tensor, both_abnormal: Tensor, soft_target_weight: float) -> Tensor:
    """Give a share of each abnormal patient's target to whom another network finds similar among the abnormal ones.

    Our reconstruction of the disease-aware targets of arXiv 2501.14548, which its authors describe but did not release. From
    them: abnormal patients with similar findings are no negatives, and a second network's similarity tells who they are. Ours:
    that this similarity is the softmax of the scores of images and texts, at the second network's temperature, over the abnormal
    participants, and that a fixed share of it is mixed with the targets.

    Args:
        weights: targets [K, N, N] whose rows sum to 1, or to 0 for those who do not participate.
        lesson: scores [K, N, N] of the other network.
        both_abnormal: [K, N, N] bool, both participate and are abnormal.
        share: in [0, 1].

    Returns:
        [K, N, N], the rows' sums as they were; rows of normal patients as they were.
    """
    seen = teacher_logits.masked_fill(~both_abnormal, torch.finfo(teacher_logits.dtype).min).softmax(2)
    return torch.where(both_abnormal.any(2, keepdim=True), (1 - soft_target_weight) * weights + soft_target_weight * seen, weights)


def anatomy_losses(
    images: Tensor,
    texts: Tensor,
    temperature: Tensor,
    participates: Tensor,
    abnormal: Tensor,
    targets: Tensor,
    teacher_logits: Tensor | None = None,
    soft_target_weight: float = 0.0,
) -> AnatomyLosses:
    """Soft cross-entropy of each anatomy in both directions, all anatomies at once.

    Args:
        images, texts: embeddings [N, K, D] of length 1.
        temperature: scalar.
        participates: [N, K] bool.
        abnormal: [N, K] bool.
        targets: [K, N, N] weights >= 0 of pairs, 0 for those who do not participate; rows are normalised here.
        lesson, share: scores [K, N, N] of another network and their share of the targets, see `soft_targets`; None for none.

    Returns:
        `AnatomyLosses`. An anatomy counts if somebody has it present and abnormal and its targets tell pairs apart.
    """
    pairs = participates.T[:, :, None] & participates.T[:, None]
    scores = similarities(images, texts, temperature)
    largest = targets.masked_fill(~pairs, 0).amax((1, 2))
    smallest = targets.masked_fill(~pairs, torch.inf).amin((1, 2))
    counts = (participates & abnormal).any(0) & (largest > smallest)
    weights = targets / targets.sum(2, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
    image_to_text, text_to_image = weights, weights
    if teacher_logits is not None:
        ill = (participates & abnormal).T
        both = ill[:, :, None] & ill[:, None]
        image_to_text, text_to_image = (
            soft_targets(weights, seen, both, soft_target_weight) for seen in (teacher_logits, teacher_logits.mT)
        )
    people = participates.sum(0).clamp_min(1)

    def entropy(scores: Tensor, weights: Tensor) -> Tensor:
        lowest = torch.finfo(scores.dtype).min  # not -inf: 0 * inf is NaN
        logs = scores.masked_fill(~pairs, lowest).log_softmax(2).masked_fill(~pairs, 0)
        return torch.where(counts, -(weights * logs).sum((1, 2)) / people, 0)

    return AnatomyLosses(entropy(scores, image_to_text), entropy(scores.mT, text_to_image), counts)


class FVLMLoss(nn.Module):
    """The sum over anatomies of fVLM's image-text contrast (Shui et al., arXiv 2501.14548).

    Under torch.distributed the embeddings of all ranks are gathered with gradient, and every rank sums over the same anatomies:
    loss and, after DistributedDataParallel's mean, gradients equal those of one process with the whole batch. (In the published
    code a rank without a patient of an anatomy drops its term.) Where no anatomy counts, the loss is a 0 that still has gradients.

    Args:
        calibrated: pairs of normal and of identical texts are no negatives, see `pair_targets`.
        co_teaching_weight: share in [0, 1] of the targets of abnormal patients that networks which learn in a pair
            (`scripts.engines.CoTeaching`) give each other, see `soft_targets`.

    Raises:
        ValueError: a share outside [0, 1].
    """

    def __init__(self, calibrated: bool = True, co_teaching_weight: float = 0.0) -> None:
        super().__init__()
        if not 0 <= co_teaching_weight <= 1:
            raise ValueError(f"co_teaching_weight is a share of the targets, 0 to 1, got {co_teaching_weight}")
        self.calibrated = calibrated
        self.co_teaching_weight = co_teaching_weight

    def forward(self, volumes, texts, teacher_outputs: CoTeachingOutputs | None = None) -> dict[str, Tensor]:
        """Compare the anatomies of a batch's volumes with their texts.

        Args:
            volumes: `AnatomyEmbeddings` of B volumes.
            texts: `AnatomyTexts` of their B reports, in the same order.
            lessons: of the pair that the network learns in, if it does.

        Returns:
            {"loss", "image_to_text", "text_to_image"}: the sum over anatomies of the two directions' mean, and of each. In a pair
            "loss" is the sum of "network_loss" and "partner_loss", the directions are the first network's.
        """
        if teacher_outputs is None:
            return self._contrast(volumes, texts)
        own = self._contrast(volumes, texts, teacher_outputs.by_partner)
        partner = self._contrast(*teacher_outputs.partner, teacher_outputs.by_network)["loss"]
        return {**own, "loss": own["loss"] + partner, "network_loss": own["loss"], "partner_loss": partner}

    def _contrast(self, volumes, texts, teacher: tuple | None = None) -> dict[str, Tensor]:
        present, normal, text_ids = (gather_rows(part) for part in (volumes.present, texts.normal, texts.text_ids))
        images, words = gather_rows(volumes.anatomies), gather_rows(texts.anatomies)
        targets = pair_targets(present, normal, text_ids, self.calibrated).to(images.dtype)
        teacher_logits = None
        if teacher is not None:
            seen, read = teacher
            teacher_logits = similarities(gather_rows(seen.anatomies), gather_rows(read.anatomies), seen.temperature)
        losses = anatomy_losses(
            images, words, volumes.temperature, present, ~normal, targets, teacher_logits, self.co_teaching_weight
        )
        image_to_text, text_to_image = losses.image_to_text.sum(), losses.text_to_image.sum()
        return {"loss": (image_to_text + text_to_image) / 2, "image_to_text": image_to_text, "text_to_image": text_to_image}
