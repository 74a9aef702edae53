"""Weights and inputs of fVLM's golden numbers, made from names and seeds (tests/golden/README.md)."""

import re
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from scripts.networks import FVLM
from scripts.weights.fvlm import our_state, published_name

EMBEDDINGS = r"text_encoder\.embeddings\..*_embeddings\.weight"
ANATOMIES = ["lung", "heart", "esophagus", "aorta"]


def filled(key: str, shape: list[int], seed: int) -> Tensor:
    """One published weight in float64: normal numbers seeded by its name, scaled by its role."""
    normal = np.random.RandomState((crc32(key.encode()) + seed) % 2**32).standard_normal(tuple(shape))
    if key == "temp":
        values = np.float64(0.07)
    elif key == "query_tokens" or key.endswith("position_embeddings") or re.fullmatch(EMBEDDINGS, key):
        values = normal / 2
    elif len(shape) > 1:
        values = normal / np.sqrt(np.prod(shape[1:]))
    else:
        values = 1 + normal / 10 if key.endswith("weight") else normal / 20
    return torch.from_numpy(np.asarray(values))


def golden_network(config: dict) -> FVLM:
    """The small fVLM of set A in evaluation mode, float64, with the weights of the golden run."""
    vit, text = config["vit"], config["text"]
    network = FVLM.build(
        {
            "volume_encoder": {
                "volume_size": vit["img_size"],
                "patch_size": vit["patch_size"],
                "hidden_size": vit["hidden_size"],
                "mlp_size": vit["mlp_dim"],
                "layers": vit["num_layers"],
                "heads": vit["num_heads"],
                "levels": [level for level in config["levels"] if isinstance(level, int)],
                "dropout": 0.1,
            },
            "text_encoder": text,
            "embedding_size": config["embed_dim"],
            "text_pooling": "first",
            "pooling_heads": config["attention_heads"],
            "anatomies": ANATOMIES,
        }
    )
    shapes = {key: shape for key, shape in config["param_shapes"].items() if ".cls." not in key}
    network.double().load_state_dict(our_state({key: filled(key, shape, config["weight_seed"]) for key, shape in shapes.items()}))
    return network.eval()


def golden_images(shape: list[int], seed: int) -> Tensor:
    """Volumes [B, 1, D, H, W] in [0, 1): half noise, half blocks of 8 x 8 x 16 voxels; float64 holding float32 values."""
    batch, channels, *sides = shape
    random = np.random.RandomState(seed)
    noise = random.random_sample(shape)
    blocks = random.random_sample([batch, channels, -(-sides[0] // 8), -(-sides[1] // 8), -(-sides[2] // 16)])
    blocks = blocks.repeat(8, 2).repeat(8, 3).repeat(16, 4)[:, :, : sides[0], : sides[1], : sides[2]]
    return torch.from_numpy(((noise + blocks) / 2).astype(np.float32)).double()


def golden_masks(shape: list[int], boxes: list[list[list[int]]]) -> Tensor:
    """Label maps [B, D, H, W] uint8 painted from boxes [label, z0, z1, y0, y1, x0, x1], half open."""
    masks = torch.zeros([len(boxes), *shape], dtype=torch.uint8)
    for mask, painted in zip(masks, boxes, strict=True):
        for label, z0, z1, y0, y1, x0, x1 in painted:
            mask[z0:z1, y0:y1, x0:x1] = label
    return masks


def published_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by our parameters' names -> by the published ones; stacked projections are taken apart."""
    published = {}
    for key, value in tensors.items():
        kind = key.removeprefix("pooling.projection_")
        if kind != key:
            published |= {f"vision_projs.{index}.{kind}": part for index, part in enumerate(value)}
        else:
            published[published_name(key)] = value
    return published
