"""fVLM at the size of its paper on the CPU: image encoder, prompts, zero-shot classification, training step.

    python -m tests.benchmarks ct

"plain" is the same image encoder with attention written out, and for the rest what the published code does with our weights: a
window for each organ, every prompt padded to 384 tokens. Random weights. Wants about 10 GiB and ten minutes on two cores.
"""

import copy
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from scripts.inferers.anatomy_classifier import AnatomyClassifier
from scripts.losses import FVLMLoss
from scripts.networks import FVLM, PooledTextEncoder, VolumeEncoder
from scripts.networks.fvlm import l2_normalize
from scripts.reports.by_anatomy.prompts import read_anatomy_prompts
from scripts.reports.tokens.text_models import train_text_model
from scripts.reports.tokens.text_tokenizer import TextTokenizer
from tests.benchmarks.measure import GIB, extra_memory, print_table, seconds

VOLUME, PADDED = (112, 256, 352), 384
ORGANS = ["lung", "heart", "esophagus", "aorta"]
CXR_BERT = {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
BOXES = [(6, 106, 20, 236, 30, 320), (40, 80, 100, 180, 140, 260), (10, 108, 160, 180, 170, 190), (20, 100, 90, 130, 150, 210)]


def make_network(checkpointing: bool = False) -> FVLM:
    torch.manual_seed(0)
    return FVLM(VolumeEncoder(checkpointing=checkpointing), PooledTextEncoder(CXR_BERT), ORGANS)


def make_volumes(batch: int) -> tuple[Tensor, Tensor]:
    """Noise, and four organs as boxes."""
    images = torch.rand(batch, 1, *VOLUME, generator=torch.Generator().manual_seed(1))
    masks = torch.zeros(batch, *VOLUME, dtype=torch.uint8)
    for value, (z0, z1, y0, y1, x0, x1) in enumerate(BOXES, 1):
        masks[:, z0:z1, y0:y1, x0:x1] = value
    return images, masks


def make_training_step(batch: int, checkpointing: bool):
    """One step on texts of 60 tokens, all of them different and abnormal."""
    network = make_network(checkpointing).train()
    optimizer = torch.optim.AdamW([parameter for parameter in network.parameters() if parameter.requires_grad], 1e-4)
    images, masks = make_volumes(batch)
    texts = batch * len(ORGANS)
    inputs = {
        "tokens": torch.randint(200, 2000, (texts, 60)),
        "attention_mask": torch.ones(texts, 60, dtype=torch.int64),
        "text_index": torch.arange(texts).view(batch, -1),
        "text_ids": torch.arange(texts).view(batch, -1),
        "normal": torch.zeros(batch, len(ORGANS), dtype=torch.bool),
    }

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        FVLMLoss()(*network(images, masks=masks, **inputs))["loss"].backward()
        optimizer.step()

    return step


class WrittenOut(nn.Module):
    """Self-attention with its score matrix in memory, on the weights of another."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.attention.qkv(tokens).unflatten(2, (3, self.attention.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = (query @ key.mT * query.shape[-1] ** -0.5).softmax(-1)
        return self.attention.out_proj((scores @ value).transpose(1, 2).flatten(2))


def make_plain_encoder(encoder: VolumeEncoder) -> VolumeEncoder:
    plain = copy.deepcopy(encoder)
    for block in plain.blocks:
        block.attn = WrittenOut(block.attn)
    return plain


def encode_padded(network: FVLM, encoded: dict[str, Tensor]) -> Tensor:
    """Embeddings of texts that all go through BERT at 384 tokens, [T, D] of length 1."""
    padded = {key: torch.nn.functional.pad(value, (0, PADDED - value.shape[1])) for key, value in encoded.items()}
    states = network.text_encoder.bert(padded["tokens"], attention_mask=padded["attention_mask"]).last_hidden_state
    return l2_normalize(network.text_encoder.projection(states[:, 0]))


def make_plain_zero_shot(network: FVLM, tokenizer: TextTokenizer, image: Tensor, mask: Tensor):
    prompts = read_anatomy_prompts("ct_rate", "ct")

    def ask() -> None:
        classifier = AnatomyClassifier(network, tokenizer, prompts, published=True)
        with torch.inference_mode():
            sides = [encode_padded(network, tokenizer([f.positive[0], f.negative[0]])) for f in prompts]
        classifier._directions = torch.stack([pair[0] - pair[1] for pair in sides])
        classifier(image, mask)

    return ask


def inference_times() -> dict[str, float]:
    """Seconds of the three comparisons, ours and "plain"."""
    prompts = read_anatomy_prompts("ct_rate", "ct")
    texts = [text for finding in prompts for text in (finding.positive[0], finding.negative[0])]
    network = make_network().eval()
    plain_vit = make_plain_encoder(network.volume_encoder)
    images, masks = make_volumes(1)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        tokenizer = TextTokenizer(train_text_model(texts, Path(folder), max_positions=512), PADDED)
        encoders = {"vit": lambda: network.volume_encoder(images), "plain vit": lambda: plain_vit(images)}
        readers = {
            "text": lambda: network.encode_texts(**tokenizer(texts)),
            "plain text": lambda: encode_padded(network, tokenizer(texts)),
        }
        askers = {
            "zero shot": lambda: AnatomyClassifier(network, tokenizer, prompts)(images[0], masks[0]),
            "plain zero shot": make_plain_zero_shot(network, tokenizer, images[0], masks[0]),
        }
        return seconds(encoders, 5) | seconds(readers, 2) | seconds(askers, 2)


def main() -> None:
    times = inference_times()
    memory = extra_memory(make_training_step, (2, True), (1, True))
    step = seconds({"step": make_training_step(2, True)}, 2)["step"]
    rows = [
        [what, f"{times[name]:.2f}", f"{times[f'plain {name}']:.2f}", f"{times[f'plain {name}'] / times[name]:.1f}x", aim]
        for what, name, aim in (
            ("image encoder, one volume 112x256x352", "vit", ">= 1.2x"),
            ("32 prompts at their own length; plain: 384 tokens", "text", ">= 8x"),
            ("zero-shot, 4 organs, 16 findings; plain: a window an organ", "zero shot", ">= 3x"),
        )
    ]
    note = (
        f"training step, batch 2, float32, checkpointing: {step:.1f} s, {memory / GIB:.2f} GiB above inputs and weights; aim <= 8.6"
    )
    print_table("fVLM, ViT-B and BERT-base", ("what", "ours, s", "plain, s", "speed-up", "target"), rows, [note])


if __name__ == "__main__":
    main()
