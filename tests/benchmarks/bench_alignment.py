"""The word-level loss, forward and backward: ours, a plain loop over texts, and the matrix products alone.

    python -m tests.benchmarks alignment

Maps of 38 x 38 regions, 768 dimensions, 63 words a text, float32, at batch 16, 48 and 128. Rows:

    floor             the six matrix products that forward and backward cannot do without, in ours' blocks, and nothing
                      else; ours makes a seventh, as it forms the maps again in backward
    ours              scripts.losses.local_alignment and cross-entropy both ways
    plain             a loop over texts that copies the regions for every text, as the published code does
    plain, no copies  the same loop without those copies: a careful plain implementation; no target refers to it

Extra memory is what a run takes above its inputs, each in a fresh process. Takes about 20 minutes on two cores.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import psutil
import torch

from scripts.losses import local_alignment
from scripts.losses.afloc_loss import symmetric_cross_entropy
from scripts.losses.local_alignment import _blocks
from tests.benchmarks.measure import GIB, extra_memory, print_table, seconds
from tests.benchmarks.plain_loss import plain_alignment, plain_alignment_bytes

ALIGNMENTS = {
    "ours": local_alignment,
    "plain": plain_alignment,
    "plain, no copies": partial(plain_alignment, copies=False),
}
MAX_PLAIN_BATCH = 48  # at 128 the plain loop wants about 100 GiB
TARGETS = {
    (16, "ours"): "<= 1.5x floor",
    (16, "plain"): ">= 1.7x, <= 1/4 of its memory",
    (48, "plain"): ">= 2.5x",
    (128, "ours"): "< 8 GiB",
}


class Sizes(NamedTuple):
    """Of one loss: images and texts, side of the maps, dimensions, words of each text."""

    batch: int
    side: int = 38
    width: int = 768
    words: int = 63


TINY = Sizes(batch=2, side=3, width=8, words=4)


def make_run(kind: str, sizes: Sizes) -> Callable[[], object]:
    """Forward and backward of the word-level loss, or its "floor", on random inputs that are made here."""
    generator = torch.Generator().manual_seed(0)
    regions = torch.randn(sizes.batch, sizes.width, sizes.side, sizes.side, generator=generator)
    units = torch.randn(sizes.batch, sizes.width, sizes.words, generator=generator)
    lengths = torch.full((sizes.batch,), sizes.words)
    if kind == "floor":
        return _make_floor(regions.flatten(2), units.mT.contiguous(), lengths)
    # Attention as soft as a trained network's: products of about unit size.
    regions, units = (tensor.div_(sizes.width**0.25).requires_grad_() for tensor in (regions, units))

    def run() -> object:
        scores = ALIGNMENTS[kind](regions, units, lengths)
        return torch.autograd.grad(sum(symmetric_cross_entropy(scores)), (regions, units))

    return run


def _make_floor(regions: torch.Tensor, units: torch.Tensor, lengths: torch.Tensor) -> Callable[[], None]:
    """Per block of texts and image X [D, R], with the block's words W and gradients of contexts G [n, D], maps E and
    their gradients T [n, R]: W X, E X^T forward; G X, T X^T, G^T E, W^T T backward."""
    cells, width = regions.shape[2], regions.shape[1]
    blocks = []
    for texts in _blocks(lengths, cells, "cpu"):
        words = units[texts].view(-1, width)
        maps, map_grads, map_out = (torch.randn(len(words), cells) for _ in range(3))
        blocks.append((words, torch.randn_like(words), maps, map_grads, map_out, torch.empty_like(words)))
    image_out = torch.empty_like(regions[0])

    def run() -> None:
        for words, context_grads, maps, map_grads, map_out, word_out in blocks:
            for image in regions:
                torch.mm(words, image, out=map_out)
                torch.mm(maps, image.T, out=word_out)
                torch.mm(context_grads, image, out=map_out)
                torch.mm(map_grads, image.T, out=word_out)
                torch.mm(context_grads.T, maps, out=image_out)
                torch.mm(words.T, map_grads, out=image_out)

    return run


def main(batches: tuple[int, ...] = (16, 48, 128), side: int = 38, width: int = 768, words: int = 63) -> None:
    rows, notes = [], []
    for batch in batches:
        sizes = Sizes(batch, side, width, words)
        kinds = ["floor", "ours"]
        for kind, copies in (("plain", True), ("plain, no copies", False)):
            wanted = plain_alignment_bytes(batch, side * side, width, words, copies)
            free = psutil.virtual_memory().available
            if batch > MAX_PLAIN_BATCH or wanted * 1.1 > free:
                notes.append(f"batch {batch}, {kind}: left out; wants about {wanted / GIB:.1f} GiB, {free / GIB:.1f} are free")
            else:
                kinds.append(kind)
        # The first batch has warmed the libraries up for the large ones, which take minutes.
        repeats, warm_ups = (5, 1) if batch <= 16 else (1, 0)
        times = seconds({kind: make_run(kind, sizes) for kind in kinds}, repeats, warm_ups)
        memory = {kind: extra_memory(make_run, (kind, sizes), (kind, TINY)) for kind in kinds[1:]}
        rows += [_row(batch, kind, times, memory) for kind in kinds]
    header = ("batch", "what", "seconds", "of floor", "speed-up by ours", "extra memory", "ours takes", "target")
    print_table(f"Word-level loss, {side}x{side} map, {width} dimensions, {words} words", header, rows, notes)


def _row(batch: int, kind: str, times: dict[str, float], memory: dict[str, int]) -> list[str]:
    plain = kind.startswith("plain")
    return [
        str(batch),
        kind,
        f"{times[kind]:.3f}",
        f"{times[kind] / times['floor']:.2f}x",
        f"{times[kind] / times['ours']:.2f}x" if plain else "",
        f"{memory[kind] / GIB:.3f} GiB" if kind in memory else "",
        f"{memory['ours'] / memory[kind]:.3f} of it" if plain and memory[kind] else "",
        TARGETS.get((batch, kind), ""),
    ]


if __name__ == "__main__":
    main()
