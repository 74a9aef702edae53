"""A small NasVLM and a batch as `scripts.loading.ExamCollate` gives it, for tests that need a network and not a result."""

from pathlib import Path

import torch
from torch import Tensor

from scripts.networks import ImageEncoder, NasVLM, PooledTextEncoder, VisionTransformer
from scripts.reports.tokens.text_models import train_text_model
from scripts.reports.tokens.text_tokenizer import TextTokenizer

SENTENCES = (
    "The septum is deviated to the left.",
    "The septum is midline.",
    "A smooth grey polyp fills the middle meatus.",
    "The middle meatus is clear.",
    "The nasopharynx is smooth.",
    "An ulcerated mass fills the right fossa.",
    "Both fossae are clear.",
)
SIZE = 16


def write_text_model(folder: Path) -> Path:
    return train_text_model(SENTENCES, folder, hidden_size=16, layers=2, heads=2)


def new_image_encoder(kind: str = "resnet") -> ImageEncoder | VisionTransformer:
    if kind == "vit":
        return VisionTransformer(SIZE, input_size=64, patch_size=16, hidden_size=16, mlp_size=24, layers=2, heads=2)
    return ImageEncoder("resnet18", SIZE, input_size=64, widen_factor=0.125)


def new_network(text_model: Path, kind: str = "resnet", patch_level: str = "sentences") -> NasVLM:
    torch.manual_seed(0)
    text_encoder = PooledTextEncoder(str(text_model), pretrained=False, embedding_size=SIZE, pooling="mean")
    return NasVLM(new_image_encoder(kind), text_encoder, patch_level, attention_size=8)


def new_batch(text_model: Path) -> tuple[Tensor, dict[str, Tensor]]:
    """Three exams of three images, one and two, whose reports share sentences."""
    generator = torch.Generator().manual_seed(3)
    texts = TextTokenizer(text_model, max_tokens=32)(SENTENCES)
    return torch.rand(6, 3, 64, 64, generator=generator), {
        "image_index": torch.tensor([[0, 1, 2], [3, -1, -1], [4, 5, -1]]),
        **texts,
        "sentence_index": torch.tensor([[0, 2, 4, 6], [1, -1, -1, -1], [1, 3, 5, -1]]),
        "sentence_region": torch.tensor([[0, 1, 2, 3], [0, -1, -1, -1], [0, 1, 3, -1]]),
        "statement_id": torch.tensor([[1, 2, 0, 0], [0, -1, -1, -1], [0, 0, 3, -1]]),
    }
