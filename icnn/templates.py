"""What a part detector's feature map should look like: templates, their prior, and the mask.

Taught in lesson 1. Zhang, Wu and Zhu, "Interpretable Convolutional Neural Networks", CVPR 2018,
section 3.
"""

import torch
from torch import Tensor

from icnn._check_args import Array, checked
from icnn._device import kernels


def l1_distances(n: int, *, dtype: torch.dtype | None = None, device=None) -> Tensor:
    """City-block distance between every two units of an n×n map, as (n², n²), row-major."""
    axis = torch.arange(n, device=device, dtype=dtype or torch.get_default_dtype())
    gap = (axis[:, None] - axis).abs()
    return (gap[:, None, :, None] + gap[None, :, None, :]).reshape(n * n, n * n)


@checked()
def part_templates(
    n: int,
    *,
    beta: float = 4.0,
    tau: float | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """The n² positive templates T_μ, one per position μ, and the negative template T⁻ last.

    A positive template is τ·max(1 − β‖(i,j) − μ‖₁/n, −1) at unit (i, j); the negative one is −τ
    everywhere. They are fixed: nothing in them is learned. Paper, section 3. Taught in lesson 1.

    Args:
        n: side of the square feature map, in units.
        beta: how fast a template decays with distance from μ; no unit.
        tau: the peak value; None is the paper's 0.5/n².
        dtype, device: of the result, floating; None is torch's default.

    Returns:
        (n²+1, n, n), row-major in μ: the template for μ = (r, c) has index r·n + c.
    """
    tau = 0.5 / n**2 if tau is None else tau
    dtype = dtype or torch.get_default_dtype()
    if tau > (highest := torch.finfo(dtype).max):
        raise ValueError(f"tau must be at most {highest:g}, as {dtype} holds, got {tau}")
    positive = tau * (1 - beta * l1_distances(n, dtype=dtype, device=device) / n).clamp_min(-1)
    negative = torch.full_like(positive[:1], -tau)
    return torch.cat([positive, negative]).reshape(n * n + 1, n, n)


@checked()
def template_prior(
    n: int,
    *,
    alpha: float | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """How likely each template is before a map is seen: α/n² for each T_μ and 1 − α for T⁻.

    (n²+1,), in the order of `part_templates`; it sums to 1. Paper, section 3.1. Taught in lesson 1.

    Args:
        n, dtype, device: as for `part_templates`.
        alpha: probability, in (0, 1), that the part is somewhere in the image; None is the paper's
            n²/(1 + n²), which makes all n² + 1 templates equally likely.
    """
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    prior = torch.full((n * n + 1,), alpha / n**2, dtype=dtype, device=device)
    prior[-1] = 1 - alpha
    return prior


@checked(x=Array("... n n"))
def part_mask(x: Tensor, *, beta: float = 4.0) -> Tensor:
    """The mask that keeps the neighbourhood of each map's strongest unit and drops the rest.

    (..., n, n) in [0, 1], dtype of `x`; multiply it with `x` to get the masked map. It is the
    positive template at the peak, without τ and with its negative part cut off:
    max(1 − β‖(i,j) − μ̂‖₁/n, 0) with μ̂ = argmax x (the first one, row-major, at a tie). The paper
    prints the mask with its small factor τ, which would shrink the map; like the authors' released
    code, the peak here is 1. No gradient flows into the mask. Paper, section 3. Lesson 1.

    Args:
        x: feature maps (..., n, n), floating.
        beta: how fast the mask decays with distance from the peak; no unit.
    """
    return mask_at(x.detach().flatten(-2).argmax(-1), x.shape[-1], beta=beta, dtype=x.dtype)


def masked(x: Tensor, *, beta: float) -> tuple[Tensor, Tensor]:
    """Maps (N, C, n, n) times their masks, and how high each peaks (N, C); unchecked."""
    maps, n = x.detach(), x.shape[-1]
    if (found := kernels(x)) and n <= found.LARGEST_MASKED:
        mask, peak = found.masks(maps, beta)
    else:
        peak, where = maps.flatten(-2).max(-1)
        mask = mask_at(where, n, beta=beta, dtype=x.dtype)
    return x * mask, peak


def mask_at(peak: Tensor, n: int, *, beta: float, dtype: torch.dtype) -> Tensor:
    """Masks (..., n, n) around the row-major positions `peak` (...); the unchecked inside."""
    axis = torch.arange(n, device=peak.device)
    rows = ((peak // n)[..., None] - axis).abs().to(dtype) * (beta / n)
    cols = ((peak % n)[..., None] - axis).abs().to(dtype) * (beta / n)
    return ((1 - rows)[..., :, None] - cols[..., None, :]).clamp_min_(0)
