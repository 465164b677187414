"""What is fused on a graphics card: the statistics of the filter loss, and the mask.

Only imported where there is a CUDA device and Triton. The plain path in `icnn.loss` and
`icnn.templates` is the reference, and what runs where these kernels do not reach.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

LARGEST_BATCH = 1024  # images of one filter that fit into a program's registers
LARGEST_MASKED = 64  # side of a map that one program masks
_compiled: dict[tuple, object] = {}


@triton.jit
def _log_likelihood(scores, image, template, gain):
    """log p(x|T) of one filter's images (BN) and some templates (BU), from its fitnesses."""
    s = tl.load(scores, image[:, None] & template[None, :], 0.0) * gain
    s = tl.where(image[:, None], s, float("-inf"))
    s -= tl.max(s, 0)[None, :]
    return s - tl.log(tl.sum(tl.exp(s), 0))[None, :]


@triton.jit
def _slope_kernel(
    scores, gain, loss, images, templates, stride, share,
    BN: tl.constexpr, BU: tl.constexpr, GRADIENT: tl.constexpr, HALVES: tl.constexpr,
):  # fmt: skip
    """One filter's part of the loss; its fitnesses (images, templates) become their gradient."""
    c, b, k = tl.program_id(0), tl.arange(0, BN), tl.arange(0, BU)
    image, filters = b < images, tl.num_programs(0)
    g, prior = tl.load(gain + c), 1.0 / templates
    scores += (b.to(tl.int64)[:, None] * filters + c) * stride
    p = tl.zeros((BN, BU), tl.float32)
    for start in range(0, templates, BU):
        t = start + k
        log_p = _log_likelihood(scores + t[None, :], image, t < templates, g)
        p += tl.where((t < templates)[None, :], tl.exp(log_p), 0.0)
    # Where every p(x|T) underflows any finite logarithm will do, as in the plain path.
    log_marginal = tl.log(tl.maximum(tl.sum(p, 1) * prior, 1.1754943508222875e-38))
    information = 0.0
    for start in range(0, templates, BU):
        t = start + k
        both = image[:, None] & (t < templates)[None, :]
        log_p = _log_likelihood(scores + t[None, :], image, t < templates, g)
        p = tl.exp(log_p)
        weighted = tl.where(both, (log_p - log_marginal[:, None]) * p, 0.0)
        by_template = tl.sum(weighted, 0)
        information += tl.sum(by_template, 0)
        if GRADIENT:
            slope = (weighted - p * by_template[None, :]) * (g * share * prior)
            if HALVES:  # the upper half of a float32 is a bfloat16; the lower becomes its error
                upper = slope.to(tl.int32, bitcast=True) & -65536
                error = (slope - upper.to(tl.float32, bitcast=True)).to(tl.bfloat16)
                lower = error.to(tl.int16, bitcast=True).to(tl.int32) & 65535
                slope = (upper | lower).to(tl.float32, bitcast=True)
            tl.store(scores + t[None, :], slope, both)
    tl.store(loss + c, information * share * prior)


@triton.jit
def _mask_kernel(
    x, mask, top, C, U, n, decay, xb, xc, xu, yb, yc, yu, BC: tl.constexpr, BU: tl.constexpr
):
    """The masks around the peaks of some maps of an image, and how high these are."""
    b, c, u = tl.program_id(0), tl.program_id(1) * BC + tl.arange(0, BC), tl.arange(0, BU)
    inside = (c < C)[:, None] & (u < U)[None, :]
    x += b.to(tl.int64) * xb + c[:, None] * xc + u[None, :] * xu
    mask += b.to(tl.int64) * yb + c[:, None] * yc + u[None, :] * yu
    maps = tl.load(x, inside, float("-inf")).to(tl.float32)
    rank = tl.where(maps == maps, maps, float("inf"))  # no number is the largest, as in torch
    first = (rank == tl.max(rank, 1)[:, None]) & inside
    peak = tl.min(tl.where(first, u[None, :], BU), 1)
    best = tl.sum(tl.where(u[None, :] == peak[:, None], maps, 0.0), 1)
    tl.store(top + b * C + c, best, c < C)
    rows = tl.abs((peak // n)[:, None] - (u // n)[None, :])
    columns = tl.abs((peak % n)[:, None] - (u % n)[None, :])
    tl.store(mask, tl.maximum(1.0 - (rows + columns).to(tl.float32) * decay, 0.0), inside)


@triton.jit(debug=True)  # or it would assert nothing
def _category_kernel(
    means, activation, labels, N, C, K, momentum,
    BC: tl.constexpr, BK: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """Running means of some filters' activations on some categories move to those of a batch."""
    c, k = tl.program_id(0) * BC + tl.arange(0, BC), tl.program_id(1) * BK + tl.arange(0, BK)
    sums, images = tl.zeros((BC, BK), tl.float32), tl.zeros((BK,), tl.float32)
    for start in range(0, N, BN):
        b = start + tl.arange(0, BN)
        label = tl.load(labels + b, b < N, 0)
        tl.device_assert((label >= 0) & (label < K), "labels must be below n_categories")
        mine = ((label[:, None] == k[None, :]) & (b < N)[:, None]).to(tl.float32)
        there = (c < C)[:, None] & (b < N)[None, :]
        some = tl.load(activation + b[None, :] * C + c[:, None], there, 0.0)
        sums = tl.dot(some, mine, sums, input_precision="ieee")
        images += tl.sum(mine, 0)
    means += c[:, None] * K + k[None, :]
    inside = (c < C)[:, None] & (k < K)[None, :]
    old, mean = tl.load(means, inside, 0.0), sums / tl.maximum(images, 1.0)[None, :]
    new = tl.where(old == 0, mean, old + momentum * (mean - old))  # 0: not seen yet
    tl.store(means, new, inside & (images > 0)[None, :])


def _units_in_line(x: Tensor) -> Tensor:
    """x itself where one stride leads from unit to unit of a map, row-major; otherwise a copy."""
    return x if x.stride(2) == x.shape[3] * x.stride(3) else x.contiguous()


def slope_(scores: Tensor, gain: Tensor, templates: int, wanted: bool, halves: bool) -> Tensor:
    """The filter loss; if `wanted`, fitnesses (N, C, templates, …) become their gradients.

    In `halves` each of these is two bfloat16 numbers in the place of one float32, to be summed up.
    """
    images, filters, stride = scores.shape
    loss, rows = torch.empty_like(gain), triton.next_power_of_2(images)
    columns = max(8, min(32, 4096 // rows))
    warps = max(1, rows * columns // 512)
    sizes = images, templates, stride, -1 / filters, rows, columns, wanted, halves
    key = scores.device, scores.shape, gain.data_ptr() % 16, wanted, halves
    _launch(_slope_kernel, (filters, 1, 1), warps, key, (scores, gain, loss, *sizes))
    return loss.sum()


def masks(x: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """The mask of each map (N, C, n, n), and how high each peaks (N, C), float32."""
    x = _units_in_line(x)
    images, filters, n, _ = x.shape
    mask, top = torch.empty_like(x), torch.empty((images, filters), device=x.device)
    columns = max(16, triton.next_power_of_2(n * n))
    rows = max(1, (1024 if x.stride(3) == 1 else 4096) // columns)
    key = x.dtype, x.device, x.shape, x.stride(), mask.stride(), x.data_ptr() % 16
    strides = *(x.stride(k) for k in (0, 1, 3)), *(mask.stride(k) for k in (0, 1, 3))
    arguments = x, mask, top, filters, n * n, n, beta / n, *strides, rows, columns
    _launch(_mask_kernel, (images, triton.cdiv(filters, rows), 1), 2, key, arguments)
    return mask, top


def follow_(means: Tensor, activation: Tensor, labels: Tensor, momentum: float) -> None:
    """Running means (C, K) move to those of a batch, activations (N, C) and labels (N,)."""
    (images, filters), labels = activation.shape, labels.contiguous()
    aligned = means.data_ptr() % 16, labels.data_ptr() % 16
    key = activation.shape, means.shape, means.device, labels.dtype, aligned
    sizes = images, filters, means.shape[1], momentum, 64, 32, 16
    grid = triton.cdiv(filters, 64), triton.cdiv(means.shape[1], 32), 1
    _launch(_category_kernel, grid, 2, key, (means, activation, labels, *sizes))


def _launch(kernel, grid: tuple[int, int, int], warps: int, key: tuple, arguments: tuple) -> None:
    """As kernel[grid](*arguments), which takes long to look up what it has compiled for such."""
    with torch.cuda.device(arguments[0].device):
        if compiled := _compiled.get((kernel, key)):
            compiled[grid](*arguments)
        else:
            _compiled[kernel, key] = kernel[grid](*arguments, num_warps=warps)
