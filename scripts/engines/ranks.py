"""One process a GPU: what a training does as one of several processes that `torchrun` started."""

import os
from collections.abc import Sized
from pathlib import Path

import torch
import torch.distributed as dist
from monai.utils import set_determinism
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from scripts.files.rejected import RejectionLog


def rank() -> int:
    """This process's number among those that `join_ranks` joined; 0 where it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def rejection_log(folder: str | Path, cases: Sized, max_share: float, resume: bool = False) -> RejectionLog:
    """The log of cases that failed, in a folder: rejected.jsonl, on rank 2 rejected_rank2.jsonl.

    Args:
        folder: of the run.
        cases: those that the run is about.
        max_share: share of them that may fail, in [0, 1].
        resume: go on from the file as it stands.
    """
    name = f"rejected_rank{rank()}.jsonl" if rank() else "rejected.jsonl"
    return RejectionLog(Path(folder) / name, len(cases), max_share, resume)


def rank_device() -> torch.device:
    """The GPU that the launcher's LOCAL_RANK names; the processor on a machine without one."""
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if torch.cuda.is_available() else torch.device("cpu")


def join_ranks(device: torch.device, seed: int) -> None:
    """Join the launcher's other processes, and seed this one.

    Args:
        device: of this process, see `rank_device`; ranks on GPUs speak over NCCL, others over Gloo.
        seed: of all generators.
    """
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    set_determinism(seed=seed)


def leave_ranks() -> None:
    """Wait for the other processes, and part from them."""
    dist.barrier()
    dist.destroy_process_group()


def synchronized(network: nn.Module, device: torch.device) -> nn.Module:
    """The network with batch statistics over all ranks, where these are on GPUs: Gloo has no such exchange."""
    return nn.SyncBatchNorm.convert_sync_batchnorm(network) if device.type == "cuda" else network


def distributed(network: nn.Module, device: torch.device, find_unused_parameters: bool = False) -> DistributedDataParallel:
    """The network on its device, with gradients averaged over the ranks.

    Args:
        network: the same on every rank.
        device: of this process.
        find_unused_parameters: whether a step may leave parameters without gradient, a loss of weight 0, say.
    """
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(network.to(device), device_ids=devices, find_unused_parameters=find_unused_parameters)
