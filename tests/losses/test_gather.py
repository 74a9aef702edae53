"""Two ranks, each with half a batch, against one process with the whole of it: loss and gradients."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from scripts.losses import AFLocLoss
from scripts.networks import ImageEmbeddings, TextEmbeddings
from tests.ranks import run_ranks

BATCH = 6


class Linear(nn.Module):
    """A network small enough to compare every gradient: one matrix for images, one for texts."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.image = nn.Linear(5, 8).double()
        self.text = nn.Linear(5, 8).double()

    def forward(self, images, texts, lengths):
        regions = self.image(images).permute(0, 3, 1, 2)
        units = self.text(texts).mT
        units = units * (torch.arange(units.shape[2]) < lengths[:, None])[:, None]
        image_outputs = ImageEmbeddings(regions.mean((2, 3)), regions[:, :, ::2, ::2], regions)
        text_outputs = TextEmbeddings(units.sum(2), units[:, :, :2], units, lengths.clamp(max=2), lengths)
        return image_outputs, text_outputs


def batch():
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(BATCH, 4, 4, 5, dtype=torch.float64, generator=generator)
    texts = torch.randn(BATCH, 7, 5, dtype=torch.float64, generator=generator)
    return images, texts, torch.tensor([3, 2, 4, 7, 5, 2])


def run_rank(rank, world, store):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    network = nn.parallel.DistributedDataParallel(Linear())
    half = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    images, texts, lengths = (part[half] for part in batch())
    # Ranks pad to their own longest text, as the collate does.
    loss = AFLocLoss()(*network(images, texts[:, : lengths.max()], lengths))["loss"]
    loss.backward()
    gradients = {name: parameter.grad.tolist() for name, parameter in network.module.named_parameters()}
    dist.barrier()
    dist.destroy_process_group()
    return float(loss), gradients


@pytest.mark.slow
def test_two_ranks_equal_one_process(tmp_path):
    network = Linear()
    loss = AFLocLoss()(*network(*batch()))["loss"]
    loss.backward()
    for rank_loss, gradients in run_ranks(run_rank, 2, tmp_path / "store"):
        assert rank_loss == pytest.approx(float(loss), rel=1e-12)
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(torch.tensor(gradients[name], dtype=torch.float64), parameter.grad, rtol=1e-9, atol=1e-12)
