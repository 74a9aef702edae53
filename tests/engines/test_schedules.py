"""The learning rate against the published implementation's."""

import json

import pytest
import torch

from scripts.engines.schedules import WarmupCosine


def rates(count, epoch_length, lr=1e-4, **options):
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:], "lr": lr / 5}], lr=lr)
    schedule = WarmupCosine(optimizer, epoch_length=epoch_length, **options)
    found = []
    for _ in range(count):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return found


def test_published_rates(fvlm_golden):
    golden = json.loads((fvlm_golden / "lr_expected.json").read_text())
    config, epoch_length = golden["config"], 600
    assert config["init_lr"] == 1e-4 and config["warmup_lr"] == 1e-6
    options = {
        "warmup_iterations": config["warmup_steps"],
        "max_epochs": config["max_epoch"],
        "final_learning_rate": config["min_lr"],
    }
    found = rates(epoch_length * config["max_epoch"], epoch_length, **options)
    for epoch, step, rate in golden["epoch_step_lr"]:
        first, second = found[epoch * epoch_length + step]
        assert first == pytest.approx(rate, rel=1e-9) and second == pytest.approx(rate / 5, rel=1e-9)


def test_a_warm_up_longer_than_an_epoch_goes_on():
    found = [first for first, _ in rates(12, 3, warmup_iterations=5, max_epochs=4, final_learning_rate=0.0)]
    assert found[:5] == sorted(found[:5]) and found[4] < 1e-4
    assert found[5] == pytest.approx(1e-4 * (1 + 2**-0.5) / 2) and found[5:] == sorted(found[5:], reverse=True)


def test_a_first_group_of_a_small_rate_warms_up_like_the_others():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1e-6, 1e-3)]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    WarmupCosine(optimizer, warmup_iterations=10, epoch_length=5, max_epochs=4, final_learning_rate=0.0)
    first, last = (group["lr"] for group in optimizer.param_groups)
    assert last == pytest.approx(1e-6) and first == pytest.approx(1e-9)
