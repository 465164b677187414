"""The filter loss, fast and exact, the paper's approximate gradient, and the category term.

The same numbers as `icnn.information`, without ever forming the n² templates: all positive
fitnesses of a map are its correlation with a cone, because a template is a cone minus a constant,
T_μ/τ = max(2 − β‖·−μ‖₁/n, 0) − 1, and T⁻/τ = −1. Taught in lesson 3.
"""

import functools
import math
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from icnn._check_args import Array, check_data, check_same_device, checked
from icnn._device import exact_products, kernels
from icnn._distributed import all_reduce, all_reduce_logsumexp, processes
from icnn.information import fitness, log_likelihood, log_marginal
from icnn.templates import l1_distances, part_templates, template_prior

CHUNK_ELEMENTS = 1 << 17  # numbers in a block of filters: small enough to stay in a core's cache
THREADS_CHUNK_ELEMENTS = 1 << 20  # with more threads each operation needs more to share out
DEVICE_CHUNK_ELEMENTS = 1 << 24  # a card wants all at once, but not all of its memory
LARGEST_PRODUCT = 28  # side of maps; above, a Fourier transform beats the n² × n² product
LinearMap = Callable[[Tensor], Tensor]

X = Array("N C n n", values=check_data)  # other values than these are not read in training
IS_TARGET, SCALE = Array("N C", "bool", like="x"), Array("C", values=None)


@checked(x=X, scale=SCALE)
def filter_loss(
    x: Tensor, *, sharpness: float | None = None, scale: Tensor | None = None, beta: float = 4.0
) -> Tensor:
    """Minus the mutual information between a filter's maps and the templates, mean over filters.

    Equation 1 with its exact gradient: neither Z_T nor p(x) is frozen, unlike in the paper's eq. 4.
    Under `torch.distributed` the images are those of all processes: every process gets the loss of
    the whole batch, and a gradient that is right after DistributedDataParallel has averaged it.
    With `sharpness` and `scale` both None the templates have the paper's τ = 0.5/n². With both
    given the fitness is sharpness · tr((x/scale) · T/τ), which makes the loss blind to the size of
    the activations; that is ours, and lesson 3 shows why it is needed. Exact to float32 whatever
    `torch.set_float32_matmul_precision` allows. It computes where the maps are; `icnn.loss.path`
    says how. Taught in lesson 3.

    Args:
        x: maps (N, C, n, n) after ReLU and before the mask, floating. Half precision is summed
            up in float32. Values are not checked: a NaN gives a NaN.
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


@checked(x=X)
def path(x: Tensor) -> str:
    """What computes `filter_loss` of these maps: "plain" tensors, on every device, or "kernels".

    These take float32 and half precision, up to 1,024 images, in one process on a graphics card,
    where there is Triton.
    """
    return "kernels" if _fused(x) else "plain"


@checked(x=X, is_target=IS_TARGET, scale=SCALE)
def category_loss(
    x: Tensor, is_target: Tensor, *, sharpness: float, scale: Tensor, beta: float = 4.0
) -> Tensor:
    """Cross-entropy of q(T|x) to the template each map should fit: the category term (ours).

    An image of the filter's category should fit the template at the map's own peak, any other image
    the negative template. Both kinds count equally, however many there are. Here q(T|x) is
    proportional to exp(fitness), all Z_T taken as equal: a map is judged by itself and not against
    the batch, whose Z_T changed nothing that we could measure. No positive fitness is below the
    negative one, so an image of another category costs at least log(n² + 1), when its map is
    silent. A scalar in nats, 0 or more. Taught in lesson 3.

    Args:
        x: maps (N, C, n, n) after ReLU and before the mask, floating; values are not checked.
        is_target: (N, C) bool, whether image n belongs to the category of filter c.
        sharpness, scale, beta: as in `filter_loss`.
    """
    belongs = is_target.to(_flat(x).dtype)
    return soft_category_loss(x, belongs, sharpness=sharpness, scale=scale, beta=beta)


def soft_category_loss(
    x: Tensor, belongs: Tensor, *, sharpness: float, scale: Tensor, beta: float = 4.0
) -> Tensor:
    """`category_loss` with a probability (N, C) in place of "is of the filter's category"."""
    flat = _flat(x) * _gain(x, sharpness, scale)[:, None]
    scores = _Linear.apply(flat, *_templates(x.shape[-1], beta, flat))
    log_q = scores.log_softmax(-1)  # all templates are equally likely beforehand
    peak = x.detach().flatten(-2).argmax(-1)
    wanted = torch.stack([peak, torch.full_like(peak, x.shape[-1] ** 2)], -1)
    own, negative = log_q.gather(-1, wanted).unbind(-1)
    return -(_weighted_mean(own, belongs) + _weighted_mean(negative, 1 - belongs)) / 2


@checked(x=Array("N C n n"), is_target=IS_TARGET)
def paper_gradient(x: Tensor, is_target: Tensor, *, beta: float = 4.0) -> Tensor:
    """Equation 4 of the paper, as a gradient of `filter_loss` to descend: (N, C, n, n).

    The paper freezes Z_T and p(x) and keeps one template per map: the positive one at the map's
    peak for an image of the filter's category, the negative one for any other. As printed, eq. 4
    has the sign of the mutual information; here it has the sign of the loss, and like `filter_loss`
    it is divided by the number of filters. Arguments as in `category_loss`. Taught in lesson 3.
    """
    n = x.shape[-1]
    templates = part_templates(n, beta=beta, dtype=x.dtype, device=x.device)
    prior = template_prior(n, dtype=x.dtype, device=x.device)
    scores = fitness(x.detach(), templates)
    wanted = torch.where(is_target, x.detach().flatten(-2).argmax(-1), n * n)
    log_p = log_likelihood(scores).gather(-1, wanted[..., None])[..., 0]
    weight = prior[wanted] * log_p.exp() * (log_p - log_marginal(scores, prior))
    return -weight[..., None, None] * templates[wanted] / x.shape[1]


def _fused(x: Tensor) -> ModuleType | None:
    """The kernels, where they can compute the loss of these maps."""
    found = kernels(x)
    return found if found and len(x) <= found.LARGEST_BATCH and processes() == 1 else None


class _FilterLoss(torch.autograd.Function):
    """Loss and gradient in one sweep; a filter never sees another."""

    @staticmethod
    def forward(ctx, x: Tensor, gain: Tensor, beta: float) -> Tensor:
        compute = _at_once if _fused(x) else _in_blocks
        loss, gradient = compute(x.detach(), gain, beta, ctx.needs_input_grad[0])
        ctx.save_for_backward(x, gradient)
        return loss

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor | None, None, None]:
        x, gradient = ctx.saved_tensors
        if gradient is None:
            return None, None, None
        if torch.is_grad_enabled():  # for a second derivative
            return (_NoSecondDerivative.apply(gradient, x) * upstream).to(x.dtype), None, None
        # Half precision is rounded after the factor: it may be there to save it from underflow.
        return torch.mul(gradient, upstream, out=torch.empty_like(x)), None, None


class _NoSecondDerivative(torch.autograd.Function):
    """A gradient that knows what it depends on, so that its derivative is an error and not 0."""

    @staticmethod
    def forward(ctx, gradient: Tensor, x: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[None, None]:
        raise RuntimeError("filter_loss has no second derivative: its gradient is a constant")


def _at_once(x: Tensor, gain: Tensor, beta: float, wanted: bool) -> tuple[Tensor, Tensor | None]:
    """The loss and its gradient on a graphics card: two products around one fused kernel."""
    n = x.shape[-1]
    if halves := x.dtype == torch.bfloat16 and n <= LARGEST_PRODUCT and beta % 1 == 0:
        flat, gain = x.flatten(-2), gain / n  # these templates are n times as large
    else:
        flat = x.to(torch.float32, memory_format=torch.contiguous_format).flatten(-2)
    with exact_products(x):
        fit, transposed = _templates(n, beta, flat)
        scores = fit(flat)
        del flat
        loss = _fused(x).slope_(scores, gain, n * n + 1, wanted, halves)
        return loss, transposed(scores).unflatten(-1, (n, n)) if wanted else None


def _in_blocks(x: Tensor, gain: Tensor, beta: float, wanted: bool) -> tuple[Tensor, Tensor | None]:
    """The loss and its gradient on plain tensors, as many filters at once as a cache holds."""
    flat = _flat(x)
    images, filters, units = flat.shape
    gradient = torch.empty_like(flat) if wanted else None
    total = flat.new_zeros(())
    block = max(1, _block_elements(x) // (images * units))
    if processes() > 1:
        block = filters  # all processes must take the same steps
    with exact_products(x):
        fit, transposed = _templates(x.shape[-1], beta, flat)
        for start in range(0, filters, block):
            part = slice(start, start + block)
            information, slope = _information(fit(flat[:, part] * gain[part, None]))
            total += information
            if gradient is not None:
                factor = gain[part] * (processes() / -filters / (units + 1))
                torch.mul(transposed(slope()), factor[:, None], out=gradient[:, part])
    return total / -filters, None if gradient is None else gradient.view_as(x)


def _block_elements(x: Tensor) -> int:
    if x.device.type != "cpu":
        return DEVICE_CHUNK_ELEMENTS
    return CHUNK_ELEMENTS if torch.get_num_threads() == 1 else THREADS_CHUNK_ELEMENTS


def _information(scores: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
    """Σ over filters of MI, and a function that gives its gradient over p(T).

    The fitnesses (N, c, n²+1) are used up, the negative template's are the last.
    """
    log_p, p = scores, _normalise(scores)
    prior = 1 / scores.shape[-1]
    # Where every p(x|T) underflows, p·log(p/p(x)) is 0 to rounding: any finite logarithm will do.
    marginal = p.sum(-1).mul_(prior).clamp_min_(torch.finfo(p.dtype).tiny)
    weighted = log_p.sub_(marginal.log_()[..., None]).mul_(p)
    by_template = all_reduce(weighted.sum(0))

    def slope() -> Tensor:
        """∂MI/∂s = p(T) p(x|T) [ℓ − Σ_x p(x|T) ℓ]."""
        return weighted.sub_(p.mul_(by_template))

    return prior * by_template.sum(), slope


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


class _Linear(torch.autograd.Function):
    """A linear map and its transpose, in full precision forth and back."""

    @staticmethod
    def forward(ctx, x: Tensor, forth: LinearMap, back: LinearMap) -> Tensor:
        ctx.maps = forth, back
        with exact_products(x):
            return forth(x)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, None, None]:
        forth, back = ctx.maps
        return _Linear.apply(upstream, back, forth), None, None


def _templates(n: int, beta: float, like: Tensor) -> tuple[LinearMap, LinearMap]:
    """From flat maps (..., n²) to their fitnesses over τ (..., n²+1), and the transpose of it."""
    if n <= LARGEST_PRODUCT:
        forth, back = _kept_matrices(n, beta, like)
        if like.dtype == torch.bfloat16:
            return _products_of_halves(forth, back)
        return (lambda x: x @ forth), (lambda scores: scores @ back)
    reach = min(n - 1, math.ceil(2 * n / beta) - 1)  # farthest unit inside the cone
    # What leaves the map on one side must not enter on the other; multiples of 8 are quick.
    side = -(-(n + reach) // 8) * 8
    axis = torch.arange(side, dtype=like.dtype, device=like.device)
    axis = torch.minimum(axis, side - axis)
    spectrum = torch.fft.rfft2(_height(axis[:, None] + axis, n, beta)).real  # it is symmetric

    def correlate(x: Tensor) -> Tensor:
        product = torch.fft.rfft2(x.unflatten(-1, (n, n)), s=(side, side)) * spectrum
        return torch.fft.irfft2(product, s=(side, side))[..., :n, :n].flatten(-2)

    def fit(x: Tensor) -> Tensor:
        negative = -x.sum(-1, keepdim=True)
        return torch.cat([correlate(x) + negative, negative], -1)

    def transposed(scores: Tensor) -> Tensor:
        return correlate(scores[..., :-1]) - scores.sum(-1, keepdim=True)

    return fit, transposed


def _products_of_halves(forth: Tensor, back: Tensor) -> tuple[LinearMap, LinearMap]:
    """Float32 sums of exact bfloat16 products; the transpose takes two such numbers for one."""

    def fit(x: Tensor) -> Tensor:
        return torch.bmm(x, forth.expand(len(x), -1, -1), out_dtype=torch.float32)

    def transposed(scores: Tensor) -> Tensor:
        halves = scores.view(torch.bfloat16).mT
        return torch.bmm(back.T.expand(len(scores), -1, -1), halves, out_dtype=torch.float32).mT

    return fit, transposed


def _kept_matrices(n: int, beta: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """What `_matrices` makes, made once; but not where a graph or a compiler records."""
    plain = type(like) is Tensor and not torch.compiler.is_compiling()
    if plain and not (like.is_cuda and torch.cuda.is_current_stream_capturing()):
        return _kept(n, beta, like.dtype, like.device)
    return _matrices(n, beta, like.dtype, like.device)


def _matrices(
    n: int, beta: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """All templates over τ (n², n²+1), and their transpose.

    In bfloat16, where whole numbers up to 256 are exact: n times these, with columns of 0 at the
    end, for speed, and a transpose that adds up neighbours.
    """
    exact = torch.float32 if dtype == torch.bfloat16 else dtype
    cone = _height(l1_distances(n, dtype=exact, device=device), n, beta)
    templates = torch.cat([cone - 1, torch.full_like(cone[:, :1], -1)], 1)
    if dtype == exact:
        return templates, templates.T
    whole = torch.nn.functional.pad((n * templates).round(), (0, -(n * n + 1) % 8)).to(dtype)
    return whole, whole.repeat_interleave(2, 1).T


@functools.lru_cache(maxsize=16)
def _kept(n: int, beta: float, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    made = _matrices(n, beta, dtype, device)
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()  # other streams will read it, too
    return made


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
