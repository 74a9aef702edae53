"""fVLM's loss: targets, cases without anything to learn, and two ranks against one process."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from scripts.losses import FVLMLoss
from scripts.losses.fvlm_loss import pair_targets
from scripts.networks import AnatomyEmbeddings, AnatomyTexts
from scripts.networks.fvlm import unit_length

PATIENTS, ANATOMIES = 4, 3


class Small(nn.Module):
    """A network small enough to compare every gradient: one matrix for images, one for texts, the temperature."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.image = nn.Linear(5, 8).double()
        self.text = nn.Linear(5, 8).double()
        self.temperature = nn.Parameter(torch.tensor(0.1, dtype=torch.float64))

    def forward(self, images, texts, present, normal, text_ids):
        volumes = AnatomyEmbeddings(unit_length(self.image(images)), present, self.temperature)
        return volumes, AnatomyTexts(unit_length(self.text(texts)), normal, text_ids)


def batch(case):
    """Patients 0 and 1 are the first rank's, 2 and 3 the second's."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(PATIENTS, ANATOMIES, 5, dtype=torch.float64, generator=generator)
    texts = torch.randn(PATIENTS, ANATOMIES, 5, dtype=torch.float64, generator=generator)
    present = torch.ones(PATIENTS, ANATOMIES, dtype=torch.bool)
    normal = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 1]], dtype=torch.bool)
    if case == "anatomy absent on a rank":
        present[2:, 1] = present[:2, 2] = False
    elif case == "all normal":
        normal[:] = True
    elif case == "one patient only":
        present[1:] = False
    text_ids = torch.where(normal, 0, torch.arange(1, 1 + PATIENTS * ANATOMIES).view(PATIENTS, ANATOMIES) % 5)
    return images, texts, present, normal, text_ids


CASES = ["all there", "anatomy absent on a rank", "all normal", "one patient only"]


def run_rank(rank, store, results):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for case in CASES:
        network = nn.parallel.DistributedDataParallel(Small())
        half = slice(2 * rank, 2 * rank + 2)
        loss = FVLMLoss()(*network(*(part[half] for part in batch(case))))["loss"]
        loss.backward()
        gradients = {name: parameter.grad.tolist() for name, parameter in network.module.named_parameters()}
        results.put((rank, case, float(loss.detach()), gradients))
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_equal_one_process(tmp_path):
    context = mp.get_context("spawn")
    results = context.Queue()
    ranks = mp.spawn(run_rank, (tmp_path / "store", results), nprocs=2, join=False, daemon=True)
    found = [results.get(timeout=120) for _ in range(2 * len(CASES))]
    ranks.join()
    assert {(rank, case) for rank, case, _, _ in found} == {(rank, case) for rank in (0, 1) for case in CASES}
    for _, case, rank_loss, gradients in found:
        network = Small()
        loss = FVLMLoss()(*network(*batch(case)))["loss"]
        loss.backward()
        assert rank_loss == pytest.approx(float(loss.detach()), rel=1e-12), case
        for name, parameter in network.named_parameters():
            gradient = torch.tensor(gradients[name], dtype=torch.float64)
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-9, atol=1e-12)
        learns = case in ("all there", "anatomy absent on a rank")
        assert bool(loss > 0) == learns == any(bool(torch.tensor(part).any()) for part in gradients.values())


def test_loss_by_hand():
    """Three patients, one anatomy: the second and third are normal, so each belongs to the other's text as to its own."""
    images = torch.eye(3, dtype=torch.float64)[:, None]
    texts = torch.tensor([[0.6, 0.8, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)[:, None]
    present, normal = torch.ones(3, 1, dtype=torch.bool), torch.tensor([[False], [True], [True]])
    scores = texts[:, 0].T / 0.5
    targets = torch.tensor([[1, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]], dtype=torch.float64)
    forth = -(targets * scores.log_softmax(1)).sum(1).mean()
    back = -(targets * scores.T.log_softmax(1)).sum(1).mean()
    volumes = AnatomyEmbeddings(images, present, torch.tensor(0.5))
    losses = FVLMLoss()(volumes, AnatomyTexts(texts, normal, torch.tensor([[3], [1], [2]])))
    torch.testing.assert_close(losses["image_to_text"], forth)
    torch.testing.assert_close(losses["text_to_image"], back)
    torch.testing.assert_close(losses["loss"], (forth + back) / 2)


def test_targets_without_calibration_know_only_the_own_text():
    present, normal = torch.tensor([[True], [True], [False], [True]]), torch.ones(4, 1, dtype=torch.bool)
    ids = torch.zeros(4, 1, dtype=torch.int64)
    plain = pair_targets(present, normal, ids, calibrated=False)[0]
    assert torch.equal(plain, torch.diag(present[:, 0]))
    calibrated = pair_targets(present, normal, ids)[0]
    assert torch.equal(calibrated, present & present.T)


def test_an_anatomy_that_nobody_has_leaves_no_trace():
    images, texts, present, normal, ids = batch("all there")
    present[:, 0] = False
    network = Small()
    loss = FVLMLoss()(*network(images, texts, present, normal, ids))["loss"]
    without = FVLMLoss()(*network(images[:, 1:], texts[:, 1:], present[:, 1:], normal[:, 1:], ids[:, 1:]))["loss"]
    torch.testing.assert_close(loss, without)
