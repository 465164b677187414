"""Templates, prior and mask against plain loops."""

from __future__ import annotations

import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

import icnn

SIZES = st.integers(1, 20)
BETAS = st.floats(0.1, 30)


@given(n=SIZES, beta=BETAS, tau=st.none() | st.floats(1e-4, 10))
def test_templates(n, beta, tau) -> None:
    ours = icnn.part_templates(n, beta=beta, tau=tau, dtype=torch.float64)
    wanted = reference.templates(n, beta, 0.5 / n**2 if tau is None else tau)
    assert ours.shape == (n * n + 1, n, n)
    assert (ours - wanted).abs().max() <= 1e-10


@given(n=SIZES, alpha=st.none() | st.floats(0.01, 0.99))
def test_prior(n, alpha) -> None:
    prior = icnn.template_prior(n, alpha=alpha, dtype=torch.float64)
    positive = n**2 / (1 + n**2) if alpha is None else alpha
    assert prior.shape == (n * n + 1,)
    assert (prior[:-1] - positive / n**2).abs().max() <= 1e-12
    assert float(prior[-1]) == pytest.approx(1 - positive, abs=1e-12)
    assert float(prior.sum()) == pytest.approx(1, abs=1e-12)


@given(n=SIZES, beta=BETAS, seed=st.integers(0, 2**31), coarse=st.booleans())
def test_mask(n, beta, seed, coarse) -> None:
    x = torch.rand(2, n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x = (3 * x).floor() if coarse else x  # coarse values have ties at the peak
    masks = icnn.part_mask(x, beta=beta)
    values = [reference.mask(one.tolist(), beta) for one in x]
    wanted = torch.tensor(values, dtype=torch.float64)
    assert (masks - wanted).abs().max() <= 1e-10
    assert masks.amax((1, 2)).tolist() == [1, 1]


def test_the_mask_takes_any_leading_dimensions_and_keeps_the_dtype() -> None:
    x = torch.rand(2, 3, 4, 5, 5)
    assert icnn.part_mask(x).shape == x.shape
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert icnn.part_mask(x.to(dtype)).dtype == dtype
        assert icnn.part_templates(3, dtype=dtype).dtype == dtype
        assert icnn.template_prior(3, dtype=dtype).dtype == dtype


def test_a_constant_map_has_its_peak_first() -> None:
    assert icnn.part_mask(torch.zeros(5, 5))[0, 0] == 1


def test_no_gradient_flows_through_the_mask() -> None:
    assert not icnn.part_mask(torch.rand(4, 4, requires_grad=True)).requires_grad


def test_the_default_dtype_is_torch_s() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert icnn.part_templates(2).dtype == icnn.template_prior(2).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
