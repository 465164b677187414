"""Exercises 3: the filter loss, its exact gradient, and equation 4."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

import icnn
from icnn.course.check._runner import Task, given, gradient, random, wrong
from icnn.course.check.information import (
    LARGE,
    OVERFLOW,
    THIRDS,
    WORKED_SCORES,
    WRONG_P_X,
    WRONG_Z,
    fitnesses,
    ln_p_x,
    mutual,
)
from icnn.course.check.templates import at_largest, at_largest_transposed

# --- the filter loss -----------------------------------------------------------------------------


def _loss(
    x,
    *,
    sharpness=None,
    scale=None,
    beta=4.0,
    gain=lambda sharpness, scale, tau: (sharpness / scale / tau)[:, None],
    tau=lambda n: 0.5 / n**2,
    information=icnn.mutual_information,
    finish=lambda information: -information.mean(),
):
    n = x.shape[-1]
    scores = icnn.fitness(x, icnn.part_templates(n, beta=beta, dtype=x.dtype))
    if sharpness is not None:
        scores = scores * gain(sharpness, scale, tau(n))
    return finish(information(scores, icnn.template_prior(n, dtype=x.dtype)))


TINY = torch.tensor([[[2.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]).double()[:, None]


def _scaled(sharpness: float, *scale: float, **options) -> dict:
    return {"sharpness": sharpness, "scale": torch.tensor(scale, dtype=torch.float64), **options}


filter_loss = Task(
    signature="filter_loss(x, *, sharpness=None, scale=None, beta=4.0)",
    outputs={"the loss": "()"},
    reference=icnn.filter_loss,
    cases={
        "the paper's constants and 3×3 maps": given(5 * random(3, 2, 3, 3, seed=1)),
        "sharpness 3, two filters with scales 0.7 and 1.3, and β = 2": given(
            random(3, 2, 3, 3, seed=2), **_scaled(3.0, 0.7, 1.3, beta=2.0)
        ),
        "two maps of one unit from two filters with scales 0.5 and 2": given(
            random(2, 2, 1, 1, seed=3), **_scaled(2.0, 0.5, 2.0)
        ),
        "`tiny` with sharpness 2, scale 1.5 and β = 1": given(TINY, **_scaled(2.0, 1.5, beta=1.0)),
        "four images, three filters and 5×5 maps": given(
            random(4, 3, 5, 5, seed=4), **_scaled(0.5, 0.4, 1.0, 1.7)
        ),
        "`tiny` with the paper's constants and β = 1": given(TINY, beta=1.0),
    },
    edges={
        "a batch of one image, which tells nothing": given(random(1, 2, 3, 3, seed=5)),
        "maps in float32": given(
            random(4, 2, 4, 4, seed=6).float(), sharpness=2.0, scale=torch.tensor([0.5, 1.5])
        ),
        "the gradient, which should reach x exactly": given(
            random(4, 2, 3, 3, seed=7), **_scaled(2.0, 0.7, 1.3), use=gradient
        ),
    },
    mistakes=wrong(
        _loss,
        lambda x, sharpness=None, scale=None, beta=4.0: _loss(x, sharpness=sharpness, scale=scale),
        "β should go to the templates; yours are the same for every β",
        lambda x, beta=4.0, **options: _loss(
            x * icnn.part_mask(x, beta=beta), beta=beta, **options
        ),
        "the loss looks at the maps before the mask; yours masks them first",
        finish=(
            lambda information: information.mean(),
            "a loss goes down when the information goes up; yours has the sign of the information",
            lambda information: -information.sum(),
            "the loss should be the mean over the filters; yours is the sum",
            lambda information: -information,
            "the loss should be one number, the mean over the filters; yours is one number each",
            lambda information: -information.mean().detach(),
            "the value is right, but no gradient reaches x, so nothing could be learned: no "
            "detach, item, NumPy or float on the way",
        ),
        gain=(
            lambda sharpness, scale, tau: 1,
            "with sharpness and scale the fitness should change; yours is always the one with the "
            "paper's constants",
            lambda sharpness, scale, tau: (sharpness / scale)[:, None],
            "the scaled fitness takes T/τ, templates with a peak of 1; in yours the division by τ "
            "is missing",
            lambda sharpness, scale, tau: (sharpness / scale * tau)[:, None],
            "the scaled fitness takes T/τ; yours multiplies by τ instead of dividing",
            lambda sharpness, scale, tau: (sharpness * scale / tau)[:, None],
            "the scaled fitness takes x/scale; yours multiplies by the scale instead of dividing",
            lambda sharpness, scale, tau: (1 / scale / tau)[:, None],
            "the scaled fitness should be multiplied by the sharpness; yours does not use it",
            lambda sharpness, scale, tau: (1 / sharpness / scale / tau)[:, None],
            "the fitness should be multiplied by the sharpness; yours is divided by it",
            lambda sharpness, scale, tau: sharpness / tau,
            "the scaled fitness takes x/scale; yours does not use the scale",
            lambda sharpness, scale, tau: sharpness / scale.mean() / tau,
            "each filter should be divided by its own scale; yours uses the mean of all scales",
            lambda sharpness, scale, tau: sharpness / scale / tau,
            "the scale belongs to the filters, axis 1 of (N, C, T); yours meets the axis of the "
            "templates: give it one more axis, behind",
            lambda sharpness, scale, tau: (sharpness / scale / tau)[:, None, None],
            "the scale belongs to the filters, axis 1 of (N, C, T); yours meets the axis of the "
            "images: give it one more axis behind, not two",
        ),
        tau=(
            lambda n: 0.5 / n,
            "τ should be 0.5/n², with n the side of the map; yours is 0.5/n",
        ),
        information=(
            # (A constant p(x) would do no harm.)
            partial(mutual, normalise=lambda s: s - s.logsumexp(0).detach()),
            "the value is right, but not its gradient: in yours Z_T is a constant, as in the "
            "paper's equation 4",
        ),
    ),
    hints=(
        "The fitnesses with the paper's τ are there already, and a fitness is linear in x and T.",
        "Dividing x by the scale and T by τ is dividing the fitness by both. The fitness has the "
        "axes (N, C, T), and the scale has only C.",
        "scores = sharpness * scores / (scale[..., None] * tau), with tau from the side of a map.",
    ),
    own=("filter_loss", "_information"),
)


# --- its exact gradient --------------------------------------------------------------------------


def _slope(
    fitness,
    prior,
    *,
    normalise=lambda s: s.log_softmax(0),
    marginal=ln_p_x,
    typical=lambda p, surprise, prior: (p * surprise).sum(0),
    finish=lambda prior, p, change: prior * p * change,
):
    log_p = normalise(fitness)
    p, surprise = log_p.exp(), log_p - marginal(log_p, prior)
    return finish(prior, p, surprise - typical(p, surprise, prior))


def _law_of_slope(got: Tensor, want: Tensor, args: tuple) -> tuple:
    words = "the gradients of one template should sum to 0 over the images: if one gains, others "
    return got.sum(0).abs() > 1e-4, words + "lose; yours sum to {}", got.sum(0)


score_gradient = Task(
    signature="score_gradient(fitness, prior)",
    outputs={"the gradient": "(N, C, T)"},
    reference=_slope,
    cases={
        "four images, two filters and five templates": given(*fitnesses(4, 2, 5, seed=21)),
        "the worked example": given(WORKED_SCORES, THIRDS),
        "three images, four filters and ten templates": given(*fitnesses(3, 4, 10, seed=23)),
    },
    edges={
        "a batch of one image, where nothing can be gained": given(*fitnesses(1, 2, 5, seed=25)),
        OVERFLOW: LARGE,
        "fitnesses in float32": given(*fitnesses(4, 3, 5, seed=21, dtype=torch.float32)),
    },
    mistakes=wrong(
        _slope,
        typical=(
            lambda p, surprise, prior: 0,
            "the mean Σ p(x|T) ℓ should be taken off ℓ; without it, as in yours, Z_T is frozen: no "
            "image loses what another one gains",
            lambda p, surprise, prior: surprise.mean(0),
            "the mean of ℓ that is taken off should be weighted by p(x|T); yours counts all images "
            "alike",
            lambda p, surprise, prior: (prior * p * surprise).sum((0, 2), keepdim=True),
            "what is taken off ℓ should be a mean for each template; yours is the mutual "
            "information, over all templates",
            lambda p, surprise, prior: (prior * surprise).sum(2, keepdim=True),
            "the mean of ℓ should go over the images; yours goes over the templates",
        ),
        finish=(
            lambda prior, p, change: p * change,
            "the factor p(T) is missing in front of yours",
            lambda prior, p, change: prior * change,
            "the factor p(x|T) is missing in front of yours",
            lambda prior, p, change: -prior * p * change,
            "the gradient should be that of the information; yours has the opposite sign, that of "
            "the loss",
            lambda prior, p, change: prior * p * change / p.shape[1],
            "the filters are added up, not averaged; yours is divided by C",
            lambda prior, p, change: prior * p * change / math.log(2),
            "the logarithm should be the natural one; yours is log₂",
            lambda prior, p, change: (prior * p * change).sum(1),
            "each filter should keep a gradient of its own, (N, C, T); yours adds them up",
        ),
        normalise=WRONG_Z,
        marginal=(
            lambda log_p, prior: 0,
            "ℓ should be ln p(x|T)/p(x); in yours p(x) is missing",
            *WRONG_P_X,
        ),
    ),
    hints=(
        "Write down ℓ first; you have computed both of its halves in exercises 2.",
        "The mean that is taken off is one number for each template and filter: a sum over the "
        "images of p(x|T)·ℓ, with keepdim=True.",
        "p = fitness.softmax(...); ell = p.log() - (prior * p).sum(..., keepdim=True).log(); "
        "return prior * p * (ell - (...).sum(0, keepdim=True)).",
    ),
    own=("_information", "filter_loss"),
    by_hand=True,
    law=_law_of_slope,
)


# --- equation 4 ----------------------------------------------------------------------------------


def _paper(
    x,
    is_target,
    *,
    beta=4.0,
    tau=None,
    peak=lambda x, scores: at_largest(x),
    choose=lambda is_target, peak, last: torch.where(is_target, peak, last),
    normalise=lambda s: s.log_softmax(0),
    weight=lambda prior, log_p, log_x: prior * log_p.exp() * (log_p - log_x),
    finish=lambda gradient: -gradient / gradient.shape[1],
):
    n = x.shape[-1]
    templates = icnn.part_templates(n, beta=beta, dtype=x.dtype)
    prior = icnn.template_prior(n, dtype=x.dtype)
    scores = icnn.fitness(x, templates)
    wanted = choose(is_target, peak(x, scores), n * n)
    log_p = normalise(scores)
    log_x = ln_p_x(log_p, prior)[..., 0]
    own = log_p.gather(-1, wanted[..., None])[..., 0]
    shapes = icnn.part_templates(n, beta=beta, tau=tau, dtype=x.dtype)
    return finish(weight(prior[wanted], own, log_x)[..., None, None] * shapes[wanted])


def _exact(x, is_target, *, beta=4.0):
    return gradient(icnn.filter_loss, x.detach().clone(), beta=beta)


def _all_frozen(x, is_target, *, beta=4.0):
    templates = icnn.part_templates(x.shape[-1], beta=beta, dtype=x.dtype)
    prior = icnn.template_prior(x.shape[-1], dtype=x.dtype)
    scores = icnn.fitness(x, templates)
    slope = _slope(scores, prior, typical=lambda p, surprise, prior: 0)
    return -torch.einsum("bct,tij->bcij", slope, templates) / x.shape[1]


MIXED = torch.tensor([[True, False, True], [False, False, True], [True, True, False]])

paper_gradient = Task(
    signature="paper_gradient(x, is_target, *, beta=4.0)",
    outputs={"the gradient": "(N, C, n, n)"},
    reference=icnn.paper_gradient,
    cases={
        "three images, two filters, 3×3 maps and β = 2": given(
            4 * random(3, 2, 3, 3, seed=31), MIXED[:, :2], beta=2.0
        ),
        "`tiny` and β = 1": given(TINY, torch.tensor([[True], [False]]), beta=1.0),
        "three images, three filters and 4×4 maps": given(
            4 * random(3, 3, 4, 4, seed=32), MIXED, beta=1.5
        ),
        "5×5 maps and the usual β": given(4 * random(3, 3, 5, 5, seed=33), ~MIXED),
    },
    edges={
        "a batch without any image of the category": given(
            4 * random(4, 2, 3, 3, seed=34), torch.zeros(4, 2, dtype=torch.bool)
        ),
        "a batch of one image, where p(x|T) and p(x) are both 1": given(
            random(1, 2, 3, 3, seed=35), torch.tensor([[True, False]])
        ),
        "maps in float32": given(20 * random(4, 2, 2, 2, seed=36).float(), MIXED[[0, 1, 2, 2], :2]),
    },
    mistakes=wrong(
        _paper,
        lambda x, is_target, beta=4.0: _paper(x, is_target),
        "β should go to the templates; yours are the same for every β",
        _exact,
        "that is the exact gradient, of all templates and nothing frozen; equation 4 keeps one "
        "template for each map",
        _all_frozen,
        "equation 4 keeps one template for each map; yours freezes Z_T as well, but adds up "
        "all templates",
        finish=(
            lambda gradient: gradient / gradient.shape[1],
            "the result should have the sign of the loss, to descend; yours has the sign of the "
            "information, as equation 4 is printed",
            lambda gradient: -gradient,
            "filter_loss is a mean over the filters, so its gradient is divided by C; yours is not",
            lambda gradient: -gradient / gradient.shape[0],
            "the result should be divided by the number of filters C; yours is divided by the "
            "number of images N",
        ),
        choose=(
            lambda is_target, peak, last: torch.where(is_target, last, peak),
            "images of the category take the template at their peak, all others T⁻; yours are the "
            "other way round",
            lambda is_target, peak, last: peak,
            "images of another category should take T⁻; in yours all images take the template at "
            "their peak",
            lambda is_target, peak, last: torch.full_like(peak, last),
            "images of the category should take the template at their peak; in yours all take T⁻",
        ),
        peak=(
            lambda x, scores: scores[..., :-1].argmax(-1),
            "the template should be the one at the map's peak, argmax x; yours is the best-fitting "
            "one",
            lambda x, scores: at_largest_transposed(x),
            "template r·n + c has its peak at row r and column c; in yours rows and columns are "
            "swapped",
        ),
        normalise=WRONG_Z,
        weight=(
            lambda prior, log_p, log_x: log_p.exp() * (log_p - log_x),
            "the factor p(T) of the chosen template is missing in yours",
            lambda prior, log_p, log_x: prior * (log_p - log_x),
            "the factor p(x|T) of the chosen template is missing in yours",
            lambda prior, log_p, log_x: prior * log_p.exp(),
            "the factor ln p(x|T)/p(x) is missing in yours",
            lambda prior, log_p, log_x: prior * log_p.exp() * log_p,
            "the logarithm should be of p(x|T)/p(x); in yours p(x) is missing",
        ),
        tau=(
            1.0,
            "the template at the end should have the paper's τ as well; yours has a peak of 1",
        ),
    ),
    hints=(
        "For every map you need the index of one template; n·n is the last one, T⁻.",
        "torch.where(is_target, peak, n·n) chooses. Then gather picks ln p(x|T) of that template, "
        "and templates[chosen] gives its shape for every map.",
        "w = prior[chosen] * log_own.exp() * (log_own - log_x), and the result is "
        "-w[..., None, None] * templates[...] / C.",
    ),
    own=("paper_gradient",),
    same_dtype=True,
)
