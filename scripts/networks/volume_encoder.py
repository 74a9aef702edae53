"""Vision transformer for volumes that gives its tokens at several depths."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.blocks import MLPBlock
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from scripts.files.errors import UserError
from scripts.networks.volume_stem import VolumeStem


class SelfAttention(nn.Module):
    """Multi-head self-attention through torch's scaled dot product.

    MONAI's `SABlock` has the same weights; with its fast attention it would drop attention weights in evaluation as well
    (1.6.1 passes its dropout rate whatever the mode).

    Args:
        hidden_size: C, a multiple of `heads`.
        heads: number of heads.
        dropout: of attention weights and of the result, in [0, 1).
    """

    def __init__(self, hidden_size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.out_proj = nn.Linear(hidden_size, hidden_size)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [B, N, C] -> [B, N, C]."""
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=self.dropout if self.training else 0.0)
        return self.drop(self.out_proj(mixed.transpose(1, 2).flatten(2)))


class TransformerBlock(nn.Module):
    """Pre-norm block: x + attention(norm(x)), then x + MLP(norm(x)) with exact GELU."""

    def __init__(self, hidden_size: int, mlp_size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden_size)
        self.attn = SelfAttention(hidden_size, heads, dropout)
        self.norm2 = nn.LayerNorm(hidden_size)
        self.mlp = MLPBlock(hidden_size, mlp_size, dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class VolumeEncoder(nn.Module):
    """fVLM's image encoder (Shui et al., arXiv 2501.14548, and its code): a ViT whose tokens come out at several levels.

    Positions are learned on the grid of `volume_size` and interpolated trilinearly for volumes of other sizes. Defaults are the
    released ones: ViT-B on patches of 16 x 16 x 32 voxels.

    Args:
        volume_size: voxels (D, H, W) that the positions are learned for, a multiple of `patch_size`.
        patch_size: voxels of a token (D, H, W).
        hidden_size: C, a multiple of `heads`.
        mlp_size: width of the MLPs.
        layers: number of blocks.
        heads: attention heads.
        levels: blocks, counted from 0, after which tokens come out; the last level, after the final norm, is always there.
        dropout: in [0, 1).
        density_windows: windows (low, high) in the input's [0, 1] through which a stem sees the volume, see `VolumeStem`; none, as
            released, cuts the voxels themselves into patches.
        stem: channels of the stem's stages, each of which halves the grid: their statistics are of patch_size / 2^stages voxels.
        checkpointing: compute activations again in the backward pass instead of keeping them: less memory, about a third more time.

    Raises:
        ValueError: sizes that do not divide, a level that is no block, or a stem without windows.
    """

    def __init__(
        self,
        volume_size: Sequence[int] = (112, 256, 352),
        patch_size: Sequence[int] = (16, 16, 32),
        hidden_size: int = 768,
        mlp_size: int = 3072,
        layers: int = 12,
        heads: int = 12,
        levels: Sequence[int] = (3, 6, 9),
        dropout: float = 0.1,
        density_windows: Sequence[Sequence[float]] = (),
        stem: Sequence[int] = (),
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if hidden_size % heads:
            raise ValueError(f"hidden_size {hidden_size} is not a multiple of heads {heads}")
        if not all(0 <= level < layers for level in levels):
            raise ValueError(f"levels {list(levels)} are not blocks of 0 to {layers - 1}")
        self.patch_size, self.levels, self.checkpointing = tuple(patch_size), tuple(levels), checkpointing
        self.architecture: dict[str, Any] = {
            "volume_size": list(volume_size),
            "patch_size": list(patch_size),
            "hidden_size": hidden_size,
            "mlp_size": mlp_size,
            "layers": layers,
            "heads": heads,
            "levels": list(levels),
            "dropout": dropout,
            "density_windows": [list(pair) for pair in density_windows],
            "stem": list(stem),
        }
        self.grid = self.grid_of(volume_size)
        self.stem, channels, cut = nn.Identity(), 1, self.patch_size
        if density_windows or stem:
            block = [side // 2 ** len(stem) for side in self.patch_size]
            if any(side * 2 ** len(stem) != patch for side, patch in zip(block, self.patch_size, strict=True)):
                raise ValueError(
                    f"patch_size {self.patch_size} must be a multiple of {2 ** len(stem)}: the stem halves {len(stem)} times"
                )
            self.stem = VolumeStem(density_windows, block, stem)
            channels, cut = self.stem.channels, 1
        self.patch_embeddings = nn.Conv3d(channels, hidden_size, cut, cut)
        self.position_embeddings = nn.Parameter(torch.empty(1, prod(self.grid), hidden_size))
        nn.init.trunc_normal_(self.position_embeddings, std=0.02)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(TransformerBlock(hidden_size, mlp_size, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_size)

    def grid_of(self, volume_size: Sequence[int]) -> tuple[int, ...]:
        """Tokens along each axis of a volume of (D, H, W) voxels.

        Raises:
            ValueError: a side that patches do not fill.
        """
        if any(side % patch for side, patch in zip(volume_size, self.patch_size, strict=True)):
            raise ValueError(
                f"volume of {tuple(volume_size)} voxels: sides must be multiples of the patch {self.patch_size}; pad it"
            )
        return tuple(side // patch for side, patch in zip(volume_size, self.patch_size, strict=True))

    def forward(self, volumes: Tensor) -> list[Tensor]:
        """Volumes [B, 1, D, H, W] in [0, 1] -> tokens [B, N, C] of each level, N over the grid of patches, x running fastest."""
        grid = self.grid_of(volumes.shape[2:])
        tokens = self.drop(self.patch_embeddings(self.stem(volumes)).flatten(2).mT + self._positions(grid))
        outputs = []
        for number, block in enumerate(self.blocks):
            keep = not (self.checkpointing and self.training)
            tokens = block(tokens) if keep else checkpoint(block, tokens, use_reentrant=False)
            if number in self.levels:
                outputs.append(tokens)
        return [*outputs, self.norm(tokens)]

    def _positions(self, grid: tuple[int, ...]) -> Tensor:
        if grid == self.grid:
            return self.position_embeddings
        learned = self.position_embeddings.mT.unflatten(2, self.grid)
        return F.interpolate(learned, grid, mode="trilinear", align_corners=False).flatten(2).mT

    def load_mae(self, weights: str | Path) -> None:
        """Start from the MAE ViT-B of He et al. (arXiv 2111.06377), as fVLM does: blocks, norm and positions; patches stay random.

        The plane of 14 x 14 positions is interpolated bilinearly to this encoder's H x W and repeated along D.

        Args:
            weights: `mae_pretrain_vit_base.pth` as published ({"model": state dict}), or another of the same layout.

        Raises:
            UserError: the file's tensors do not fit this encoder (all are named).
        """
        state = torch.load(weights, map_location="cpu", weights_only=True)
        state = {_mae_name(key): value for key, value in state.get("model", state).items()}
        plane = state.pop("pos_embed", None)
        own = {key: value.shape for key, value in self.state_dict().items() if key.startswith(("blocks.", "norm."))}
        faults = [f"{key} missing" for key in own.keys() - state.keys()]
        faults += [
            f"{k} is {tuple(state[k].shape)}, not {tuple(own[k])}" for k in own.keys() & state.keys() if state[k].shape != own[k]
        ]
        faults += ["pos_embed missing or of another width"] * (plane is None or plane.shape[-1] != self.norm.normalized_shape[0])
        if faults:
            raise UserError(f"{weights} is no MAE encoder of this size: {'; '.join(sorted(faults))}")
        self.load_state_dict({key: state[key] for key in own}, strict=False)
        side = int((plane.shape[1] - 1) ** 0.5)  # the first position is the class token's, which fVLM does not have
        plane = plane[:, 1:].mT.unflatten(2, (side, side))
        plane = F.interpolate(plane, self.grid[1:], mode="bilinear", align_corners=False)
        with torch.no_grad():
            self.position_embeddings.copy_(plane.flatten(2).mT.repeat(1, self.grid[0], 1))


def _mae_name(key: str) -> str:
    for theirs, ours in ((".attn.proj.", ".attn.out_proj."), (".mlp.fc1.", ".mlp.linear1."), (".mlp.fc2.", ".mlp.linear2.")):
        key = key.replace(theirs, ours)
    return key
