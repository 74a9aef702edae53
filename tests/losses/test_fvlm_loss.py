"""fVLM's loss: targets, cases without anything to learn, and two ranks against one process."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from scripts.losses import FVLMLoss
from scripts.losses.fvlm_loss import CoTeachingOutputs, anatomy_losses, pair_targets, soft_targets
from scripts.networks import AnatomyEmbeddings, AnatomyTexts
from tests.losses.small_anatomies import CASES, Small, batch
from tests.ranks import run_ranks


def run_rank(rank, store):
    results = []
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    for case in CASES:
        network = nn.parallel.DistributedDataParallel(Small())
        half = slice(2 * rank, 2 * rank + 2)
        loss = FVLMLoss()(*network(**{name: part[half] for name, part in batch(case).items()}))["loss"]
        loss.backward()
        gradients = {name: parameter.grad.tolist() for name, parameter in network.module.named_parameters()}
        results.append((rank, case, float(loss.detach()), gradients))
    dist.barrier()
    dist.destroy_process_group()
    return results


@pytest.mark.slow
def test_two_ranks_equal_one_process(tmp_path):
    found = [result for results in run_ranks(run_rank, tmp_path / "store") for result in results]
    assert {(rank, case) for rank, case, _, _ in found} == {(rank, case) for rank in (0, 1) for case in CASES}
    for _, case, rank_loss, gradients in found:
        network = Small()
        loss = FVLMLoss()(*network(**batch(case)))["loss"]
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
    image_to_text = -(targets * scores.log_softmax(1)).sum(1).mean()
    text_to_image = -(targets * scores.T.log_softmax(1)).sum(1).mean()
    volumes = AnatomyEmbeddings(images, present, torch.tensor(0.5))
    losses = FVLMLoss()(volumes, AnatomyTexts(texts, normal, torch.tensor([[3], [1], [2]])))
    torch.testing.assert_close(losses["image_to_text"], image_to_text)
    torch.testing.assert_close(losses["text_to_image"], text_to_image)
    torch.testing.assert_close(losses["loss"], (image_to_text + text_to_image) / 2)


def test_targets_without_calibration_know_only_the_own_text():
    present, normal = torch.tensor([[True], [True], [False], [True]]), torch.ones(4, 1, dtype=torch.bool)
    ids = torch.zeros(4, 1, dtype=torch.int64)
    plain = pair_targets(present, normal, ids, calibrated=False)[0]
    assert torch.equal(plain, torch.diag(present[:, 0]))
    calibrated = pair_targets(present, normal, ids)[0]
    assert torch.equal(calibrated, present & present.T)


def test_an_anatomy_that_nobody_has_leaves_no_trace():
    inputs = batch("all there")
    inputs["present"][:, 0] = False
    network = Small()
    loss = FVLMLoss()(*network(**inputs))["loss"]
    without = FVLMLoss()(*network(**{name: part[:, 1:] for name, part in inputs.items()}))["loss"]
    torch.testing.assert_close(loss, without)


@pytest.mark.parametrize("case", CASES)
def test_soft_targets_by_loops(case):
    """A share of an abnormal patient's target goes to the abnormal ones by their scores; a normal one's stays."""
    inputs, soft_target_weight = batch(case), 0.3
    present, ill = inputs["present"].T, (inputs["present"] & ~inputs["normal"]).T
    hard = pair_targets(inputs["present"], inputs["normal"], inputs["text_ids"]).double()
    hard /= hard.sum(2, keepdim=True).clamp_min(1)
    scores = 5 * torch.randn(hard.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    soft = soft_targets(hard, scores, ill[:, :, None] & ill[:, None], soft_target_weight)
    torch.testing.assert_close(soft.sum(2), present.double())
    for anatomy, row in torch.cartesian_prod(*map(torch.arange, present.shape)).tolist():
        expected = hard[anatomy, row].clone()
        if ill[anatomy, row]:
            there = ill[anatomy].nonzero().flatten()
            expected *= 1 - soft_target_weight
            expected[there] += soft_target_weight * scores[anatomy, row, there].exp() / scores[anatomy, row, there].exp().sum()
        torch.testing.assert_close(soft[anatomy, row], expected)


def test_lessons_by_hand():
    """Two abnormal patients and a normal one: rows of the other network's scores teach images, its columns teach texts."""
    images = torch.eye(3, dtype=torch.float64)[:, None]
    texts = torch.tensor([[0.6, 0.8, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)[:, None]
    present, abnormal = torch.ones(3, 1, dtype=torch.bool), torch.tensor([[True], [True], [False]])
    teacher_logits = torch.tensor([[[0.0, 1.0, 9.0], [2.0, 0.0, 9.0], [9.0, 9.0, 0.0]]], dtype=torch.float64)
    targets = torch.eye(3, dtype=torch.float64)[None]
    losses = anatomy_losses(images, texts, torch.tensor(0.5), present, abnormal, targets, teacher_logits, 0.5)
    scores = texts[:, 0].T / 0.5
    for found, logs, (first, second) in [
        (losses.image_to_text, scores.log_softmax(1), (1.0, 2.0)),
        (losses.text_to_image, scores.T.log_softmax(1), (2.0, 1.0)),
    ]:
        # softmax of (0, first), and of (second, 0)
        moved = [0.5 * torch.tensor(x, dtype=torch.float64).sigmoid() for x in (first, second)]
        expected = (1 - moved[0]) * logs[0, 0] + moved[0] * logs[0, 1] + moved[1] * logs[1, 0] + (1 - moved[1]) * logs[1, 1]
        torch.testing.assert_close(found, -(expected + logs[2, 2])[None] / 3)


def test_each_network_of_a_pair_learns_from_the_copy_of_the_other():
    inputs = batch("all there")
    network, partner, copies, another = (Small(seed)(**inputs) for seed in range(4))
    loss = FVLMLoss(co_teaching_weight=0.5)
    found = loss(*network, CoTeachingOutputs(partner, copies, another))
    swapped = loss(*partner, CoTeachingOutputs(network, another, copies))
    torch.testing.assert_close(found["network_loss"], swapped["partner_loss"])
    torch.testing.assert_close(found["loss"], found["network_loss"] + found["partner_loss"])
    changed = loss(*network, CoTeachingOutputs(partner, another, another))
    assert torch.equal(changed["network_loss"], found["network_loss"])
    assert not torch.isclose(changed["partner_loss"], found["partner_loss"])


@pytest.mark.parametrize("case", CASES)
def test_no_share_is_the_plain_loss_to_the_last_bit(case):
    network, partner, copies = (Small(seed)(**batch(case)) for seed in range(3))
    found, plain = FVLMLoss()(*network, CoTeachingOutputs(partner, copies, copies)), FVLMLoss()(*network)
    assert all(torch.equal(found[name], plain[name]) for name in ("image_to_text", "text_to_image"))
    assert torch.equal(found["network_loss"], plain["loss"]) and torch.equal(found["partner_loss"], FVLMLoss()(*partner)["loss"])


@pytest.mark.parametrize("soft_target_weight", [-0.1, 1.1])
def test_a_share_outside_0_to_1_is_refused(soft_target_weight):
    with pytest.raises(ValueError, match=f"0 to 1, got {soft_target_weight}"):
        FVLMLoss(co_teaching_weight=soft_target_weight)
