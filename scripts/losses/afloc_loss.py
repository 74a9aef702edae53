"""AFLoc's contrast of films and reports at three levels: report, sentences, words."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.losses.gather import gather_rows, gather_texts
from scripts.losses.local_alignment import local_alignment


def symmetric_cross_entropy(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of a square score matrix whose matching pairs lie on the diagonal.

    Args:
        scores: [N, N], rows are images, columns are texts; N >= 2.

    Returns:
        (image to text, text to image), two scalars.

    Raises:
        ValueError: fewer than two pairs, which leave nothing to contrast.
    """
    if len(scores) < 2 or scores.shape[0] != scores.shape[1]:
        raise ValueError(
            f"a contrastive loss needs a square matrix of at least 2 pairs, got {tuple(scores.shape)}: raise batch_size"
        )
    target = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(scores, target), F.cross_entropy(scores.T, target)


class AFLocLoss(nn.Module):
    """The sum of AFLoc's report, sentence and word contrasts (arXiv 2401.02044; unit weights there).

    Report level: t3 * cosine of the image's and the report's embedding. Sentence and word level: `local_alignment` on the
    coarse and the fine image map. Each level is cross-entropy over texts per image plus over images per text. Under
    torch.distributed the texts of all ranks are gathered with gradient, each rank scores its own images, and the score rows are
    gathered in turn: the loss and, after DistributedDataParallel's mean, the gradients equal those of one process with the
    whole batch. Levels of weight 0 are not computed.

    Args:
        report_weight, sentence_weight, word_weight: weight of each level, >= 0, at least one > 0.
        attention_temperature, matching_temperature, score_temperature: t1, t2, t3 of `local_alignment`.

    Raises:
        ValueError: a negative weight, or all weights 0.
    """

    def __init__(
        self,
        report_weight: float = 1.0,
        sentence_weight: float = 1.0,
        word_weight: float = 1.0,
        attention_temperature: float = 4.0,
        matching_temperature: float = 5.0,
        score_temperature: float = 10.0,
    ) -> None:
        super().__init__()
        self.weights = {"report": report_weight, "sentences": sentence_weight, "words": word_weight}
        if min(self.weights.values()) < 0 or max(self.weights.values()) == 0:
            raise ValueError(f"loss weights must be >= 0 and one of them > 0, got {self.weights}")
        self.score_temperature = score_temperature
        self.temperatures = {
            "attention_temperature": attention_temperature,
            "matching_temperature": matching_temperature,
            "score_temperature": score_temperature,
        }

    def forward(self, images, texts) -> dict[str, Tensor]:
        """Compare the embeddings of a batch's films with those of its reports.

        Args:
            images: `ImageEmbeddings` of B films: report [B, D], sentences [B, D, h, w], words [B, D, h', w'].
            texts: `TextEmbeddings` of their B reports, in the same order.

        Returns:
            {"loss": weighted sum, and per level of weight > 0 "report", "sentences", "words": image to text plus text to image}.
        """
        terms = {}
        if self.weights["report"]:
            report = gather_rows(texts.report)
            scores = self.score_temperature * F.cosine_similarity(images.report[:, None], report[None], dim=-1, eps=1e-8)
            terms["report"] = sum(symmetric_cross_entropy(gather_rows(scores)))
        for level, lengths in (("sentences", texts.sentence_lengths), ("words", texts.word_lengths)):
            if self.weights[level]:
                units, counts = gather_texts(getattr(texts, level), lengths)
                scores = local_alignment(getattr(images, level), units, counts, **self.temperatures)
                terms[level] = sum(symmetric_cross_entropy(gather_rows(scores)))
        return {"loss": sum(self.weights[level] * term for level, term in terms.items()), **terms}
