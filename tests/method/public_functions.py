"""Every public function with valid arguments to draw, and how one sees that its answer is right.

`test_right_answers.py` calls them all as they are, `test_properties.py` with one argument spoiled.
Arguments are passed by name, so that a message can be asked to hold the name.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import log

import reference
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import icnn

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
SPREADS = {"unit": 1.0, "some": 10.0, "large": 300.0, "tiny": 1e-6, "zero": 0.0}
LAYOUTS = ("plain", "transposed", "strided", "expanded", "offset", "gradient")
EXACT = 50.0  # scores up to here are compared with the reference, larger ones only bounded
ROUNDINGS = 8  # of the largest number in a comparison; most answers are within one
SECONDS = 60  # more is a hang; the slowest call takes about a second


@dataclass(frozen=True)
class Function:
    """A function, a strategy for its arguments, and what must hold of its answer."""

    call: Callable
    arguments: st.SearchStrategy[dict]
    check: Callable[..., None]  # answer, **arguments
    share: float = 1.0  # of the usual number of inputs, for what is slow
    unchecked: tuple[str, ...] = ()  # arguments whose values are documented as not checked

    def answer(self, arguments: dict):
        """What it answers: in time, without a warning, and leaving its arguments alone."""
        before = {
            name: value.detach().clone()
            for name, value in arguments.items()
            if isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta
        }
        torch.set_warn_always(True)  # not only once in a process: a failure must be repeatable
        try:
            with in_time(), warnings.catch_warnings():
                warnings.simplefilter("error")
                return self.call(**arguments)
        finally:
            torch.set_warn_always(False)
            for name, value in before.items():
                now = arguments[name].detach()
                assert torch.equal(value.nan_to_num(7), now.nan_to_num(7)), f"{name} was changed"


@contextmanager
def in_time() -> Iterator[None]:
    """Fail in the middle of what hangs, so that hypothesis can report the input.

    An operation of torch is first let finish. Windows has no such alarm; there a hang is a hang.
    """

    def stop(*_) -> None:
        raise AssertionError(f"no answer after {SECONDS} seconds")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


FUNCTIONS: dict[str, Function] = {}


def try_many(count: float, strategy: st.SearchStrategy, check: Callable, record: Callable) -> None:
    """Check so many drawn inputs, and note for the summary how many there were."""
    tried = 0

    @settings(max_examples=max(10, int(count)), suppress_health_check=list(HealthCheck))
    @given(strategy)
    def holds(drawn) -> None:
        nonlocal tried
        tried += 1
        check(drawn)

    try:
        holds()
    finally:
        record("inputs", tried)


def public(name: str, call: Callable, check: Callable, **options) -> Callable:
    """Enter a function into the table, with the arguments that the decorated function draws."""

    def enter(arguments: Callable) -> Callable:
        FUNCTIONS[name] = Function(call, st.composite(arguments)(), check, **options)
        return arguments

    return enter


def numbers(draw, *shape: int, dtype=None, lowest: float = 0.0, layout: str | None = None):
    """A tensor of one of several sizes of values, layouts in memory and, if not given, dtypes."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    spread = SPREADS[draw(st.sampled_from(list(SPREADS)))]
    x = torch.rand(shape, generator=generator, dtype=torch.float64) * (1 - lowest) + lowest
    if draw(st.booleans()):
        x = (x * 3).round() / 3  # ties, and exact zeros
    x = (x * spread).to(dtype or draw(st.sampled_from(DTYPES)))
    return laid_out(x, layout or draw(st.sampled_from(LAYOUTS)))


def laid_out(x: Tensor, layout: str) -> Tensor:
    """The same values in another layout; `expanded` repeats the first image with stride 0."""
    if layout == "transposed":
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "strided":
        return torch.stack([x, x], -1)[..., 0]
    if layout == "expanded":
        return x[:1].expand(x.shape)
    if layout == "offset":
        return torch.cat([x, x])[len(x) :]
    return x.requires_grad_() if layout == "gradient" else x


def counts(draw, *highest: int) -> list[int]:
    return [draw(st.integers(1, most)) for most in highest]


def maps(draw, *, lowest: float = 0.0, **options) -> Tensor:
    batch, channels, n = counts(draw, 4, 3, 5)
    return numbers(draw, batch, channels, n, n, lowest=lowest, **options)


def beta(draw) -> float:
    return draw(st.sampled_from([4.0, 4, 0.5, 1e-3, 37.5]))


def labels(draw, count: int, categories: int = 3) -> Tensor:
    values = draw(st.lists(st.integers(0, categories - 1), min_size=count, max_size=count))
    return torch.tensor(values)


def truths(draw, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.5, 1.0]))


def close(got: Tensor, wanted, *, size: float = 1.0) -> None:
    """Equal up to a few roundings of numbers of a size, or of subnormal ones."""
    wanted = torch.as_tensor(wanted, dtype=torch.float64)
    assert got.shape == wanted.shape, (got.shape, wanted.shape)
    if not wanted.numel():
        return
    off = (got.detach().double() - wanted).abs().max()
    info = torch.finfo(got.dtype)
    allowed = ROUNDINGS * info.eps * (max(size, float(wanted.abs().max())) + info.smallest_normal)
    assert off <= allowed, f"off by {float(off):.3g}, allowed {allowed:.3g}"


def finite(got: Tensor, shape: tuple, dtype: torch.dtype) -> None:
    assert got.shape == shape and got.dtype == dtype, (got.shape, got.dtype)
    assert got.isfinite().all(), "an answer that is not finite"


# --- templates -----------------------------------------------------------------------------------


def right_templates(answer, n, beta=4.0, tau=None, dtype=None, device=None) -> None:
    assert answer.dtype == (dtype or torch.get_default_dtype())
    assert answer.device.type == (device or "cpu") and answer.shape == (n * n + 1, n, n)
    if device != "meta":
        tau = 0.5 / n**2 if tau is None else tau
        assert answer.isfinite().all()
        close(answer, reference.templates(n, beta, tau), size=tau * (1 + beta))


@public("part_templates", icnn.part_templates, right_templates)
def _(draw):
    arguments = {"n": draw(st.integers(1, 7)), "beta": beta(draw)}
    arguments["tau"] = draw(st.sampled_from([None, 1.0, 2, 1e-3]))
    return arguments | placed(draw)


def placed(draw) -> dict:
    return {
        "dtype": draw(st.sampled_from([None, *DTYPES])),
        "device": draw(st.sampled_from([None, "cpu", "meta"])),
    }


def right_prior(answer, n, alpha=None, dtype=None, device=None) -> None:
    assert answer.dtype == (dtype or torch.get_default_dtype())
    assert answer.device.type == (device or "cpu") and answer.shape == (n * n + 1,)
    if device != "meta":
        alpha = n**2 / (1 + n**2) if alpha is None else alpha
        close(answer, [alpha / n**2] * n**2 + [1 - alpha])


@public("template_prior", icnn.template_prior, right_prior)
def _(draw):
    alpha = draw(st.sampled_from([None, 0.5, 1e-3, 0.999]))
    return {"n": draw(st.integers(1, 9)), "alpha": alpha} | placed(draw)


def right_mask(answer, x, beta=4.0) -> None:
    finite(answer, x.shape, x.dtype)
    assert not answer.requires_grad
    wanted = [reference.mask(m.tolist(), beta) for m in x.detach().double().flatten(0, -3)]
    close(answer.reshape(-1, *x.shape[-2:]), wanted, size=1 + beta)


@public("part_mask", icnn.part_mask, right_mask)
def _(draw):
    return {"x": maps(draw, lowest=-1.0), "beta": beta(draw)}


# --- information ---------------------------------------------------------------------------------


def right_fitness(answer, x, templates) -> None:
    """Infinite only where the right answer is too large for the dtype."""
    assert answer.dtype == x.dtype
    exact = torch.einsum("bcij,tij->bct", x.detach().double(), templates.detach().double())
    size = float(
        x.detach().double().abs().max() * templates.detach().double().abs().sum((1, 2)).max()
    )
    share = exact.abs() / torch.finfo(x.dtype).max
    within = share < 0.99
    assert answer[within].isfinite().all() and answer[share > 1.01].isinf().all()
    close(answer.where(within, 0), exact.where(within, 0), size=size)
    assert answer.requires_grad == (x.requires_grad or templates.requires_grad)


@public("fitness", icnn.fitness, right_fitness)
def _(draw):
    x = maps(draw)
    return {"x": x, "templates": icnn.part_templates(x.shape[-1], dtype=x.dtype)}


def likelihoods(scores: Tensor) -> Tensor:
    return scores.detach().double().softmax(0)


def right_information(answer, fitness, prior) -> None:
    finite(answer, fitness.shape[1:2], fitness.dtype)
    size = float(fitness.detach().double().abs().max())
    bound = log(len(fitness)) if len(fitness) > 1 else 0.0
    slack = ROUNDINGS * torch.finfo(fitness.dtype).eps * (1 + size)
    assert ((answer >= -slack) & (answer <= bound + slack)).all(), answer
    if size < EXACT:
        p = likelihoods(fitness)
        distribution = prior.detach().double().tolist()
        wanted = [reference.mutual_information(f.tolist(), distribution) for f in p.unbind(1)]
        close(answer, wanted, size=1 + size)


def right_entropies(answer, fitness, prior) -> None:
    for part in answer:
        finite(part, fitness.shape[1:2], fitness.dtype)
    size = float(fitness.detach().double().abs().max())
    if size < EXACT:
        p, distribution = likelihoods(fitness), prior.detach().double().tolist()
        for f in range(fitness.shape[1]):
            wanted = reference.entropy_terms(p[:, f].tolist(), distribution)
            close(torch.stack([part[f] for part in answer]), wanted, size=1 + size)


def scores_and_prior(draw) -> dict:
    batch, channels, n = counts(draw, 4, 3, 4)
    fitness = numbers(draw, batch, channels, n * n + 1, lowest=-1.0)
    alpha = draw(st.sampled_from([None, 0.5, 0.9]))
    return {"fitness": fitness, "prior": icnn.template_prior(n, alpha=alpha, dtype=fitness.dtype)}


public("mutual_information", icnn.mutual_information, right_information)(scores_and_prior)
public("entropy_terms", icnn.entropy_terms, right_entropies)(scores_and_prior)


# --- loss ----------------------------------------------------------------------------------------


def scores_of(x: Tensor, sharpness, scale, beta: float) -> Tensor:
    """Fitnesses (N, C, n²+1) in float64, from the reference's templates."""
    n, x = x.shape[-1], x.detach().double()
    if sharpness is None:
        return torch.einsum("bcij,tij->bct", x, reference.templates(n, beta, 0.5 / n**2))
    x = x * sharpness / scale.detach().double()[:, None, None]
    return torch.einsum("bcij,tij->bct", x, reference.templates(n, beta, 1.0))


def precision(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def plain_filter_loss(scores: Tensor) -> float:
    templates = scores.shape[-1]
    prior = [1 / templates] * templates
    p = likelihoods(scores).unbind(1)
    return -sum(reference.mutual_information(f.tolist(), prior) for f in p) / len(p)


def right_filter_loss(answer, x, sharpness=None, scale=None, beta=4.0) -> None:
    finite(answer, (), precision(x.dtype))
    scores = scores_of(x, sharpness, scale, beta)
    size = float(scores.abs().max())
    assert answer.requires_grad == x.requires_grad
    if x.requires_grad:
        (slope,) = torch.autograd.grad(answer, x)
        finite(slope, x.shape, x.dtype)
    if size < EXACT:
        close(answer, plain_filter_loss(scores), size=1 + size)


@public("filter_loss", icnn.filter_loss, right_filter_loss, unchecked=("x", "scale"))
def _(draw):
    x = maps(draw)
    given = sharpened(draw, x) if draw(st.booleans()) else {}
    return {"x": x, "beta": beta(draw)} | given


def sharpened(draw, x: Tensor) -> dict:
    scale = 0.1 + numbers(draw, x.shape[1], dtype=torch.float32, layout="plain")
    return {"sharpness": draw(st.sampled_from([2.0, 1, 0.1])), "scale": scale}


def plain_category_loss(scores: Tensor, x: Tensor, is_target: Tensor) -> float:
    peak = x.detach().flatten(-2).argmax(-1)
    wanted = torch.where(is_target, peak, scores.shape[-1] - 1)
    cost = -scores.log_softmax(-1).gather(-1, wanted[..., None])[..., 0]
    kinds = is_target, ~is_target
    return sum(float(cost[kind].mean()) if kind.any() else 0.0 for kind in kinds) / 2


def right_category_loss(answer, x, is_target, sharpness, scale, beta=4.0) -> None:
    finite(answer, (), precision(x.dtype))
    assert answer >= 0 and answer.requires_grad == x.requires_grad
    scores = scores_of(x, sharpness, scale, beta)
    wanted = plain_category_loss(scores, x, is_target)
    close(answer, wanted, size=1 + float(scores.abs().max()))


@public("category_loss", icnn.category_loss, right_category_loss, unchecked=("x", "scale"))
def _(draw):
    x = maps(draw)
    target = truths(draw, *x.shape[:2])
    return {"x": x, "is_target": target, "beta": beta(draw)} | sharpened(draw, x)


def right_paper_gradient(answer, x, is_target, beta=4.0) -> None:
    finite(answer, x.shape, x.dtype)
    n, scores = x.shape[-1], scores_of(x, None, None, beta)
    size = float(scores.abs().max())
    if size < EXACT:
        templates, p = reference.templates(n, beta, 0.5 / n**2), likelihoods(scores)
        p_x = p.mean(-1)
        peak = x.detach().flatten(-2).argmax(-1)
        wanted = torch.where(is_target, peak, n * n)
        own = p.gather(-1, wanted[..., None])[..., 0]
        weight = own * (own / p_x).log() / (n * n + 1)
        gradient = -weight[..., None, None] * templates[wanted] / x.shape[1]
        close(answer, gradient, size=(1 + size) * float(templates.abs().max()))


@public("paper_gradient", icnn.paper_gradient, right_paper_gradient)
def _(draw):
    x = maps(draw)
    return {"x": x, "is_target": truths(draw, *x.shape[:2]), "beta": beta(draw)}
