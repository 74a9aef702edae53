"""AFLoc: one network for films and reports, aligned at report, sentence and word level."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from scripts.networks.image_encoder import ImageEmbeddings, ImageEncoder
from scripts.networks.text_encoder import TextEmbeddings, TextEncoder


class AFLoc(nn.Module):
    """Image and text encoder with a common embedding size (Yang et al., arXiv 2401.02044).

    Example:
        >>> network = AFLoc(ImageEncoder("resnet50", 768), TextEncoder("models/bert"))
        >>> images, texts = network(films, **tokenizer(["Patchy opacity in the right lower lobe."]))
        >>> heat = torch.einsum("bdhw,bd->bhw", images.sentences, texts.report)

    Raises:
        ValueError: the encoders' embedding sizes differ.
    """

    def __init__(self, image_encoder: ImageEncoder, text_encoder: TextEncoder) -> None:
        super().__init__()
        if image_encoder.report_head.out_features != text_encoder.embedding_size:
            raise ValueError(
                f"the image encoder embeds into {image_encoder.report_head.out_features} dimensions, "
                f"the text encoder into {text_encoder.embedding_size}: set embedding_size to the latter"
            )
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder

    @classmethod
    def build(cls, architecture: Mapping[str, Any], report_length: int | None = None) -> Self:
        """The network that `architecture` describes, with random weights; `report_length`: see `TextEncoder`."""
        text_encoder = TextEncoder(architecture["text_encoder"], report_length=report_length)
        return cls(ImageEncoder(**architecture["image_encoder"]), text_encoder)

    @property
    def architecture(self) -> dict[str, dict[str, Any]]:
        """What a checkpoint must hold beside the weights to `build` this network again."""
        return {"image_encoder": self.image_encoder.architecture, "text_encoder": self.text_encoder.architecture}

    def forward(self, images: Tensor, **texts: Tensor) -> tuple[ImageEmbeddings, TextEmbeddings]:
        """Embed films [B, 1 or 3, H, W] in [-1, 1] and their B tokenized reports (see `TextEncoder.forward`)."""
        return self.image_encoder(images), self.text_encoder(**texts)

    def predict_image(self, image: Tensor) -> Tensor:
        """Report embedding [B, D] of films [B, 1 or 3, H, W]."""
        return self.image_encoder(image).report

    @torch.no_grad()
    def center(self, images: Tensor, inputs: dict[str, Tensor]) -> None:
        """Take out of fresh embeddings what all of one batch share; see `scripts.engines.center_on_first_batch`."""
        was_training = self.training
        self.train()  # batch statistics: the running ones have seen nothing yet
        encoder = self.image_encoder
        stage2, stage3, stage4 = encoder.stages(images)
        encoder.report_head.bias -= encoder.report_head(encoder.backbone.avgpool(stage4).flatten(1)).mean(0)
        for head, stage in ((encoder.word_head, stage2), (encoder.sentence_head, stage3)):
            shared = torch.nn.functional.normalize(stage.mean((0, 2, 3)), dim=0)
            weight = head.weight.flatten(1)
            weight -= (weight @ shared)[:, None] * shared
        report = self.text_encoder.eval()(**inputs)  # dropout would be counted as something that reports share
        counts = (inputs["word_index"].amax(1) + 1).float()
        pieces = inputs["attention_mask"].sum(1) / counts  # a word is the sum of its pieces
        self.text_encoder.bert.encoder.layer[-1].output.LayerNorm.bias -= report.report.mean(0) / pieces.mean()
        self.train(was_training)
