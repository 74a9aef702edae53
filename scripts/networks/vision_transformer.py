"""A ViT for images with the interface of the ResNet image encoder."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.networks.volume_encoder import TransformerBlock


class VisionTransformer(nn.Module):
    """ViT (Dosovitskiy et al., arXiv 2010.11929) without a class token, whose tokens feed the heads of `ImageEncoder`.

    There is one map, so there is no head for words. `monai.networks.nets.ViT` needs einops, which this project does not install.
    The input is resized bilinearly to `input_size`. Defaults are ViT-B/16 at 224 pixels.

    Args:
        embedding_size: D of the heads.
        input_size: side of the network's input in pixels, a multiple of `patch_size`.
        patch_size: side of a patch in pixels.
        hidden_size: C, a multiple of `heads`.
        mlp_size: width of the MLPs.
        layers: number of blocks.
        heads: attention heads.
        dropout: in [0, 1).

    Raises:
        ValueError: sizes that do not divide.
    """

    def __init__(
        self,
        embedding_size: int = 256,
        input_size: int = 224,
        patch_size: int = 16,
        hidden_size: int = 768,
        mlp_size: int = 3072,
        layers: int = 12,
        heads: int = 12,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if input_size % patch_size or hidden_size % heads:
            raise ValueError(
                f"input_size {input_size} must be a multiple of patch_size {patch_size}, "
                f"hidden_size {hidden_size} one of heads {heads}"
            )
        self.input_size = input_size
        self.architecture: dict[str, Any] = {
            "embedding_size": embedding_size,
            "input_size": input_size,
            "patch_size": patch_size,
            "hidden_size": hidden_size,
            "mlp_size": mlp_size,
            "layers": layers,
            "heads": heads,
            "dropout": dropout,
        }
        self.grid = input_size // patch_size
        self.patch_embeddings = nn.Conv2d(3, hidden_size, patch_size, patch_size)
        self.position_embeddings = nn.Parameter(torch.empty(1, self.grid**2, hidden_size))
        nn.init.trunc_normal_(self.position_embeddings, std=0.02)
        self.blocks = nn.ModuleList(TransformerBlock(hidden_size, mlp_size, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.sentence_head = nn.Conv2d(hidden_size, embedding_size, 1, bias=False)
        self.report_head = nn.Linear(hidden_size, embedding_size)

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The last block's map of images [B, 3, H, W], [B, C, h, w]: three times, where a ResNet has three stages."""
        if images.shape[-2:] != (self.input_size, self.input_size):
            images = F.interpolate(images, (self.input_size, self.input_size), mode="bilinear", align_corners=True)
        tokens = self.patch_embeddings(images).flatten(2).mT + self.position_embeddings
        for block in self.blocks:
            tokens = block(tokens)
        grid = self.norm(tokens).mT.unflatten(2, (self.grid, self.grid))
        return grid, grid, grid

    def report_map(self, last: Tensor) -> Tensor:
        """The report head on every token, [B, D, h, w]: its mean is the report head on the mean token."""
        return F.conv2d(last, self.report_head.weight[..., None, None], self.report_head.bias)
