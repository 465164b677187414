"""Equations 1, 2 and 5 against plain loops, and what mutual information must obey."""

from __future__ import annotations

from math import log

import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

import icnn

CASES = given(
    n=st.integers(1, 6),
    images=st.integers(1, 5),
    beta=st.floats(0.5, 10),
    tau=st.floats(1e-3, 5),
    alpha=st.none() | st.floats(0.05, 0.95),
    seed=st.integers(0, 2**31),
)


def some_maps(images: int, filters: int, n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, filters, n, n, dtype=torch.float64, generator=generator).relu()


def scores_of(x, *, beta=4.0, tau=None) -> torch.Tensor:
    return icnn.fitness(x, icnn.part_templates(x.shape[-1], beta=beta, tau=tau, dtype=x.dtype))


@CASES
def test_against_plain_loops(n, images, beta, tau, alpha, seed) -> None:
    x = some_maps(images, 2, n, seed)
    scores = scores_of(x, beta=beta, tau=tau)
    prior = icnn.template_prior(n, alpha=alpha, dtype=x.dtype)
    information = icnn.mutual_information(scores, prior)
    terms = icnn.entropy_terms(scores, prior)
    for f in range(2):
        p = reference.likelihoods(x[:, f], reference.templates(n, beta, tau))
        assert float(information[f]) == pytest.approx(
            reference.mutual_information(p, prior.tolist()), abs=1e-10
        )
        wanted = reference.entropy_terms(p, prior.tolist())
        for ours, theirs in zip(terms, wanted, strict=True):
            assert float(ours[f]) == pytest.approx(theirs, abs=1e-10)


@given(
    n=st.integers(1, 20),
    images=st.integers(1, 8),
    beta=st.floats(0.1, 30),
    tau=st.floats(1e-4, 20),
    alpha=st.none() | st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31),
)
def test_equation_5_is_an_identity(n, images, beta, tau, alpha, seed) -> None:
    scores = scores_of(some_maps(images, 3, n, seed), beta=beta, tau=tau)
    prior = icnn.template_prior(n, alpha=alpha, dtype=scores.dtype)
    terms = icnn.entropy_terms(scores, prior)
    difference = icnn.mutual_information(scores, prior) - (
        terms.prior - terms.category - terms.spatial
    )
    assert difference.abs().max() <= 1e-10


def test_fitness_is_the_sum_of_products() -> None:
    x, templates = some_maps(2, 3, 4), icnn.part_templates(4, dtype=torch.float64)
    scores = icnn.fitness(x, templates)
    assert scores.shape == (2, 3, 17)
    for b, c, t in ((0, 0, 0), (1, 2, 16), (1, 0, 7)):
        assert float(scores[b, c, t]) == pytest.approx(float((x[b, c] * templates[t]).sum()))


def test_it_is_zero_for_one_image_and_for_identical_images() -> None:
    prior = icnn.template_prior(5, dtype=torch.float64)
    one = some_maps(1, 4, 5)
    for x in (one, one.expand(6, -1, -1, -1)):
        assert icnn.mutual_information(scores_of(x, tau=3.0), prior).abs().max() <= 1e-12


def test_it_is_bounded_by_the_number_of_images_and_by_the_entropy_of_the_prior() -> None:
    x = torch.zeros(60, 1, 3, 3, dtype=torch.float64)
    for b in range(60):
        x[b, 0, b % 3, b // 3 % 3] = 50.0
    for count in (2, 5, 60):
        scores = scores_of(x[:count], tau=10.0)
        prior = icnn.template_prior(3, dtype=torch.float64)
        bound = min(log(count), float(icnn.entropy_terms(scores, prior).prior[0]))
        information = float(icnn.mutual_information(scores, prior)[0])
        assert 0.3 * bound < information <= bound + 1e-12


def test_it_does_not_see_which_image_a_map_belongs_to() -> None:
    scores = scores_of(some_maps(7, 3, 4), tau=1.0)
    prior = icnn.template_prior(4, dtype=torch.float64)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    difference = icnn.mutual_information(scores, prior) - icnn.mutual_information(
        scores[order], prior
    )
    assert difference.abs().max() <= 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_activations_stay_finite(dtype) -> None:
    x = (1e4 * some_maps(8, 2, 14)).to(dtype)
    prior = icnn.template_prior(14, dtype=dtype)
    assert icnn.mutual_information(scores_of(x, tau=1.0), prior).isfinite().all()
    assert all(term.isfinite().all() for term in icnn.entropy_terms(scores_of(x, tau=1.0), prior))
