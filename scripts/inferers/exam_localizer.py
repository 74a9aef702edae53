"""Which image of an exam does a sentence speak of, and where on it? Every exam and every sentence is encoded once."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.inferers.phrase_localizer import smoothing
from scripts.losses.exam_alignment import ASSIGNMENT_TEMPERATURE, assignments
from scripts.networks import ExamEmbeddings, NasVLM
from scripts.networks.fvlm import l2_normalize
from scripts.reports.tokens.text_tokenizer import TextTokenizer

SCORE_LEVELS = ("exam", "region")


class ExamLocalizer:
    """NasVLM's answers without annotations: scores of exams, images of sentences, heat maps of findings. All of it ours.

    Args:
        network: a trained `NasVLM`; it is put into eval mode.
        tokenizer: of its text encoder.
        size: side of the heat maps in pixels: the letterbox that the images went through.
        sigma: Gaussian smoothing in cells of the patch map; 0 smooths nothing.
        temperature: of the softmax by which a sentence chooses images; as in training.
        batch_size: sentences encoded at a time.
    """

    def __init__(
        self,
        network: NasVLM,
        tokenizer: TextTokenizer,
        size: int = 224,
        sigma: float = 1.0,
        temperature: float = ASSIGNMENT_TEMPERATURE,
        batch_size: int = 256,
    ) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.size = size
        self.sigma = sigma
        self.temperature = temperature
        self.batch_size = batch_size
        self._sentences: dict[str, Tensor] = {}

    @torch.inference_mode()
    def encode_exams(self, images: Tensor, image_index: Tensor) -> ExamEmbeddings:
        """Embed images [V, 3, S, S], prepared as in training, and the exams that image_index [B, N] makes of them."""
        return self.network.encode_exams(images, image_index)

    @torch.inference_mode()
    def encode_sentences(self, sentences: Sequence[str]) -> Tensor:
        """Embeddings of sentences, [P, D], length 1; those seen before come from memory."""
        device = next(self.network.parameters()).device
        fresh = sorted({text for text in sentences if text not in self._sentences}, key=len)
        for start in range(0, len(fresh), self.batch_size):
            chunk = fresh[start : start + self.batch_size]
            texts = {key: value.to(device) for key, value in self.tokenizer(chunk).items()}
            self._sentences.update(zip(chunk, self.network.encode_sentences(**texts), strict=True))
        return torch.stack([self._sentences[text] for text in sentences])

    @torch.inference_mode()
    def mean_sentence(self, sentences: Sequence[str]) -> Tensor:
        """What several wordings of one statement share, [D], length 1."""
        return l2_normalize(self.encode_sentences(sentences).mean(0))

    @torch.inference_mode()
    def encode_report(self, sentences: Sequence[str]) -> Tensor:
        """Embedding of a report from its sentences, one or more: [D], length 1."""
        there = torch.ones(1, len(sentences), dtype=torch.bool, device=next(self.network.parameters()).device)
        pooled, _ = self.network.sentence_pooling(self.encode_sentences(sentences)[None], there)
        return l2_normalize(pooled)[0]

    @torch.inference_mode()
    def images_of(self, exams: ExamEmbeddings, sentences: Tensor) -> Tensor:
        """How much each of P sentences [P, D] belongs to each image of each exam: [B, P, N], sums to 1, 0 for padding.

        The largest is the image that the sentence selects.
        """
        asked = sentences.expand(len(exams.images), -1, -1)
        return assignments(exams.images, exams.image_mask, asked, self.temperature)

    @torch.inference_mode()
    def scores(self, exams: ExamEmbeddings, sentences: Tensor, level: str = "region") -> Tensor:
        """How well each of P sentences [P, D] fits each exam: [B, P], a cosine.

        Args:
            level: "region": with the images that the sentence selects; "exam": with the exam's embedding, for networks trained on
                whole exams alone.

        Raises:
            ValueError: another level.
        """
        if level not in SCORE_LEVELS:
            raise ValueError(f"level must be {' or '.join(SCORE_LEVELS)}, got '{level}'")
        if level == "exam":
            return exams.exam @ sentences.T
        return (self.images_of(exams, sentences) * (sentences @ exams.images.mT)).sum(2)

    @torch.inference_mode()
    def heat_maps(self, exams: ExamEmbeddings, abnormal: Tensor, normal: Tensor, sigma: float | None = None) -> Tensor:
        """Where each image looks more like an abnormal than like a normal statement: cos(p, abnormal) - cos(p, normal).

        Args:
            exams: embeddings of B exams; one at a time where maps are large.
            abnormal, normal: embeddings of P pairs of statements, [P, D], length 1; zeros leave a side out.
            sigma: smoothing in cells of the patch map; None takes the localizer's.

        Returns:
            [B, N, P, size, size], in [-2, 2]; 0 for padding.
        """
        side = round(exams.patches.shape[2] ** 0.5)  # the network's input is a square
        heat = torch.einsum("bnkd,pd->bnpk", exams.patches, abnormal - normal).unflatten(3, (side, side))
        return enlarge(heat, self.size, self.sigma if sigma is None else sigma)


def enlarge(heat: Tensor, size: int, sigma: float) -> Tensor:
    """Smooth maps [..., h, w] on their own grid (sigma in cells), and enlarge them bilinearly to [..., size, size]."""
    rows, columns = (smoothing(cells, sigma).to(heat) for cells in heat.shape[-2:])
    flat = (rows @ heat @ columns.T).flatten(0, -3)[:, None]
    large = F.interpolate(flat, (size, size), mode="bilinear", align_corners=False)
    return large[:, 0].unflatten(0, heat.shape[:-2])
