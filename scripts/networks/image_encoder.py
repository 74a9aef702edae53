"""ResNets that give a film's embedding at three levels."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from monai.networks.nets.resnet import ResNet, ResNetBlock, ResNetBottleneck
from torch import Tensor, nn

# Blocks per stage, and the block, of the ResNets that torchvision names.
RESNETS = {
    "resnet18": ((2, 2, 2, 2), ResNetBlock),
    "resnet34": ((3, 4, 6, 3), ResNetBlock),
    "resnet50": ((3, 4, 6, 3), ResNetBottleneck),
    "resnet101": ((3, 4, 23, 3), ResNetBottleneck),
    "resnet152": ((3, 8, 36, 3), ResNetBottleneck),
}


class ImageEmbeddings(NamedTuple):
    """A batch of films, named by the text unit that each level aligns with.

    report: [B, D]. sentences: [B, D, h, w], stride 16. words: [B, D, 2h, 2w], stride 8.
    """

    report: Tensor
    sentences: Tensor
    words: Tensor


class ImageEncoder(nn.Module):
    """ResNet whose stages feed three linear heads: words from stage 2, sentences from stage 3, report from stage 4.

    AFLoc's image encoder (arXiv 2401.02044) for any ResNet that torchvision names; parameters of `backbone` carry
    torchvision's names. The input is resized bilinearly to `input_size` (corners aligned, as published); nothing is normalised.

    Args:
        name: one of `RESNETS`.
        embedding_size: D, the hidden size of the text encoder.
        input_size: side of the network's input in pixels; 299 as published gives maps of 19x19 and 38x38.
        widen_factor: multiplies the number of channels; 1 is the standard network.
        weights: file with a torchvision ResNet's state dict (ImageNet weights, say) for `backbone`; None starts at random.

    Raises:
        ValueError: unknown name, or weights whose keys do not fit (all are listed).
    """

    def __init__(
        self,
        name: str = "resnet50",
        embedding_size: int = 768,
        input_size: int = 299,
        widen_factor: float = 1.0,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        if name not in RESNETS:
            raise ValueError(f"unknown image encoder '{name}': choose one of {', '.join(RESNETS)}")
        layers, block = RESNETS[name]
        planes = [int(n * widen_factor) for n in (64, 128, 256, 512)]
        self.input_size = input_size
        self.architecture = {
            "name": name,
            "embedding_size": embedding_size,
            "input_size": input_size,
            "widen_factor": widen_factor,
        }
        self.backbone = ResNet(
            block=block,
            layers=list(layers),
            block_inplanes=planes,
            spatial_dims=2,
            n_input_channels=3,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        if weights is not None:
            self._load_backbone(weights)
        channels = [n * block.expansion for n in planes]
        self.word_head = nn.Conv2d(channels[1], embedding_size, 1, bias=False)
        self.sentence_head = nn.Conv2d(channels[2], embedding_size, 1, bias=False)
        self.report_head = nn.Linear(channels[3], embedding_size)

    def _load_backbone(self, weights: str | Path) -> None:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        state = {key: value for key, value in state.items() if not key.startswith("fc.")}
        missing, unexpected = self.backbone.load_state_dict(state, strict=False)
        if missing or unexpected:
            raise ValueError(f"{weights} does not fit the image encoder: missing {missing}, unexpected {unexpected}")

    def stages(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps of stages 2, 3 and 4 (strides 8, 16, 32) of images [B, 1 or 3, H, W] in [-1, 1]."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if images.shape[-2:] != (self.input_size, self.input_size):
            images = F.interpolate(images, (self.input_size, self.input_size), mode="bilinear", align_corners=True)
        net = self.backbone
        stage1 = net.layer1(net.maxpool(net.act(net.bn1(net.conv1(images)))))
        stage2 = net.layer2(stage1)
        stage3 = net.layer3(stage2)
        return stage2, stage3, net.layer4(stage3)

    def forward(self, images: Tensor) -> ImageEmbeddings:
        """Embed images [B, 1 or 3, H, W], values in [-1, 1]; one channel is repeated."""
        return self.heads(*self.stages(images))

    def heads(self, stage2: Tensor, stage3: Tensor, stage4: Tensor) -> ImageEmbeddings:
        """Embeddings of the feature maps that `stages` gives."""
        pooled = self.backbone.avgpool(stage4).flatten(1)
        return ImageEmbeddings(self.report_head(pooled), self.sentence_head(stage3), self.word_head(stage2))

    def report_map(self, stage4: Tensor) -> Tensor:
        """The report head on every cell of stage 4, [B, D, h, w], stride 32: its mean is the report embedding.

        A class activation map (Zhou et al., arXiv 1512.04150): where to look when nothing but the report level was trained.
        """
        return F.conv2d(stage4, self.report_head.weight[..., None, None], self.report_head.bias)
