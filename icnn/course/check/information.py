"""Exercises 2: fitness, and what is told, by each map and about each of the two questions."""

import math

import torch
from torch import Tensor

import icnn
from icnn.course.check._runner import Given, Task, random


def _prior(size: int, *, seed: int) -> Tensor:
    prior = 0.2 + random(size, seed=seed)
    return prior / prior.sum()


def fitnesses(*shape: int, seed: int, least=-3.0, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    """Fitnesses in a range of 6, (N, C, T), and a prior that is not uniform, (T,)."""
    prior = _prior(shape[-1], seed=seed + 1)
    return (6 * random(*shape, seed=seed) + least).to(dtype), prior.to(dtype)


def _signed(*shape: int, seed: int) -> Tensor:
    return 2 * random(*shape, seed=seed) - 1


def _fitness(x, templates):
    fitness = torch.einsum("bcij,tij->bct", x, templates)
    return fitness


fitness = Task(
    _fitness,
    outputs={"the fitness": "(N, C, n²+1)"},
    cases={
        Given(random(3, 2, 4, 4), _signed(17, 4, 4, seed=1)): "three images, two filters and 4×4 "
        "maps",
        Given(random(2, 4, 3, 3, seed=2), icnn.part_templates(3, dtype=torch.float64)): "maps of "
        "3×3 units and real templates",
        Given(_signed(4, 3, 2, 2, seed=3), _signed(5, 2, 2, seed=4)): "maps with negative values",
    },
    edges={
        Given(random(1, 1, 5, 5, seed=5), _signed(26, 5, 5, seed=6)): "a batch of one image with "
        "one filter",
        Given(random(3, 2, 1, 1, seed=7), _signed(2, 1, 1, seed=8)): "maps of one unit",
        Given(random(3, 2, 4, 4).float(), _signed(17, 4, 4, seed=1).float()): "maps in float32",
    },
    same_dtype=True,
)


def ln_p_x(log_p: Tensor, prior: Tensor) -> Tensor:
    """Of ln p(x|T), (N, C, T): one for each map, (N, C, 1)."""
    return (prior.log() + log_p).logsumexp(-1, keepdim=True)


def _mutual_information(fitness, prior):
    """The mutual information, plainly written."""
    log_p = fitness.log_softmax(0)
    p, ratio = log_p.exp(), log_p - ln_p_x(log_p, prior)
    return (prior * p * ratio).sum((0, 2))


def _law_of_information(got: Tensor, want: Tensor, args: tuple) -> tuple:
    most = math.log(len(args[0]))
    words = f"the mutual information should lie between 0 and ln N = {most:.3g}, and be {{}}"
    return (got < -1e-4) | (got > most + 1e-4), words + "; yours is {}", want, got


WORKED_SCORES = torch.tensor([[2.0, 0.0, 1.0], [0.0, 2.0, 1.0]], dtype=torch.float64)[:, None]
THIRDS = torch.full((3,), 1 / 3, dtype=torch.float64)
# For every function that is handed fitnesses: usual ones, and those that it must bear.
USUAL = {
    Given(*fitnesses(4, 2, 5, seed=1)): "four images, two filters and five templates",
    Given(WORKED_SCORES, THIRDS): "the worked example",
    Given(*fitnesses(3, 4, 10, seed=3)): "three images, four filters and ten templates",
}
EXTREME = {
    Given(*fitnesses(4, 2, 5, seed=19, least=997.0)): "fitnesses of 1000, where exp overflows "
    "(softmax, log_softmax and logsumexp do not)",
    Given(*fitnesses(4, 3, 5, seed=1, dtype=torch.float32)): "fitnesses in float32",
}
NOTHING_TOLD = {
    Given(*fitnesses(1, 2, 5, seed=5)): "a batch of one image, which can tell nothing",
    Given(fitnesses(1, 2, 5, seed=8)[0].repeat(3, 1, 1), _prior(5, seed=9)): "identical maps, "
    "which tell nothing",
}
TOO_SMALL = {
    Given(1000 * torch.eye(4, dtype=torch.float64)[:, None], _prior(4, seed=21)): "fitnesses so "
    "far apart that some p(x|T) are 0 in the computer, where 0·ln 0 is NaN (stay with logarithms)",
}

mutual_information = Task(
    _mutual_information,
    outputs={"the mutual information": "(C,)"},
    cases=USUAL,
    edges=NOTHING_TOLD | EXTREME | TOO_SMALL,
    shared=("wrong_z", "wrong_p_x"),
    own=("entropy_terms",),
    law=_law_of_information,
)


def _told_by_each(fitness, prior):
    log_p = fitness.log_softmax(0)
    log_x = ln_p_x(log_p, prior)
    ratio = log_p - log_x
    believed = (prior.log() + ratio).exp()
    told = (believed * ratio).sum(2)
    often = log_x.exp().squeeze(2)
    return often, told


told_by_each = Task(
    _told_by_each,
    outputs={"p(x)": "(N, C)", "what each map tells": "(N, C)"},
    cases=USUAL,
    edges=NOTHING_TOLD | EXTREME | TOO_SMALL,
    shared=("wrong_z", "wrong_p_x"),
    own=("mutual_information", "entropy_terms"),
)


def _told_whether_where(fitness, prior):
    table, logs = prior.log() + fitness.log_softmax(0), prior.log()
    spots, none, places, nowhere = table[..., :-1], table[..., -1], logs[:-1], logs[-1]
    some, x, there = spots.logsumexp(-1), table.logsumexp(-1), places.logsumexp(-1)
    # ln p(T_μ|x, T⁺), of which the places alone are asked
    place = spots - some[..., None]
    doubt = some.exp() * (some - there - x) + none.exp() * (none - nowhere - x)
    where = (spots.exp() * (place - (places - there))).sum((0, 2))
    whether = doubt.sum(0)
    return whether, where


told_whether_where = Task(
    _told_whether_where,
    outputs={"what is told about whether": "(C,)", "what is told about where": "(C,)"},
    cases=USUAL,
    edges={
        **NOTHING_TOLD,
        Given(*fitnesses(4, 2, 2, seed=17)): "maps of one unit, where the place is known before",
        **EXTREME,
        **TOO_SMALL,
    },
    own=("mutual_information", "entropy_terms"),
)
