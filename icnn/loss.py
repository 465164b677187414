"""The filter loss, fast and exact, the paper's approximate gradient, and the category term.

The same numbers as `icnn.information`, without ever forming the n² templates: all positive
fitnesses of a map are its correlation with a cone, because a template is a cone minus a constant,
T_μ/τ = max(2 − β‖·−μ‖₁/n, 0) − 1, and T⁻/τ = −1. Taught in lesson 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from icnn._check_args import (
    POSITIVE,
    Array,
    check_data,
    check_same_device,
    checked,
)
from icnn._distributed import all_reduce, all_reduce_logsumexp, processes
from icnn.information import fitness, log_likelihood, log_marginal
from icnn.templates import l1_distances, part_templates, template_prior

CHUNK_ELEMENTS = 1 << 17  # numbers in a block of filters: small enough to stay in a core's cache
THREADS_CHUNK_ELEMENTS = 1 << 20  # with more threads each operation needs more to share out
LARGEST_PRODUCT = 28  # side of maps; above, a Fourier transform beats the n² × n² product


X = Array("N C n n", values=check_data)  # other values than these are not read in training
IS_TARGET = Array("N C", "bool", like="x")


@checked(x=X, sharpness=POSITIVE, scale=Array("C", values=None), beta=POSITIVE)
def filter_loss(
    x: Tensor,
    *,
    sharpness: float | None = None,
    scale: Tensor | None = None,
    beta: float = 4.0,
) -> Tensor:
    """Minus the mutual information between a filter's maps and the templates, mean over filters.

    Equation 1 with its exact gradient: neither Z_T nor p(x) is frozen, unlike in the paper's eq. 4.
    Under `torch.distributed` the images are those of all processes: every process gets the loss of
    the whole batch, and a gradient that is right after DistributedDataParallel has averaged it.
    With `sharpness` and `scale` both None the templates have the paper's τ = 0.5/n². With both
    given the fitness is sharpness · tr((x/scale) · T/τ), which makes the loss blind to the size of
    the activations; that is ours, and lesson 3 shows why it is needed. Taught in lesson 3.

    Args:
        x: maps (N, C, n, n) after ReLU and before the mask, floating. Half precision is computed
            in float32. Values are not checked: a NaN gives a NaN.
        sharpness: how decisively the best template wins (κ); no unit.
        scale: (C,), what counts as a strong activation of each filter, in units of x; positive,
            which is not checked either.
        beta: how fast a template decays with distance; no unit.

    Returns:
        A scalar in nats, between −log min(N, n² + 1) and 0.

    Raises:
        ValueError: only one of `sharpness` and `scale`.
    """
    return _FilterLoss.apply(x, _gain(x, sharpness, scale), beta)


@checked(x=X, is_target=IS_TARGET, sharpness=POSITIVE, scale=Array("C", values=None), beta=POSITIVE)
def category_loss(
    x: Tensor, is_target: Tensor, *, sharpness: float, scale: Tensor, beta: float = 4.0
) -> Tensor:
    """Cross-entropy of p(T|x) to the template each map should fit: the category term (ours).

    An image of the filter's category should fit the template at the map's own peak, any other image
    the negative template. Both kinds count equally, however many there are. Here p(T|x) is
    proportional to exp(fitness): all Z_T are taken as equal, so that a map is judged by itself and
    not against the batch. (With the Z_T of the batch the term changed nothing that we could
    measure.) No positive fitness is below the negative one, so an image of another category costs
    at least log(n² + 1), which it does when its map is silent. Taught in lesson 3.

    Args:
        x: maps (N, C, n, n) after ReLU and before the mask, floating; values are not checked.
        is_target: (N, C) bool, whether image n belongs to the category of filter c.
        sharpness, scale, beta: as in `filter_loss`.

    Returns:
        A scalar in nats, 0 or more.
    """
    scores = _scores(_flat(x), _gain(x, sharpness, scale), x.shape[-1], beta)
    log_posterior = scores.log_softmax(-1)  # all templates are equally likely beforehand
    peak = x.detach().flatten(-2).argmax(-1)
    wanted = torch.where(is_target, peak, x.shape[-1] ** 2)
    surprise = -log_posterior.gather(-1, wanted[..., None])[..., 0]
    positives = is_target.to(surprise.dtype)
    return (_weighted_mean(surprise, positives) + _weighted_mean(surprise, 1 - positives)) / 2


@checked(x=Array("N C n n"), is_target=IS_TARGET, beta=POSITIVE)
def paper_gradient(x: Tensor, is_target: Tensor, *, beta: float = 4.0) -> Tensor:
    """Equation 4 of the paper, as a gradient of `filter_loss` to descend.

    The paper freezes Z_T and p(x) and keeps one template per map: the positive one at the map's
    peak for an image of the filter's category, the negative one for any other. As printed, eq. 4
    has the sign of the mutual information; here it has the sign of the loss, and like `filter_loss`
    it is divided by the number of filters. Taught in lesson 3.

    Args:
        x: maps (N, C, n, n) after ReLU and before the mask, floating.
        is_target: (N, C) bool, whether image n belongs to the category of filter c.
        beta: how fast a template decays with distance; no unit.

    Returns:
        (N, C, n, n), dtype of `x`.
    """
    n = x.shape[-1]
    templates = part_templates(n, beta=beta, dtype=x.dtype, device=x.device)
    prior = template_prior(n, dtype=x.dtype, device=x.device)
    scores = fitness(x.detach(), templates)
    wanted = torch.where(is_target, x.detach().flatten(-2).argmax(-1), n * n)
    log_p = log_likelihood(scores).gather(-1, wanted[..., None])[..., 0]
    weight = prior[wanted] * log_p.exp() * (log_p - log_marginal(scores, prior))
    return -weight[..., None, None] * templates[wanted] / x.shape[1]


class _FilterLoss(torch.autograd.Function):
    """Loss and gradient in one sweep over blocks of filters; a filter never sees another."""

    @staticmethod
    def forward(ctx, x: Tensor, gain: Tensor, beta: float) -> Tensor:
        flat, n = _flat(x.detach()), x.shape[-1]
        images, filters, units = flat.shape
        correlate = _cone(n, beta, flat)
        gradient = torch.empty_like(flat) if ctx.needs_input_grad[0] else None
        total = flat.new_zeros(())
        chunk = CHUNK_ELEMENTS if torch.get_num_threads() == 1 else THREADS_CHUNK_ELEMENTS
        block = max(1, chunk // (images * units))
        if processes() > 1:
            block = filters  # all processes must take the same steps
        with torch.autocast(x.device.type, enabled=False):
            for start in range(0, filters, block):
                part = slice(start, start + block)
                information, slope = _information(flat[:, part], gain[part], correlate)
                total += information
                if gradient is not None:
                    gradient[:, part] = slope() * (processes() / -filters)
        ctx.save_for_backward(x, None if gradient is None else gradient.view_as(x).to(x.dtype))
        return total / -filters

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor | None, None, None]:
        x, gradient = ctx.saved_tensors
        if gradient is None:
            return None, None, None
        return _NoSecondDerivative.apply(gradient, x) * upstream, None, None


class _NoSecondDerivative(torch.autograd.Function):
    """A gradient that knows what it depends on, so that its derivative is an error and not 0."""

    @staticmethod
    def forward(ctx, gradient: Tensor, x: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[None, None]:
        raise RuntimeError("filter_loss has no second derivative: its gradient is a constant")


def _information(x: Tensor, gain: Tensor, correlate: Callable[[Tensor], Tensor]):
    """Σ over filters of MI for maps (N, c, n²), and a function that gives its gradient in x."""
    x = x * gain[:, None]
    log_p = correlate(x)
    log_p_negative = x.sum(-1).neg_()
    log_p += log_p_negative[..., None]
    p, p_negative = _normalise(log_p), _normalise(log_p_negative)  # both become log p(x|T)
    prior = 1 / (x.shape[-1] + 1)
    marginal = p.sum(-1).add_(p_negative).mul_(prior)
    # Where every p(x|T) underflows, p·log(p/p(x)) is 0 to rounding: any finite logarithm will do.
    log_marginal = marginal.clamp_min_(torch.finfo(x.dtype).tiny).log_()
    weighted = log_p.sub_(log_marginal[..., None]).mul_(p)
    weighted_negative = log_p_negative.sub_(log_marginal).mul_(p_negative)
    by_template, by_negative = all_reduce(weighted.sum(0)), all_reduce(weighted_negative.sum(0))

    def slope() -> Tensor:
        """∂MI/∂s = p(T) p(x|T) [ℓ − Σ_x p(x|T) ℓ], then ∂s/∂x = T."""
        positive = weighted.sub_(p.mul_(by_template))
        negative = weighted_negative.sub_(p_negative.mul_(by_negative)).add_(positive.sum(-1))
        return correlate(positive).sub_(negative[..., None]).mul_(gain[:, None] * prior)

    return prior * (by_template.sum() + by_negative.sum()), slope


def _normalise(scores: Tensor) -> Tensor:
    """Softmax over the images of all processes; `scores` itself becomes its logarithm."""
    top = scores.amax(0)
    p = scores.sub_(top).exp()
    total = p.sum(0)
    log_total = total.log()
    if processes() > 1:
        log_total = all_reduce_logsumexp(log_total + top) - top
        total = log_total.exp()  # infinite where another process's images win by far: p is 0
    scores.sub_(log_total)
    return p.div_(total)


def _scores(x: Tensor, gain: Tensor, n: int, beta: float) -> Tensor:
    """Fitnesses (N, C, n²+1) of flat maps; differentiable."""
    x = x * gain[:, None]
    negative = -x.sum(-1, keepdim=True)
    return torch.cat([_cone(n, beta, x)(x) + negative, negative], -1)


def _cone(n: int, beta: float, like: Tensor) -> Callable[[Tensor], Tensor]:
    """The function that correlates flat maps (..., n²) with a cone around every unit."""
    if n <= LARGEST_PRODUCT:
        cone = _height(l1_distances(n, dtype=like.dtype, device=like.device), n, beta)
        return lambda x: x @ cone
    reach = min(n - 1, math.ceil(2 * n / beta) - 1)  # farthest unit inside the cone
    # What leaves the map on one side must not enter on the other; multiples of 8 are quick.
    side = -(-(n + reach) // 8) * 8
    axis = torch.arange(side, dtype=like.dtype, device=like.device)
    axis = torch.minimum(axis, side - axis)
    spectrum = torch.fft.rfft2(_height(axis[:, None] + axis, n, beta)).real  # it is symmetric

    def correlate(x: Tensor) -> Tensor:
        product = torch.fft.rfft2(x.unflatten(-1, (n, n)), s=(side, side)) * spectrum
        return torch.fft.irfft2(product, s=(side, side))[..., :n, :n].flatten(-2)

    return correlate


def _height(distance: Tensor, n: int, beta: float) -> Tensor:
    """A template/τ plus one, by the L1 distance from its peak."""
    return (2 - beta / n * distance).clamp_min_(0)


def _flat(x: Tensor) -> Tensor:
    """(N, C, n²), in float32 at least: half precision would lose the statistics."""
    x = x.flatten(-2)
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _gain(x: Tensor, sharpness: float | None, scale: Tensor | None) -> Tensor:
    """What a unit of activation counts in the fitness, (C,): τ, or sharpness/scale."""
    dtype = _flat(x).dtype
    if sharpness is None and scale is None:
        return torch.full((x.shape[1],), 0.5 / x.shape[-1] ** 2, dtype=dtype, device=x.device)
    if sharpness is None or scale is None:
        missing = "sharpness" if sharpness is None else "scale"
        raise ValueError(f"sharpness and scale go together, got no {missing}")
    check_same_device(scale, "scale", x, "x")
    gain = sharpness / scale.detach().to(dtype)
    return gain.clamp_max(torch.finfo(dtype).max)  # a silent filter's 0 times infinity is no number


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """This process's share of the mean over all; the average of the shares is the mean."""
    return processes() * (values * weights).sum() / all_reduce(weights.sum()).clamp_min(1)
