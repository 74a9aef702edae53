"""fVLM: one network for the anatomies of CT volumes and the parts of reports that speak of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.networks.anatomy_pooling import AnatomyPooling, anatomy_tokens
from scripts.networks.pooled_text_encoder import PooledTextEncoder
from scripts.networks.volume_encoder import VolumeEncoder

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.001, 0.5


def l2_normalize(features: Tensor) -> Tensor:
    """Features [..., D] scaled to length 1, in float32 at least: a cosine over a small temperature feels bf16's steps."""
    return F.normalize(features.to(torch.promote_types(features.dtype, torch.float32)), dim=-1)


class AnatomyEmbeddings(NamedTuple):
    """The K anatomies of B volumes.

    anatomies: [B, K, D], length 1. present: [B, K] bool, the others' embeddings mean nothing. temperature: scalar.
    """

    anatomies: Tensor
    present: Tensor
    temperature: Tensor


class AnatomyTexts(NamedTuple):
    """What the B reports say of the K anatomies.

    anatomies: [B, K, D], length 1. normal: [B, K] bool. text_ids: [B, K] int64, equal where texts are.
    """

    anatomies: Tensor
    normal: Tensor
    text_ids: Tensor


class FVLM(nn.Module):
    """Volume and text encoder that meet anatomy by anatomy (Shui et al., ICLR 2025, arXiv 2501.14548).

        network = FVLM(VolumeEncoder(), PooledTextEncoder("models/cxr_bert"), ["lung", "heart", "esophagus", "aorta"])
        volumes, texts = network(images, **batch["inputs"])

    Args:
        volume_encoder: gives tokens.
        text_encoder: gives text embeddings of size D.
        anatomies: names, in the order of the masks' values (1, 2, ...).
        pooling_heads: attention heads of the pooling.
        temperature: where the learned temperature starts; it is kept within .001 and .5.
    """

    def __init__(
        self,
        volume_encoder: VolumeEncoder,
        text_encoder: PooledTextEncoder,
        anatomies: Sequence[str],
        pooling_heads: int = 4,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        self.volume_encoder = volume_encoder
        self.text_encoder = text_encoder
        self.anatomies = list(anatomies)
        size = volume_encoder.architecture
        embedding_size = text_encoder.projection.out_features
        self.pooling = AnatomyPooling(len(self.anatomies), size["hidden_size"], embedding_size, pooling_heads, size["dropout"])
        self.temperature = nn.Parameter(torch.tensor(temperature))

    @classmethod
    def build(cls, architecture: Mapping[str, Any]) -> Self:
        """The network that `architecture` describes, with random weights."""
        volume_encoder = VolumeEncoder(**architecture["volume_encoder"])
        text_encoder = PooledTextEncoder.build(architecture)
        return cls(volume_encoder, text_encoder, architecture["anatomies"], architecture["pooling_heads"])

    @property
    def architecture(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the weights to `build` this network again."""
        return {
            "volume_encoder": self.volume_encoder.architecture,
            "text_encoder": self.text_encoder.architecture,
            "embedding_size": self.text_encoder.projection.out_features,
            "text_pooling": self.text_encoder.pooling,
            "pooling_heads": self.pooling.attention.num_heads,
            "anatomies": self.anatomies,
        }

    def encode_volumes(self, images: Tensor, masks: Tensor, drop_cut: bool = False) -> tuple[Tensor, Tensor]:
        """Embed the anatomies of volumes.

        Args:
            images: [B, 1, D, H, W] in [0, 1].
            masks: [B, D, H, W] integers, 0 or an anatomy's position + 1.
            drop_cut: an anatomy that touches a face of the volume does not count as present; so in training.

        Returns:
            embeddings [B, K, E] of length 1, present [B, K] bool.
        """
        member, cut = anatomy_tokens(masks, len(self.anatomies), self.volume_encoder.patch_size)
        features = self.pooling(self.volume_encoder(images), member)
        present = member.any(2)
        return l2_normalize(features), present & ~cut if drop_cut else present

    def encode_texts(self, tokens: Tensor, attention_mask: Tensor) -> Tensor:
        """Embed texts: tokens and attention_mask [T, L] -> [T, E] of length 1."""
        return l2_normalize(self.text_encoder(tokens, attention_mask))

    def forward(
        self,
        images: Tensor,
        masks: Tensor,
        tokens: Tensor,
        attention_mask: Tensor,
        text_index: Tensor,
        normal: Tensor,
        text_ids: Tensor,
    ) -> tuple[AnatomyEmbeddings, AnatomyTexts]:
        """Embed volumes and texts of a batch as `scripts.loading.VolumeCollate` gives it.

        Args:
            images: [B, 1, D, H, W] in [0, 1].
            masks: [B, D, H, W] integers, 0 or an anatomy's position + 1.
            tokens, attention_mask: the batch's different texts, [T, L].
            text_index: which of them is whose, [B, K].
            normal, text_ids: handed on to the loss, [B, K].
        """
        with torch.no_grad():
            self.temperature.clamp_(MIN_TEMPERATURE, MAX_TEMPERATURE)
        features, present = self.encode_volumes(images, masks, drop_cut=True)
        texts = self.encode_texts(tokens, attention_mask)[text_index]
        return AnatomyEmbeddings(features, present, self.temperature), AnatomyTexts(texts, normal, text_ids)

    def predict_image(self, image: Tensor) -> Tensor:
        """Embeddings of the K anatomies [B, D, K] of volumes [B, 1, D, H, W], length 1.

        Each of them may look at the whole volume, since no mask tells where it lies; `encode_volumes` keeps each to its own place.
        """
        nowhere = torch.zeros_like(image[:, 0], dtype=torch.uint8)  # an anatomy that the mask lacks looks everywhere
        return self.encode_volumes(image, nowhere)[0].mT

    @torch.no_grad()
    def center(self, images: Tensor, inputs: dict[str, Tensor]) -> None:
        """Take out of fresh embeddings what all of one batch share; see `scripts.engines.center_on_first_batch`."""
        was_training = self.training
        self.eval()  # dropout would be counted as something that all share
        self.volume_encoder.stem.train()  # batch statistics: the running ones have seen nothing yet
        member, _ = anatomy_tokens(inputs["masks"], len(self.anatomies), self.volume_encoder.patch_size)
        features, there = self.pooling(self.volume_encoder(images), member), member.any(2)[..., None]
        self.pooling.projection_bias -= (features * there).sum(0) / there.sum(0).clamp_min(1)
        self.text_encoder.projection.bias -= self.text_encoder(inputs["tokens"], inputs["attention_mask"]).mean(0)
        self.train(was_training)
