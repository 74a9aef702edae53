"""From the images of a batch, whichever exams they belong to, to the embeddings of exams."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from torch import Tensor, nn

from scripts.networks.exams.pooling import GatedAttentionPooling
from scripts.networks.fvlm import l2_normalize
from scripts.networks.image_encoder import ImageEncoder
from scripts.networks.vision_transformer import VisionTransformer

# Which head makes patches, and of which of the image encoder's stages: strides 8 and 16 of a ResNet; a ViT has "sentences" alone.
PATCH_LEVELS = {"words": ("word_head", 0), "sentences": ("sentence_head", 1)}


class ExamImages(NamedTuple):
    """The images of B exams, N the most of one exam, P patches an image.

    exam: [B, D], length 1. images: [B, N, D] and patches: [B, N, P, D], length 1, 0 past an exam's last image; patches run along
    rows first. image_mask: [B, N] bool, False for padding. attention: [B, N], what each image adds to the exam; sums to 1.
    """

    exam: Tensor
    images: Tensor
    patches: Tensor
    image_mask: Tensor
    attention: Tensor


class ExamEncoder(nn.Module):
    """Images are encoded one by one and meet in gated attention: an exam may have any number of them, in any order.

    Args:
        image_encoder: its heads project to D; heads that nothing uses here are frozen.
        patch_level: "sentences" (stride 16) or "words" (stride 8, ResNets only): which map gives the patches.
        attention_size: of the gated attention.

    Raises:
        ValueError: an unknown `patch_level`, or one that the image encoder lacks.
    """

    def __init__(
        self, image_encoder: ImageEncoder | VisionTransformer, patch_level: str = "sentences", attention_size: int = 128
    ) -> None:
        super().__init__()
        known = [level for level, (head, _) in PATCH_LEVELS.items() if hasattr(image_encoder, head)]
        if patch_level not in known:
            raise ValueError(f"patch_level must be {' or '.join(known)} with this image encoder, got '{patch_level}'")
        self.image_encoder = image_encoder
        self.patch_level = patch_level
        self.pooling = GatedAttentionPooling(self.embedding_size, attention_size)
        for level in set(known) - {patch_level}:
            getattr(image_encoder, PATCH_LEVELS[level][0]).requires_grad_(False)

    @classmethod
    def build(cls, architecture: Mapping[str, Any]) -> Self:
        """The encoder that `architecture` describes, with random weights."""
        encoder = build_image_encoder(architecture["image_encoder"])
        return cls(encoder, architecture["patch_level"], architecture["attention_size"])

    @property
    def embedding_size(self) -> int:
        return self.image_encoder.report_head.out_features

    @property
    def patch_head(self) -> nn.Conv2d:
        return getattr(self.image_encoder, PATCH_LEVELS[self.patch_level][0])

    @property
    def architecture(self) -> dict[str, Any]:
        """What it takes to `build` it again."""
        return {
            "image_encoder": self.image_encoder.architecture,
            "patch_level": self.patch_level,
            "attention_size": self.pooling.gate.out_features,
        }

    def patch_stage(self, stages: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """The one of the image encoder's stages that the patches are made of."""
        return stages[PATCH_LEVELS[self.patch_level][1]]

    def forward(self, images: Tensor, image_index: Tensor) -> ExamImages:
        """Embed images and the exams that they belong to.

        Args:
            images: all images of the batch, [V, 3, H, W], normalised.
            image_index: the images of each exam, [B, N] int64 into V, -1 for padding.
        """
        stages = self.image_encoder.stages(images)
        features = l2_normalize(self.image_encoder.report_head(stages[-1].mean((2, 3))))
        patches = l2_normalize(self.patch_head(self.patch_stage(stages)).flatten(2).mT)
        return self.join(features, patches, image_index)

    def join(self, features: Tensor, patches: Tensor, image_index: Tensor) -> ExamImages:
        """Bring embeddings of images, [V, D] and [V, P, D], into their exams."""
        by_exam, mask = take_rows(features, image_index), image_index >= 0
        pooled, attention = self.pooling(by_exam, mask)
        return ExamImages(l2_normalize(pooled), by_exam, take_rows(patches, image_index), mask, attention)


def build_image_encoder(architecture: Mapping[str, Any]) -> ImageEncoder | VisionTransformer:
    """The image encoder that its `architecture` describes, with random weights."""
    return VisionTransformer(**architecture) if "patch_size" in architecture else ImageEncoder(**architecture)


def take_rows(rows: Tensor, index: Tensor) -> Tensor:
    """Rows [V, ...] by index [B, N], -1 gives zeros: [B, N, ...]."""
    there = (index >= 0).view(*index.shape, *[1] * (rows.ndim - 1))
    return rows[index.clamp_min(0)] * there
