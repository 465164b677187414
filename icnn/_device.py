"""What depends on the device: which path computes, exact products, random numbers."""

import functools
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import torch
from torch import Tensor


def kernels(x: Tensor) -> ModuleType | None:
    """The module of fused kernels, for maps on a card that can run them; None: plain tensors.

    A compiler gets the plain tensors, too: it fuses them itself.
    """
    if not x.is_cuda or x.dtype == torch.float64 or torch.compiler.is_compiling():
        return None
    return _kernels(x.device)


@functools.cache
def _kernels(card: torch.device) -> ModuleType | None:
    if not torch.cuda.is_available():  # tensors that only claim to be on a card
        return None
    if importlib.util.find_spec("triton") is None or torch.version.hip:
        return None
    if torch.cuda.get_device_capability(card) < (8, 0):  # no TF32
        return None
    from icnn import _kernels

    return _kernels


@contextmanager
def exact_products(x: Tensor) -> Iterator[None]:
    """Matrix products of float32 as exact as it is, whatever the caller allows for speed."""
    backend = torch.backends.cuda.matmul if x.is_cuda else torch.backends.mkldnn.matmul
    allowed, backend.fp32_precision = backend.fp32_precision, "ieee"
    try:
        with torch.autocast(x.device.type, enabled=False):
            yield
    finally:
        backend.fp32_precision = allowed


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Random numbers that start from a seed, on the CPU and on `device` (None: the default one).

    Afterwards the caller's go on as if none had been drawn, here and on every card.
    """
    device = device or torch.get_default_device()
    cards = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cards):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach every card
        for card in cards:
            with torch.cuda.device(card):
                torch.cuda.manual_seed(seed)
        yield


def generators(device: torch.device) -> list[torch.Generator]:
    """Where the random numbers of a training on `device` come from."""
    if device.type != "cuda":
        return [torch.default_generator]
    index = torch.cuda.current_device() if device.index is None else device.index
    return [torch.default_generator, torch.cuda.default_generators[index]]


@contextmanager
def repeatable() -> Iterator[None]:
    """Convolutions on a card that give the same gradient again, bit for bit."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
