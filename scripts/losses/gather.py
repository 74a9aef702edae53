"""Tensors of all ranks, with gradient."""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def _world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_texts(units: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Units and lengths of the texts of all ranks, in rank order; gradients flow back to the rank that owns them.

    Ranks pad to their own longest text, so units are padded to the longest of all first. In a single process the arguments
    come back as they are.

    Args:
        units: [B, D, L], the same B and D on every rank.
        lengths: [B].

    Returns:
        units [world * B, D, longest L], lengths [world * B].
    """
    if _world_size() == 1:
        return units, lengths
    longest = torch.tensor(units.shape[2], device=units.device)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX)
    units = torch.nn.functional.pad(units, (0, int(longest) - units.shape[2]))
    all_lengths = [torch.empty_like(lengths) for _ in range(_world_size())]
    dist.all_gather(all_lengths, lengths)
    return gather_rows(units), torch.cat(all_lengths)


def gather_rows(tensor: Tensor) -> Tensor:
    """The tensors of all ranks concatenated along the first dimension, in rank order, with gradient.

    When every rank then computes the same loss from the gathered tensor, the backward pass sums the equal gradients of all
    ranks, and DistributedDataParallel's mean over ranks brings them back to the gradient of one process with the whole batch.

    Args:
        tensor: [B, ...], the same shape on every rank.

    Returns:
        [world * B, ...]; in a single process the tensor itself.
    """
    if _world_size() == 1:
        return tensor
    return _GatherRows.apply(tensor)


class _GatherRows(torch.autograd.Function):
    """all_gather forward, sum over ranks backward: one collective each way, on every backend."""

    @staticmethod
    def forward(ctx, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        grad = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        return grad.chunk(dist.get_world_size())[dist.get_rank()]
