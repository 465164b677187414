"""Statistics over the images of all processes, where a training runs on more than one.

Without a process group everything here leaves its argument as it is.
"""

import torch.distributed as dist
from torch import Tensor


def processes() -> int:
    """How many processes share a batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def all_reduce(x: Tensor, op: str = "SUM") -> Tensor:
    """The sum, or another reduction, of all processes' tensors; no gradient goes through it."""
    if processes() == 1:
        return x
    x = x.detach().clone()
    dist.all_reduce(x, op=getattr(dist.ReduceOp, op))
    return x


def mean(x: Tensor) -> Tensor:
    """Over the first axis, the images of all processes."""
    if processes() == 1:
        return x.mean(0)
    return all_reduce(x.sum(0)) / all_reduce(x.new_tensor(len(x)))


def all_reduce_logsumexp(x: Tensor) -> Tensor:
    """log Σ exp over all processes, elementwise, without overflow."""
    top = all_reduce(x, "MAX")
    return all_reduce((x - top).exp()).log() + top if processes() > 1 else x
