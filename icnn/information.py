"""The mutual information between a filter's maps and the templates, written to be read.

The readable reference for equations 1, 2 and 5 of the paper; `icnn.loss` is the fast version of the
same numbers. Taught in lesson 2.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from icnn._check_args import Array, check_finite, checked


def _is_distribution(prior: Tensor, name: str) -> None:
    check_finite(prior, name)
    rounding = max(1e-3, 2 * torch.finfo(prior.dtype).eps)
    if not (prior > 0).all() or abs(float(prior.detach().double().sum()) - 1) > rounding:
        raise ValueError(f"{name} must be positive and sum to 1, got {prior.tolist()[:5]}…")


SCORES = Array("N C n²+1")
PRIOR = Array("n²+1", values=_is_distribution, like="fitness")


class EntropyTerms(NamedTuple):
    """Equation 5 in three parts, each (C,) in nats: MI = prior − category − spatial."""

    prior: Tensor
    category: Tensor
    spatial: Tensor


@checked(x=Array("N C n n"), templates=Array("n²+1 n n", like="x"))
def fitness(x: Tensor, templates: Tensor) -> Tensor:
    """How well each map fits each template: tr(x·T) = Σ_ij x_ij t_ij, as (N, C, n²+1); no unit.

    Of feature maps x (N, C, n, n), floating, and templates (n²+1, n, n) of the same dtype, as
    `part_templates` returns them. Paper, section 3.1 (below eq. 2). Taught in lesson 1.
    """
    return torch.einsum("bcij,tij->bct", x, templates)


def log_likelihood(fitness: Tensor) -> Tensor:
    """log p(x|T) = tr(x·T) − log Z_T, where Z_T sums over the images (dim 0), not the templates.

    Paper, eq. 2. Taught in lesson 2.
    """
    return fitness - fitness.logsumexp(0)


def log_marginal(fitness: Tensor, prior: Tensor) -> Tensor:
    """log p(x) = log Σ_T p(T) p(x|T), as (N, C). Paper, below eq. 2. Taught in lesson 2."""
    return (prior.log() + log_likelihood(fitness)).logsumexp(-1)


@checked(fitness=SCORES, prior=PRIOR)
def mutual_information(fitness: Tensor, prior: Tensor) -> Tensor:
    """MI(X; T) = Σ_T p(T) Σ_x p(x|T) log[p(x|T)/p(x)], for each filter: (C,) in nats.

    Equation 1 without its minus sign. It is 0 for one image or for identical images, and at most
    log N and H(T). Taught in lesson 2.

    Args:
        fitness: (N, C, n²+1), images first, as `icnn.fitness` returns it.
        prior: (n²+1,), positive, sums to 1, of the same dtype.
    """
    log_p = log_likelihood(fitness)
    ratio = log_p - log_marginal(fitness, prior)[..., None]
    return (prior * log_p.exp() * ratio).sum((0, 2))


@checked(fitness=SCORES, prior=PRIOR)
def entropy_terms(fitness: Tensor, prior: Tensor) -> EntropyTerms:
    """The three entropies of equation 5: `MI = H(T) − H(T′|X) − Σ_x p(T⁺,x) H(T⁺|X=x)`.

    `.prior` is H(T), a constant. `.category` is `H(T′|X)`, T′ = {T⁻, T⁺}: how unsure one is,
    seeing a map, whether the part is there at all. `.spatial` is the last sum: how unsure one is
    where, given that it is there. Paper, eqs. 5 to 7 (the paper prints eq. 7 without its minus
    sign). Taught in lesson 2.

    Args:
        fitness, prior: as for `mutual_information`; the negative template last.
    """
    log_joint = prior.log() + log_likelihood(fitness)  # log p(T, x)
    log_positive = log_joint[..., :-1].logsumexp(-1, keepdim=True)  # log p(T⁺, x)
    log_x = log_joint.logsumexp(-1, keepdim=True)

    log_pair = torch.cat([log_positive, log_joint[..., -1:]], -1)  # over T′
    category = -(log_pair.exp() * (log_pair - log_x)).sum((0, 2))
    where = log_joint[..., :-1]
    spatial = -(where.exp() * (where - log_positive)).sum((0, 2))
    prior_entropy = -(prior * prior.log()).sum()
    return EntropyTerms(prior_entropy.expand_as(category), category, spatial)
