"""The fast loss and its gradient against the readable reference, autograd and equation 4."""

from __future__ import annotations

from math import exp, log

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import icnn

FLOOR = 1e-6  # nats: float32 cannot hold a loss of 2e-4 nats to 1e-5 of its value


def some_maps(images: int, filters: int, n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, filters, n, n, dtype=torch.float64, generator=generator).relu()


def readable_loss(x, *, sharpness=None, scale=None, beta=4.0) -> torch.Tensor:
    """The loss through `icnn.information`, differentiable."""
    n = x.shape[-1]
    tau = 0.5 / n**2 if sharpness is None else sharpness
    x = x if scale is None else x / scale[:, None, None]
    scores = icnn.fitness(x, icnn.part_templates(n, beta=beta, tau=tau, dtype=x.dtype))
    return -icnn.mutual_information(scores, icnn.template_prior(n, dtype=x.dtype)).mean()


def value_and_gradient(loss, x, **options):
    x = x.clone().requires_grad_()
    value = loss(x, **options)
    value.backward()
    return value.detach(), x.grad


@given(
    n=st.integers(1, 20),
    images=st.integers(1, 6),
    filters=st.integers(1, 4),
    beta=st.floats(0.2, 20),
    sharpness=st.none() | st.floats(0.05, 5),
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(["random", "constant", "ties", "silent", "extreme"]),
)
def test_it_agrees_with_the_readable_reference(
    n, images, filters, beta, sharpness, seed, kind
) -> None:
    x = some_maps(images, filters, n, seed)
    if kind == "constant":
        x = torch.full_like(x, 0.7)
    elif kind == "ties":
        x = (2 * x).floor()
    elif kind == "silent":
        x[:, 0] = 0
    elif kind == "extreme":
        x = 1e4 * x
    scale = None if sharpness is None else x.amax((0, 2, 3)).clamp_min(0.1)
    options = {"sharpness": sharpness, "scale": scale, "beta": beta}
    value, gradient = value_and_gradient(icnn.filter_loss, x, **options)
    wanted, wanted_gradient = value_and_gradient(readable_loss, x, **options)
    assert abs(value - wanted) <= 1e-10
    assert (gradient - wanted_gradient).abs().max() <= 1e-10


@given(n=st.integers(29, 48), beta=st.floats(0.2, 100), seed=st.integers(0, 2**31))
@settings(max_examples=10)
def test_large_maps_agree_as_well(n, beta, seed) -> None:
    """Above `LARGEST_PRODUCT` the correlation is a Fourier transform."""
    x = some_maps(3, 2, n, seed)
    options = {"sharpness": 2.0, "scale": x.amax((0, 2, 3)), "beta": beta}
    value, gradient = value_and_gradient(icnn.filter_loss, x, **options)
    wanted, wanted_gradient = value_and_gradient(readable_loss, x, **options)
    assert abs(value - wanted) <= 1e-10
    assert (gradient - wanted_gradient).abs().max() <= 1e-10


@pytest.mark.parametrize("n", [40, 56])
def test_large_maps_in_float32(n) -> None:
    x = some_maps(8, 4, n)
    options = {"sharpness": 2.0, "scale": x.amax((0, 2, 3)).float()}
    value, gradient = value_and_gradient(icnn.filter_loss, x.float(), **options)
    wanted, wanted_gradient = value_and_gradient(icnn.filter_loss, x, **options)
    assert abs(value - wanted) <= 1e-5 * abs(wanted) + FLOOR
    size = wanted_gradient.abs().max()
    assert (gradient - wanted_gradient).abs().max() <= 1e-4 * size


@pytest.mark.parametrize("literal", [True, False])
def test_gradcheck(literal) -> None:
    x = some_maps(4, 3, 5).requires_grad_()
    options = {} if literal else {"sharpness": 2.0, "scale": torch.tensor([0.5, 1.0, 2.0])}
    assert torch.autograd.gradcheck(lambda x: icnn.filter_loss(x, **options), x, atol=1e-9)


def test_blocks_of_filters_do_not_change_it(monkeypatch) -> None:
    x = some_maps(4, 7, 6)
    whole = value_and_gradient(icnn.filter_loss, x)
    monkeypatch.setattr(icnn.loss, "CHUNK_ELEMENTS", 2 * 4 * 36)
    blocks = value_and_gradient(icnn.filter_loss, x)
    assert abs(whole[0] - blocks[0]) <= 1e-15
    assert (whole[1] - blocks[1]).abs().max() <= 1e-15


@pytest.mark.parametrize("sharpness", [None, 2.0])
@pytest.mark.parametrize("images, n", [(1, 3), (16, 7), (64, 14), (8, 28)])
def test_float32_is_close_to_float64(images, n, sharpness) -> None:
    x = some_maps(images, 8, n)
    scale = None if sharpness is None else x.amax((2, 3)).mean(0)
    wide, wide_gradient = value_and_gradient(icnn.filter_loss, x, sharpness=sharpness, scale=scale)
    narrow, narrow_gradient = value_and_gradient(
        icnn.filter_loss, x.float(), sharpness=sharpness, scale=scale
    )
    assert narrow.dtype == torch.float32
    assert abs(narrow - wide) <= FLOOR + 1e-5 * abs(wide)
    biggest = wide_gradient.abs().max()
    assert (narrow_gradient - wide_gradient).abs().max() <= 1e-7 + 1e-3 * biggest


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_activations_stay_finite(dtype) -> None:
    x = (1e4 * some_maps(8, 2, 14)).to(dtype)
    for scale in (None, torch.ones(2)):
        options = {"sharpness": None if scale is None else 2.0, "scale": scale}
        value, gradient = value_and_gradient(icnn.filter_loss, x, **options)
        assert value.isfinite() and gradient.isfinite().all()
        assert -log(8) - 1e-5 <= value <= 1e-5


def test_autocast_keeps_the_statistics_in_float32() -> None:
    x, scale = some_maps(16, 4, 8).float(), torch.ones(4)
    wanted = icnn.filter_loss(x, sharpness=2.0, scale=scale)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = icnn.filter_loss(x, sharpness=2.0, scale=scale)
        half = x.bfloat16().requires_grad_()
        of_half = icnn.filter_loss(half, sharpness=2.0, scale=scale)
    of_half.backward()
    assert value.dtype == of_half.dtype == torch.float32
    assert value == wanted
    assert half.grad.dtype == torch.bfloat16
    assert of_half == icnn.filter_loss(half.detach().float(), sharpness=2.0, scale=scale)


def test_the_upstream_gradient_is_a_factor() -> None:
    x = some_maps(3, 2, 4)
    _, once = value_and_gradient(icnn.filter_loss, x)
    y = x.clone().requires_grad_()
    (5 * icnn.filter_loss(y)).backward()
    assert (y.grad - 5 * once).abs().max() <= 1e-15


def test_the_size_of_the_activations_cancels_when_they_are_scaled() -> None:
    x, scale = some_maps(5, 3, 6), torch.tensor([1.0, 2.0, 3.0]).double()
    small = icnn.filter_loss(x, sharpness=2.0, scale=scale)
    large = icnn.filter_loss(100 * x, sharpness=2.0, scale=100 * scale)
    assert abs(small - large) <= 1e-12


def test_paper_gradient_against_equation_4_by_hand() -> None:
    n, beta = 3, 2.0
    x, tau = 20 * some_maps(4, 2, n), 0.5 / n**2
    is_target = torch.tensor([[True, False], [False, True], [True, True], [False, False]])
    ours = icnn.paper_gradient(x, is_target, beta=beta)
    all_templates, prior = reference.templates(n, beta, tau), 1 / (n * n + 1)
    for f in range(2):
        p = reference.likelihoods(x[:, f], all_templates)
        for b in range(4):
            index = int(x[b, f].argmax()) if is_target[b, f] else n * n
            p_x = sum(prior * value for value in p[b])
            weight = prior * p[b][index] * log(p[b][index] / p_x)
            wanted = -weight * all_templates[index] / 2  # of the loss, the mean over two filters
            assert (ours[b, f] - wanted).abs().max() <= 1e-12


def test_category_loss_by_hand() -> None:
    n, kappa = 2, 1.5
    x = some_maps(3, 1, n) + 0.1
    is_target = torch.tensor([[True], [False], [False]])
    ours = icnn.category_loss(x, is_target, sharpness=kappa, scale=torch.ones(1))
    costs = {True: [], False: []}
    for b in range(3):
        scores = [float((t * x[b, 0]).sum()) for t in reference.templates(n, 4.0, kappa)]
        wanted = int(x[b, 0].argmax()) if is_target[b] else n * n
        cost = log(sum(exp(s) for s in scores)) - scores[wanted]
        costs[bool(is_target[b])].append(cost)
    mean = sum(sum(c) / len(c) for c in costs.values()) / 2
    assert float(ours) == pytest.approx(mean, abs=1e-12)


def test_category_loss_of_a_silent_negative_is_the_least_possible() -> None:
    nobody = torch.zeros(4, 2, dtype=torch.bool)
    options = {"sharpness": 2.0, "scale": torch.ones(2)}
    silent = icnn.category_loss(torch.zeros(4, 2, 3, 3), nobody, **options)
    assert float(silent) == pytest.approx(log(10) / 2, rel=1e-6)
    assert icnn.category_loss(some_maps(4, 2, 3).float(), nobody, **options) > silent


def test_category_gradcheck() -> None:
    x = some_maps(4, 2, 3).requires_grad_()
    is_target = torch.tensor([[True, False]] * 2 + [[False, True]] * 2)
    options = {"sharpness": 2.0, "scale": torch.ones(2)}
    assert torch.autograd.gradcheck(lambda x: icnn.category_loss(x, is_target, **options), x)
