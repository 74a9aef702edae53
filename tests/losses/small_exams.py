"""Random exams for tests of losses: embeddings, and a network small enough to compare every gradient."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from scripts.networks import ExamEmbeddings, ExamTexts
from scripts.networks.exams.pooling import GatedAttentionPooling
from scripts.networks.fvlm import l2_normalize

PATCHES, WIDTH = 3, 5


class Batch(NamedTuple):
    """images [B, N, P, D'] and sentences [B, R, D'] before encoding; masks; regions and findings [B, R]."""

    images: Tensor
    image_mask: Tensor
    sentences: Tensor
    sentence_mask: Tensor
    regions: Tensor
    findings: Tensor

    def part(self, rows: slice) -> "Batch":
        """Some of the exams, padded to their own longest, as a collate of theirs alone would."""
        images, sentences = (int(mask[rows].sum(1).max()) for mask in (self.image_mask, self.sentence_mask))
        cut = (images, images, sentences, sentences, sentences, sentences)
        return Batch(*(field[rows, :longest] for field, longest in zip(self, cut, strict=True)))


def make_batch(image_counts: list[int], sentence_counts: list[int], regions: int = 2, findings: int = 2, seed: int = 2) -> Batch:
    """Exams of so many images and sentences; padding holds random numbers, which nothing may read."""
    generator = torch.Generator().manual_seed(seed)
    exams, images, sentences = len(image_counts), max(image_counts), max(sentence_counts)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    image_mask = torch.arange(images) < torch.tensor(image_counts)[:, None]
    sentence_mask = torch.arange(sentences) < torch.tensor(sentence_counts)[:, None]
    said = torch.randint(-1, regions, (exams, sentences), generator=generator)
    stated = torch.randint(-1, findings, (exams, sentences), generator=generator)
    return Batch(
        numbers(exams, images, PATCHES, WIDTH),
        image_mask,
        numbers(exams, sentences, WIDTH),
        sentence_mask,
        torch.where(sentence_mask, said, -1),
        torch.where(sentence_mask, stated, -1),
    )


class SmallNasVLM(nn.Module):
    """One matrix for patches, one for sentences, both poolings, the temperature."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.patch = nn.Linear(WIDTH, 8)
        self.text = nn.Linear(WIDTH, 8)
        self.image_pooling = GatedAttentionPooling(8, 4)
        self.sentence_pooling = GatedAttentionPooling(8, 4)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))
        self.double()

    def forward(self, batch: Batch) -> tuple[ExamEmbeddings, ExamTexts]:
        projected = self.patch(batch.images)
        patches = l2_normalize(projected) * batch.image_mask[..., None, None]
        images = l2_normalize(projected.mean(2)) * batch.image_mask[..., None]
        sentences = l2_normalize(self.text(batch.sentences)) * batch.sentence_mask[..., None]
        exam, attention = self.image_pooling(images, batch.image_mask)
        report, _ = self.sentence_pooling(sentences, batch.sentence_mask)
        temperature = (-self.logit_scale).exp()
        exams = ExamEmbeddings(l2_normalize(exam), images, patches, batch.image_mask, attention, temperature)
        return exams, ExamTexts(l2_normalize(report), sentences, batch.sentence_mask, batch.regions, batch.findings)
