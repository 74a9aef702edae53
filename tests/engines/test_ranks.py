"""What a training does as one of several processes."""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from scripts.engines.ranks import distributed, join_ranks, leave_ranks, rank, rank_device, rejection_log, synchronized


def test_a_process_joins_wraps_its_network_and_leaves(tmp_path, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    device = torch.device("cpu")
    join_ranks(device, seed=7)
    try:
        drawn = torch.rand(3)
        network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        wrapped = distributed(synchronized(network, device), device, find_unused_parameters=True)
        assert isinstance(wrapped, DistributedDataParallel) and wrapped.module is network and wrapped.find_unused_parameters
        assert isinstance(network[1], nn.BatchNorm1d)  # Gloo has no exchange of statistics
        assert not distributed(network, device).find_unused_parameters
    finally:
        leave_ranks()
    assert not dist.is_initialized()
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(7)))


def test_on_gpus_statistics_are_synchronized():
    assert isinstance(synchronized(nn.BatchNorm1d(2), torch.device("cuda", 0)), nn.SyncBatchNorm)


def test_the_launcher_names_the_gpu(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert rank_device() == torch.device("cuda", 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert rank_device() == torch.device("cpu")


def test_each_rank_has_a_log_of_its_own(tmp_path, monkeypatch):
    alone = rejection_log(tmp_path, range(10), 0.25)
    assert rank() == 0 and (alone.path, alone.total, alone.max_share) == (tmp_path / "rejected.jsonl", 10, 0.25)
    alone.add("s1", "cut short")
    assert rejection_log(tmp_path, range(10), 0.25, resume=True).count == 1
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_rank", lambda: 2)
    assert rejection_log(tmp_path, range(10), 0.25).path == tmp_path / "rejected_rank2.jsonl"
