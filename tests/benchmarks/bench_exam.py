"""NasVLM's loss on exams of many images: ours against a plain loop over pairs of exams, and the training step around it.

    python -m tests.benchmarks exam

Batch 32, 8 images an exam, 8 sentences a report, patches of 14 x 14, 256 dimensions. "plain" scores every exam against every
report in a loop, keeps all its attention maps for backward, and encodes the images and sentences of one exam after the other.
"step" is a training step, forward, backward and update, of a ResNet-18 at 128 pixels and a BERT of 4 layers, with either loss.
Extra memory is what a run takes above its inputs, each in a fresh process. On a CUDA device `main(device="cuda")` adds the size
of the paper: ResNet-50 at 224 pixels and BERT-base in bf16. Takes about five minutes on two cores.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.losses import NasVLMLoss
from scripts.losses.afloc_loss import symmetric_cross_entropy
from scripts.losses.exam_alignment import two_way_scores
from scripts.networks import ExamEmbeddings, ExamTexts, ImageEncoder, NasVLM, PooledTextEncoder
from tests.benchmarks.measure import GIB, extra_memory, print_table, seconds

WIDTH = 256
SMALL_BERT = {"vocab_size": 2000, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024}
BERT_BASE = {"vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}


class Sizes(NamedTuple):
    """Exams of a batch, images of each, sentences of each report, tokens of a sentence."""

    batch: int = 32
    images: int = 8
    sentences: int = 8
    tokens: int = 16


TINY = Sizes(batch=2, images=2, sentences=2)


def plain_scores(images: Tensor, image_mask: Tensor, sentences: Tensor, sentence_mask: Tensor) -> tuple[Tensor, Tensor]:
    """What `two_way_scores` gives, one pair of an exam and a report at a time."""
    rows = []
    for exam, seen in zip(images, image_mask, strict=True):
        row = []
        for report, said in zip(sentences, sentence_mask, strict=True):
            cosines = report[said] @ exam[seen].T
            to_images = ((cosines / 0.1).softmax(1) * cosines).sum(1).mean()
            to_sentences = ((cosines / 0.1).softmax(0) * cosines).sum(0).mean()
            row.append(torch.stack([to_images, to_sentences]))
        rows.append(torch.stack(row))
    return tuple(torch.stack(rows).unbind(2))


SCORES = {"ours": two_way_scores, "plain": plain_scores}


def region_loss(kind: str, exams: ExamEmbeddings, texts: ExamTexts) -> Tensor:
    """NasVLM's region term."""
    scores = SCORES[kind](exams.images, exams.image_mask, texts.sentences, texts.sentence_mask)
    return sum(sum(symmetric_cross_entropy(way / exams.temperature)) for way in scores) / 4


def make_region(kind: str, sizes: Sizes) -> Callable[[], object]:
    """Forward and backward of the region term on random embeddings; three of four images and sentences are real."""
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(sizes.batch, count, WIDTH, generator=generator) for count in (sizes.images, sizes.sentences)]
    images, sentences = (F.normalize(part, dim=-1).requires_grad_() for part in parts)
    image_mask, sentence_mask = (_three_of_four(sizes.batch, part.shape[1]) for part in parts)
    exams = ExamEmbeddings(images[:, 0], images, images[:, :, None], image_mask, image_mask, torch.tensor(0.07))
    texts = ExamTexts(sentences[:, 0], sentences, sentence_mask, sentence_mask, sentence_mask)

    def run() -> object:
        return torch.autograd.grad(region_loss(kind, exams, texts), (images, sentences))

    return run


def _three_of_four(exams: int, most: int) -> Tensor:
    return torch.arange(most) < most - torch.arange(exams)[:, None] % (most // 2 + 1)


def make_batch(sizes: Sizes, side: int, device: str) -> tuple[Tensor, dict[str, Tensor]]:
    """Noise; exams of `sizes.images` down to half as many, two of three sentences shared with other exams."""
    generator = torch.Generator().manual_seed(1)
    image_mask, sentence_mask = (_three_of_four(sizes.batch, most) for most in (sizes.images, sizes.sentences))
    different = max(sizes.batch * sizes.sentences // 3, 4)
    sentence_index = torch.randint(different, sentence_mask.shape, generator=generator).where(sentence_mask, -1)
    region = torch.randint(10, sentence_mask.shape, generator=generator).where(sentence_mask, -1)
    tokens = torch.randint(5, 2000, (different, sizes.tokens), generator=generator)
    inputs = {
        "image_index": (image_mask.flatten().cumsum(0) - 1).view_as(image_mask).where(image_mask, -1),
        "tokens": tokens,
        "attention_mask": torch.ones_like(tokens),
        "sentence_index": sentence_index,
        "sentence_region": region,
        "statement_id": (sentence_index % 4).where(sentence_mask, -1),
    }
    images = torch.rand(int(image_mask.sum()), 3, side, side, generator=generator)
    return images.to(device), {key: value.to(device) for key, value in inputs.items()}


def make_step(kind: str, sizes: Sizes, paper_size: bool = False, device: str = "cpu") -> Callable[[], object]:
    """A training step: "ours", or "plain", which encodes exam after exam and loops over pairs in the region term."""
    torch.manual_seed(0)
    name, side, bert = ("resnet50", 224, BERT_BASE) if paper_size else ("resnet18", 128, SMALL_BERT)
    text_encoder = PooledTextEncoder(bert, embedding_size=WIDTH, pooling="mean")
    network = NasVLM(ImageEncoder(name, WIDTH, side), text_encoder, patch_level="words").train().to(device)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 1e-4)
    images, inputs = make_batch(sizes, side, device)
    rest = NasVLMLoss(region_weight=0)

    def ours() -> Tensor:
        return NasVLMLoss()(*network(images, **inputs))["loss"]

    def plain() -> Tensor:
        encoder, index = network.exam_encoder, inputs["image_index"]
        parts = [encoder(images[row[row >= 0]], torch.arange(int((row >= 0).sum()), device=device)[None]) for row in index]
        features, patches = (torch.cat([getattr(part, name)[0] for part in parts]) for name in ("images", "patches"))
        exams = ExamEmbeddings(*encoder.join(features, patches, index), network.temperature)
        flat = inputs["sentence_index"].clamp_min(0)  # every sentence of every report, shared ones again
        said = [network.encode_sentences(inputs["tokens"][row], inputs["attention_mask"][row]) for row in flat]
        mask = inputs["sentence_index"] >= 0
        sentences = torch.stack(said) * mask[..., None]
        report, _ = network.sentence_pooling(sentences, mask)
        regions, findings = inputs["sentence_region"], inputs["statement_id"]
        texts = ExamTexts(F.normalize(report, dim=-1), sentences, mask, regions, findings)
        return rest(exams, texts)["loss"] + region_loss("plain", exams, texts)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=device != "cpu"):
            loss = ours() if kind == "ours" else plain()
        loss.backward()
        optimizer.step()

    return run


def _rows(what: str, make: Callable, sizes: Sizes, repeats: int, targets: tuple[str, str]) -> list[list[str]]:
    times = seconds({kind: make(kind, sizes) for kind in SCORES}, repeats)
    memory = {kind: extra_memory(make, (kind, sizes), (kind, TINY)) for kind in SCORES}
    return [
        [
            f"{what}, batch {sizes.batch}",
            kind,
            f"{times[kind]:.3f}",
            f"{sizes.batch / times[kind]:.1f}",
            f"{memory[kind] / GIB:.3f} GiB",
            f"{times['plain'] / times[kind]:.2f}x" if kind == "ours" else "",
            target,
        ]
        for kind, target in zip(SCORES, targets, strict=True)
    ]


def main(batches: tuple[int, ...] = (32,), device: str = "cuda" if torch.cuda.is_available() else "cpu") -> None:
    rows, notes = [], []
    for batch in batches:
        rows += _rows("region term", make_region, Sizes(batch), 5, (">= 20x", ""))
        rows += _rows("step", make_step, Sizes(batch), 2, ("", ""))
    # All pairs of eight ranks of 32: the block size bounds what is held.
    memory = extra_memory(make_region, ("ours", Sizes(256, 8, 12)), ("ours", TINY))
    notes.append(f"region term, batch 256, 12 sentences: {memory / GIB:.3f} GiB; one map of all its cosines takes 0.023 GiB")
    if device == "cuda":
        notes.append(_paper_size(device))
    header = ("what", "how", "seconds", "exams/s", "extra memory", "speed-up", "target")
    print_table("NasVLM, exams of up to 8 images, 256 dimensions", header, rows, notes)


def _paper_size(device: str) -> str:
    sizes = Sizes()
    run = make_step("ours", sizes, True, device)
    images = int(_three_of_four(sizes.batch, sizes.images).sum())
    time = seconds({"step": run}, 5, 3, device)["step"]
    peak = torch.cuda.max_memory_allocated() / GIB
    return f"paper size, {torch.cuda.get_device_name()}, bf16: {time:.3f} s a step, {images / time:.0f} images/s, {peak:.1f} GiB"


if __name__ == "__main__":
    main()
