"""NasVLM: one network for the images of an endoscopic exam and the sentences of its report."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from scripts.networks.exams.encoder import ExamEncoder, build_image_encoder, take_rows
from scripts.networks.exams.pooling import GatedAttentionPooling
from scripts.networks.fvlm import l2_normalize
from scripts.networks.image_encoder import ImageEncoder
from scripts.networks.pooled_text_encoder import PooledTextEncoder
from scripts.networks.vision_transformer import VisionTransformer

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 0.5


class ExamEmbeddings(NamedTuple):
    """The images of B exams, see `ExamImages`; temperature: scalar, of the contrasts."""

    exam: Tensor
    images: Tensor
    patches: Tensor
    image_mask: Tensor
    attention: Tensor
    temperature: Tensor


class ExamTexts(NamedTuple):
    """The reports of B exams, R the most sentences of one.

    report: [B, D], length 1. sentences: [B, R, D], length 1, 0 past a report's last sentence. sentence_mask: [B, R] bool, False
    for padding. regions, findings: [B, R] int64, see `NasVLM.forward`.
    """

    report: Tensor
    sentences: Tensor
    sentence_mask: Tensor
    regions: Tensor
    findings: Tensor


class NasVLM(nn.Module):
    """Exams and reports that meet as wholes, image by sentence and patch by sentence.

    The paper (Liu et al., Pattern Recognition 2025, doi 10.1016/j.patcog.2025.111646) says that one report is aligned with several
    images of different regions at several granularities; its network is not published. This one is our reconstruction.

        network = NasVLM(ImageEncoder("resnet50", 256, 224), PooledTextEncoder("models/bert"))
        exams, texts = network(batch["images"], **batch["inputs"])

    Args:
        image_encoder: a ResNet or a ViT whose heads project to D.
        text_encoder: gives text embeddings of size D; every sentence is a text of its own.
        patch_level, attention_size: see `ExamEncoder`.
        temperature: where the learned temperature starts; it is kept within .01 and .5.

    Raises:
        ValueError: the encoders' embedding sizes differ, or what `ExamEncoder` raises.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder | VisionTransformer,
        text_encoder: PooledTextEncoder,
        patch_level: str = "sentences",
        attention_size: int = 128,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        self.exam_encoder = ExamEncoder(image_encoder, patch_level, attention_size)
        size = text_encoder.projection.out_features
        if self.exam_encoder.embedding_size != size:
            raise ValueError(
                f"the image encoder embeds into {self.exam_encoder.embedding_size} dimensions, the text encoder into {size}: "
                "give both the same embedding_size"
            )
        self.text_encoder = text_encoder
        self.sentence_pooling = GatedAttentionPooling(size, attention_size)
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    @property
    def temperature(self) -> Tensor:
        """Scalar; learned as the logarithm of its inverse (CLIP's logit scale), so that a step changes it by a share of itself."""
        return (-self.logit_scale).exp()

    @classmethod
    def build(cls, architecture: Mapping[str, Any]) -> Self:
        """The network that `architecture` describes, with random weights."""
        encoder = build_image_encoder(architecture["image_encoder"])
        text_encoder = PooledTextEncoder.build(architecture)
        return cls(encoder, text_encoder, architecture["patch_level"], architecture["attention_size"])

    @property
    def architecture(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the weights to `build` this network again."""
        return {
            **self.exam_encoder.architecture,
            "text_encoder": self.text_encoder.architecture,
            "embedding_size": self.text_encoder.projection.out_features,
            "text_pooling": self.text_encoder.pooling,
        }

    def encode_exams(self, images: Tensor, image_index: Tensor) -> ExamEmbeddings:
        """Embed images [V, 3, H, W] and their exams [B, N], see `ExamEncoder.forward`."""
        return ExamEmbeddings(*self.exam_encoder(images, image_index), self.temperature)

    def encode_sentences(self, tokens: Tensor, attention_mask: Tensor) -> Tensor:
        """Embed sentences: tokens and attention_mask [S, L] -> [S, D] of length 1."""
        return l2_normalize(self.text_encoder(tokens, attention_mask))

    def forward(
        self,
        images: Tensor,
        image_index: Tensor,
        tokens: Tensor,
        attention_mask: Tensor,
        sentence_index: Tensor,
        sentence_region: Tensor,
        statement_id: Tensor,
    ) -> tuple[ExamEmbeddings, ExamTexts]:
        """Embed images and sentences of a batch as `scripts.loading.ExamCollate` gives it.

        Args:
            images: all images of the batch, [V, 3, H, W].
            image_index: the images of each exam, [B, N] int64 into V, -1 for padding.
            tokens, attention_mask: the batch's different sentences, [S, L].
            sentence_index: the sentences of each report, [B, R] int64 into S, -1 for padding.
            sentence_region: the region that a sentence speaks of, [B, R] int64, -1 for none; handed on to the loss.
            statement_id: a number for what it says of the region, the same for the same statement, [B, R] int64, -1 unknown;
                handed on to the loss.
        """
        with torch.no_grad():
            self.logit_scale.clamp_(-math.log(MAX_TEMPERATURE), -math.log(MIN_TEMPERATURE))
        exams = self.encode_exams(images, image_index)
        sentences, mask = take_rows(self.encode_sentences(tokens, attention_mask), sentence_index), sentence_index >= 0
        report, _ = self.sentence_pooling(sentences, mask)
        return exams, ExamTexts(l2_normalize(report), sentences, mask, sentence_region, statement_id)

    def predict_image(self, image: Tensor) -> Tensor:
        """Embedding [B, D], length 1, of exams of one image each, [B, 3, H, W]."""
        return self.encode_exams(image, torch.arange(len(image), device=image.device)[:, None]).exam

    @torch.no_grad()
    def center(self, images: Tensor, inputs: dict[str, Tensor]) -> None:
        """Take out of fresh embeddings what all of one batch share; see `scripts.engines.center_on_first_batch`."""
        was_training = self.training
        self.train()  # batch statistics: the running ones have seen nothing yet
        exam_encoder = self.exam_encoder
        encoder = exam_encoder.image_encoder
        stages = encoder.stages(images)
        encoder.report_head.bias -= encoder.report_head(stages[-1].mean((0, 2, 3)))
        shared = torch.nn.functional.normalize(exam_encoder.patch_stage(stages).mean((0, 2, 3)), dim=0)
        weight = exam_encoder.patch_head.weight[..., 0, 0]
        weight -= (weight @ shared)[:, None] * shared
        self.text_encoder.eval()  # dropout would be counted as something that sentences share
        self.text_encoder.projection.bias -= self.text_encoder(inputs["tokens"], inputs["attention_mask"]).mean(0)
        self.train(was_training)
