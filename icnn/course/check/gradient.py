"""Exercises 3: the filter loss, its exact gradient, and equation 4."""

import torch
from torch import Tensor

import icnn
from icnn.course.check._runner import Given, Task, edited, gradient, random
from icnn.course.check.information import EXTREME, USUAL, fitnesses, ln_p_x
from icnn.course.check.templates import at_largest

# For slips.toml: the right value, and a gradient as if Z_T were constant (of p(x) it does no harm).
_frozen = edited(
    icnn.check.mutual_information.plain, ".log_softmax(0)", " - fitness.logsumexp(0).detach()"
)


def _filter_loss(x, *, sharpness=None, scale=None, beta=4.0):
    n = x.shape[-1]
    scores = icnn.fitness(x, icnn.part_templates(n, beta=beta, dtype=x.dtype))
    if sharpness is not None:
        tau = 0.5 / n**2
        gain = sharpness / scale / tau
        scores = scores * gain[:, None]
    information = icnn.mutual_information(scores, icnn.template_prior(n, dtype=x.dtype))
    return -information.mean()


TINY = torch.tensor([[[2.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]).double()[:, None]


def _scaled(sharpness: float, *scale: float, **options) -> dict:
    return {"sharpness": sharpness, "scale": torch.tensor(scale, dtype=torch.float64), **options}


filter_loss = Task(
    _filter_loss,
    outputs={"the loss": "()"},
    cases={
        Given(5 * random(3, 2, 3, 3, seed=1)): "the paper's constants and 3×3 maps",
        Given(random(3, 2, 3, 3, seed=2), **_scaled(3.0, 0.7, 1.3, beta=2.0)): "sharpness 3, two "
        "filters with scales 0.7 and 1.3, and β = 2",
        Given(random(2, 2, 1, 1, seed=3), **_scaled(2.0, 0.5, 2.0)): "two maps of one unit from "
        "two filters with scales 0.5 and 2",
        Given(TINY, **_scaled(2.0, 1.5, beta=1.0)): "`tiny` with sharpness 2, scale 1.5 and β = 1",
        Given(random(4, 3, 5, 5, seed=4), **_scaled(0.5, 0.4, 1.0, 1.7)): "four images, three "
        "filters and 5×5 maps",
        Given(TINY, beta=1.0): "`tiny` with the paper's constants and β = 1",
    },
    edges={
        Given(random(1, 2, 3, 3, seed=5)): "a batch of one image, which tells nothing",
        Given(
            random(4, 2, 4, 4, seed=6).float(), sharpness=2.0, scale=torch.tensor([0.5, 1.5])
        ): "maps in float32",
        Given(random(4, 2, 3, 3, seed=7), **_scaled(2.0, 0.7, 1.3), use=gradient): "the gradient, "
        "which should reach x exactly",
    },
    own=("_information",),
)


def _score_gradient(fitness, prior, chosen=None, frozen=False):
    log_p = fitness.log_softmax(0)
    p, surprise = log_p.exp(), log_p - ln_p_x(log_p, prior)
    kept = 1 if chosen is None else chosen[..., None] == torch.arange(len(prior))
    change = surprise - (not frozen) * (p * surprise).sum(0)
    return prior * p * change * kept


def _law_of_slope(got: Tensor, want: Tensor, args: tuple) -> tuple:
    words = "the gradients of one template should sum to 0 over the images: if one gains, others "
    broken = (len(args) == 2) & (got.sum(0).abs() > 1e-4)  # with nothing simplified
    return broken, words + "lose; yours sum to {}", got.sum(0)


CHOSEN = torch.tensor([[1, 4], [0, 0], [1, 0]])

score_gradient = Task(
    _score_gradient,
    outputs={"the gradient": "(N, C, T)"},
    cases={
        **USUAL,
        Given(*fitnesses(3, 2, 5, seed=26), None, True): "frozen, with all templates",
        Given(*fitnesses(3, 2, 5, seed=28), CHOSEN): "not frozen, with one template for each map",
        Given(*fitnesses(3, 2, 5, seed=30), CHOSEN, True): "frozen, with one template for each map",
    },
    edges={
        Given(*fitnesses(1, 2, 5, seed=25)): "a batch of one image, where nothing can be gained",
        **EXTREME,
    },
    shared=("wrong_z", "wrong_p_x"),
    own=("filter_loss", "_information"),
    by_hand=True,
    law=_law_of_slope,
)


def _paper_gradient(x, is_target, *, beta=4.0):
    n = x.shape[-1]
    templates = icnn.part_templates(n, beta=beta, dtype=x.dtype)
    prior = icnn.template_prior(n, dtype=x.dtype)
    scores = icnn.fitness(x, templates)
    chosen = torch.where(is_target, at_largest(x), n * n)
    log_p = scores.log_softmax(0)
    log_x = ln_p_x(log_p, prior)[..., 0]
    log_own = log_p.gather(-1, chosen[..., None])[..., 0]
    weight = prior[chosen] * log_own.exp() * (log_own - log_x)
    slope = weight[..., None, None] * templates[chosen]
    return -slope / x.shape[1]


MIXED = torch.tensor([[True, False, True], [False, False, True], [True, True, False]])

paper_gradient = Task(
    _paper_gradient,
    outputs={"the gradient": "(N, C, n, n)"},
    cases={
        Given(4 * random(3, 2, 3, 3, seed=31), MIXED[:, :2], beta=2.0): "three images, two "
        "filters, 3×3 maps and β = 2",
        Given(TINY, torch.tensor([[True], [False]]), beta=1.0): "`tiny` and β = 1",
        Given(4 * random(3, 3, 4, 4, seed=32), MIXED, beta=1.5): "three images, three filters and "
        "4×4 maps",
        Given(4 * random(3, 3, 5, 5, seed=33), ~MIXED): "5×5 maps and the usual β",
    },
    edges={
        Given(4 * random(4, 2, 3, 3, seed=34), torch.zeros(4, 2, dtype=torch.bool)): "a batch "
        "without any image of the category",
        Given(random(1, 2, 3, 3, seed=35), torch.tensor([[True, False]])): "a batch of one image, "
        "where p(x|T) and p(x) are both 1",
        Given(20 * random(4, 2, 2, 2, seed=36).float(), MIXED[[0, 1, 2, 2], :2]): "maps in float32",
    },
    shared=("wrong_z",),
    others={
        lambda x, *_, beta=4.0: gradient(
            icnn.filter_loss, x.clone(), beta=beta
        ): "that is the exact gradient, of all templates and nothing frozen; equation 4 "
        "keeps one template for each map",
    },
    same_dtype=True,
)
