"""NasVLM's contrasts of exams and reports: as wholes, image by sentence, finding by finding, patch by sentence."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.losses.afloc_loss import symmetric_cross_entropy
from scripts.losses.exam_alignment import (
    ASSIGNMENT_TEMPERATURE,
    assignments,
    gather_padded,
    patch_scores,
    row_losses,
    two_way_scores,
)
from scripts.losses.gather import gather_rows

DUPLICATES = ("positives", "negatives")


class NasVLMLoss(nn.Module):
    """The weighted sum of four contrasts. All four are our reconstruction: the paper (doi 10.1016/j.patcog.2025.111646) states
    that a report is aligned with the images of different regions at several granularities, and publishes no formula.

    exam: the exam's embedding against the report's (symmetric InfoNCE).
    region: all exams against all reports, by `two_way_scores`; the mean of the InfoNCE of both scores.
    finding: each sentence whose region and statement are known looks for its images in its own exam; what it finds there is
        contrasted with the sentences that other exams' reports say of the same region. The same statement is a positive.
    patch: as finding, but an exam shows as much of a sentence as its best places do (`patch_scores`). A contrast of attended
        patches within a report (GLoRIA's, as PRIOR keeps it) was tried: any patch of the right image satisfies it, and heat maps
        then point anywhere in that image.

    Under torch.distributed each rank scores its own exams against the reports of all, which are gathered with gradient: loss and,
    after DistributedDataParallel's mean, gradients equal those of one process with the whole batch. Terms of weight 0 are not
    computed. Everything is in float32 at least, whatever autocast says: the networks' cost is elsewhere.

    Args:
        exam_weight, region_weight, finding_weight, patch_weight: >= 0, at least one > 0.
        assignment_temperature: of the softmax by which sentences find images, and images sentences, and of the soft maximum over
            patches.
        duplicates: "positives": sentences of other exams that say the same of a region are positives of finding and patch;
            "negatives": they are negatives, as in a plain contrast (for comparison).

    Raises:
        ValueError: a negative weight, all weights 0, or another `duplicates`.
    """

    def __init__(
        self,
        exam_weight: float = 1.0,
        region_weight: float = 1.0,
        finding_weight: float = 0.5,
        patch_weight: float = 1.0,
        assignment_temperature: float = ASSIGNMENT_TEMPERATURE,
        duplicates: str = "positives",
    ) -> None:
        super().__init__()
        self.weights = {"exam": exam_weight, "region": region_weight, "finding": finding_weight, "patch": patch_weight}
        if min(self.weights.values()) < 0 or max(self.weights.values()) == 0:
            raise ValueError(f"loss weights must be >= 0 and one of them > 0, got {self.weights}")
        if duplicates not in DUPLICATES:
            raise ValueError(f"duplicates must be {' or '.join(DUPLICATES)}, got '{duplicates}'")
        self.assignment_temperature = assignment_temperature
        self.duplicates = duplicates

    def forward(self, exams, texts) -> dict[str, Tensor]:
        """Compare the exams of a batch with their reports.

        Args:
            exams: `ExamEmbeddings` of B exams.
            texts: `ExamTexts` of their B reports, in the same order.

        Returns:
            {"loss": weighted sum, and of each term of weight > 0 "exam", "region", "finding", "patch"}.

        Raises:
            ValueError: fewer than two exams on all ranks together, for the exam and the region term.
        """
        terms = {name: getattr(self, f"_{name}") for name, weight in self.weights.items() if weight}
        with torch.autocast(exams.exam.device.type, enabled=False):
            losses = {name: term(exams, texts) for name, term in terms.items()}
        return {"loss": sum(self.weights[name] * loss for name, loss in losses.items()), **losses}

    def _exam(self, exams, texts) -> Tensor:
        scores = exams.exam @ gather_rows(texts.report).T / exams.temperature
        return sum(symmetric_cross_entropy(gather_rows(scores))) / 2

    def _region(self, exams, texts) -> Tensor:
        sentences, mask = gather_padded(texts.sentences), gather_padded(texts.sentence_mask)
        scores = two_way_scores(exams.images, exams.image_mask, sentences, mask, self.assignment_temperature)
        return sum(sum(symmetric_cross_entropy(gather_rows(way / exams.temperature))) for way in scores) / 4

    def _finding(self, exams, texts) -> Tensor:
        statements = self._statements(texts)
        weights = assignments(exams.images, exams.image_mask, texts.sentences, self.assignment_temperature)
        found = gather_padded(F.normalize(weights @ exams.images, dim=-1))[statements.position]
        return statements.contrast(found @ statements.sentences.T / exams.temperature)

    def _patch(self, exams, texts) -> Tensor:
        statements = self._statements(texts)
        scores = gather_rows(patch_scores(exams.patches, exams.image_mask, statements.sentences, self.assignment_temperature))
        return statements.contrast(scores[statements.position[0]] / exams.temperature)

    def _statements(self, texts) -> "Statements":
        regions, findings = gather_padded(texts.regions, -1), gather_padded(texts.findings, -1)
        known = gather_padded(texts.sentence_mask) & (regions >= 0) & (findings >= 0)
        position = known.nonzero(as_tuple=True)
        exam, region, finding = position[0], regions[known], findings[known]
        own = torch.eye(len(exam), dtype=torch.bool, device=exam.device)
        # One image may show two findings of a region: the exam's other sentences are neither right nor wrong.
        compared = (region[:, None] == region) & ((exam[:, None] != exam) | own)
        positive = compared & (finding[:, None] == finding) if self.duplicates == "positives" else own
        return Statements(gather_padded(texts.sentences)[known], position, compared, positive)


class Statements(NamedTuple):
    """The K sentences of all exams, on all ranks, of which it is known what they say of which region.

    sentences: [K, D]. place: exam and place in its report, [K] each. compared, positive: [K, K] bool, of a row's sentence, which
    others are on the same region of another exam, and which of them say the same; the sentence itself is both.
    """

    sentences: Tensor
    position: tuple[Tensor, Tensor]
    compared: Tensor
    positive: Tensor

    def contrast(self, scores: Tensor) -> Tensor:
        """Scores [K, K] of what the row's exam shows with the column's sentence -> scalar, the mean of both ways."""
        ways = [row_losses(way, self.compared, self.positive) for way in (scores, scores.T)]
        return sum(losses.sum() / counts.sum().clamp_min(1) for losses, counts in ways) / 2
