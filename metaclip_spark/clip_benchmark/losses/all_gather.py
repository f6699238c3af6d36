"""Features of all processes, with the gradient that each process owes the others."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """The number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def all_gather(features: Tensor) -> Tensor:
    """Joins the features of all processes, in the order of their ranks.

    The gradient that all processes have for these features comes back summed, so that a mean over the processes'
    parameter gradients is the gradient of the mean loss.

    Args:
        features: (B, ...), the same shape in each process.

    Returns:
        (N, ...) with N = B times the processes; `features` itself where there is one process.
    """
    return _AllGather.apply(features) if world_size() > 1 else features


def all_gather_detached(values: Tensor) -> Tensor:
    """Joins values of all processes that have no gradient.

    Args:
        values: (B, ...), the same shape in each process.

    Returns:
        (N, ...), detached.
    """
    values = values.detach()
    if world_size() == 1:
        return values
    # gloo sends no booleans.
    return _joined(values.byte()).bool() if values.dtype == torch.bool else _joined(values)


def _joined(values: Tensor) -> Tensor:
    values = values.contiguous()
    parts = [torch.empty_like(values) for _ in range(world_size())]
    dist.all_gather(parts, values)
    return torch.cat(parts)


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, features: Tensor) -> Tensor:
        context.rows = len(features)
        return _joined(features)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        first = dist.get_rank() * context.rows
        return gradient[first : first + context.rows]
