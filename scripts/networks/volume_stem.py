"""What a small volume encoder sees before its transformer: densities summed up, then convolutions."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class DensityStatistics(nn.Module):
    """Sum up blocks of voxels by mean, highest and lowest density, seen through several windows, as a radiologist changes them.

    Args:
        windows: low and high end of each window, in the input's range of [0, 1].
        block: voxels of a block (D, H, W).

    Raises:
        ValueError: no window, or one whose high end does not lie above its low end.
    """

    def __init__(self, windows: Sequence[Sequence[float]], block: Sequence[int]) -> None:
        super().__init__()
        if not windows or not all(low < high for low, high in windows):
            raise ValueError(f"density windows {[list(pair) for pair in windows]}: each needs a low end below its high end")
        low, high = torch.tensor(windows, dtype=torch.float32).T
        self.block, self.channels = tuple(block), 3 * len(windows)
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("width", high - low, persistent=False)

    def forward(self, volumes: Tensor) -> Tensor:
        """[B, 1, D, H, W] in [0, 1] -> [B, channels, D / d, H / h, W / w] in [0, 1], of each window mean, highest and lowest."""
        d, h, w = (side // part for side, part in zip(volumes.shape[2:], self.block, strict=True))
        cut = volumes.reshape(len(volumes), d, self.block[0], h, self.block[1], w, self.block[2])
        voxels = cut.permute(0, 1, 3, 5, 2, 4, 6).flatten(4)
        ends = torch.stack([voxels.amax(4), voxels.amin(4)], 1)
        parts = []
        # One window at a time: all at once would hold the volume as often as there are windows. Scaling comes after the mean, which
        # leaves one pass over the voxels.
        for low, width in zip(self.low, self.width, strict=True):
            high = low + width
            seen = torch.cat([voxels.clamp(low, high).mean(4)[:, None], ends.clamp(low, high)], 1)
            parts.append((seen - low) / width)
        return torch.cat(parts, 1)


class VolumeStem(nn.Sequential):
    """Density statistics of blocks, then convolutional stages that halve the grid (Xiao et al., arXiv 2106.14881). Ours.

    A network that starts from random weights sees little in voxels whose lesions differ by 40 of 1,500 Hounsfield units; from
    statistics through narrow windows it learns in minutes what organs look like with and without them.

    Args:
        windows: as of `DensityStatistics`.
        block: voxels (D, H, W) summed up in one.
        stages: channels of each stage; none leaves the statistics as they are.
    """

    def __init__(self, windows: Sequence[Sequence[float]], block: Sequence[int], stages: Sequence[int]) -> None:
        statistics = DensityStatistics(windows, block)
        # Statistics of each channel over the batch: windows of soft tissue differ little within a volume.
        layers: list[nn.Module] = [statistics, nn.BatchNorm3d(statistics.channels)]
        for inner, outer in pairwise((statistics.channels, *stages)):
            layers += [nn.Conv3d(inner, outer, 3, 2, padding=1, bias=False), nn.BatchNorm3d(outer), nn.ReLU(inplace=True)]
        super().__init__(*layers)
        self.channels = stages[-1] if stages else statistics.channels
