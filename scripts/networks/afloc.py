"""AFLoc: one network for films and reports, aligned at report, sentence and word level."""

from typing import Any

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

    @property
    def architecture(self) -> dict[str, dict[str, Any]]:
        """What a checkpoint must hold beside the weights to build this network again (see `scripts.weights.load_afloc`)."""
        return {"image_encoder": self.image_encoder.architecture, "text_encoder": self.text_encoder.architecture}

    def forward(self, images: Tensor, **texts: Tensor) -> tuple[ImageEmbeddings, TextEmbeddings]:
        """Embed films [B, 1 or 3, H, W] in [-1, 1] and their B tokenized reports (see `TextEncoder.forward`)."""
        return self.image_encoder(images), self.text_encoder(**texts)
