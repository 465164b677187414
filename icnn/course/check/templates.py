"""Exercises 1: templates, their prior, and the mask."""

import torch
from torch import Tensor

from icnn.course.check._runner import Given, Task, random


def _part_templates(n, *, beta=4.0, tau=None):
    tau = 0.5 / n**2 if tau is None else tau
    unit = torch.arange(float(n))
    r, c, i, j = torch.meshgrid(unit, unit, unit, unit, indexing="ij")
    rows, columns = (i - r).abs(), (j - c).abs()
    d = rows + columns
    positive = (tau * (1 - beta * d / n).clamp(min=-1)).reshape(n * n, n, n)
    negative = torch.full((1, n, n), -float(tau))
    return torch.cat([positive, negative])


def _law_of_templates(got: Tensor, want: Tensor, args: tuple) -> tuple:
    negative, wanted = got[-1], want[-1]
    broken = (negative - wanted).abs() > 1e-4 * wanted.abs()
    middle = (len(broken) // 2,) * 2
    place = middle if broken[middle] else divmod(int(broken.int().argmax()), len(broken))
    where = "the centre" if place == middle else place
    words = f"the negative template should be −τ everywhere, here {{}}: yours is {{}} at {where}"
    return broken.any(), words, wanted[place], negative[place]


part_templates = Task(
    _part_templates,
    outputs={"the templates": "(n²+1, n, n)"},
    cases={
        Given(3, beta=1.0, tau=1.0): "n = 3, β = 1 and τ = 1",
        Given(5): "n = 5 and the usual β and τ",
        Given(4, beta=2.5, tau=2.0): "n = 4, β = 2.5 and τ = 2",
        Given(3): "n = 3 and the usual β and τ",
        Given(7, beta=1.5): "n = 7, β = 1.5 and the usual τ",
    },
    edges={
        Given(2, beta=1.0): "maps of 2×2 units",
        Given(1): "a map of one unit, which has one place and two templates",
    },
    others={
        lambda n, **options: _part_templates(3, **options): "there should be n²+1 templates of "
        "n×n units; yours are those of n = 3 for every n",
    },
    same_dtype=True,
    law=_law_of_templates,
)


def _template_prior(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    prior = torch.tensor([alpha / n**2] * (n * n) + [1 - alpha])
    return prior


def _law_of_prior(got: Tensor, want: Tensor, args: tuple) -> tuple:
    total = got.double().sum()
    return (total - 1).abs() > 1e-4, "the probabilities should sum to 1; yours sum to {}", total


template_prior = Task(
    _template_prior,
    outputs={"the prior": "(n²+1,)"},
    cases={
        Given(2, alpha=0.6): "n = 2 and α = 0.6",
        Given(3): "n = 3 and the usual α",
        Given(5, alpha=0.25): "n = 5 and α = 0.25",
    },
    edges={
        Given(1, alpha=0.3): "a map of one unit, n = 1 and α = 0.3",
        Given(7): "n = 7 and the usual α",
    },
    same_dtype=True,
    law=_law_of_prior,
)


def at_largest(x: Tensor) -> Tensor:
    """Where a map has its peak, as a flat index."""
    return x.flatten(-2).argmax(-1)


def _part_mask(x, *, beta=4.0):
    n = x.shape[-1]
    axis, peak = torch.arange(n), at_largest(x)[..., None, None]
    rows = (axis[:, None] - peak // n).abs().to(x.dtype)
    columns = (axis - peak % n).abs().to(x.dtype)
    d = rows + columns
    mask = (1 - beta * d / n).clamp(min=0)
    return mask


def _law_of_mask(got: Tensor, want: Tensor, args: tuple) -> tuple:
    peaks = got.double().amax((-2, -1))
    return (peaks - 1).abs() > 1e-2, "a mask should be 1 at its peak; yours is {}", peaks


WORKED_MAP = torch.tensor([[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 3.0]])
TIED_MAPS = torch.tensor([[[0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 2.0]], [[0.0] * 3] * 3])

part_mask = Task(
    _part_mask,
    outputs={"the mask": "(…, n, n)"},
    cases={
        Given(random(2, 3, 4, 4), beta=2.0): "a batch of 4×4 maps and β = 2",
        Given(random(4, 5, 5, seed=1)): "four 5×5 maps and the usual β",
        Given(WORKED_MAP, beta=1.0): "one 3×3 map and β = 1",
        Given(random(5, 5, seed=6), beta=0.5): "a 5×5 map and β = 0.5",
        Given(random(2, 2, 7, 7, seed=2), beta=3.0): "four 7×7 maps and β = 3",
    },
    edges={
        Given(TIED_MAPS): "two equal peaks, of which the first one, row by row, counts",
        Given(random(2, 2, 4, 4, seed=3) - 1, beta=2.0): "maps that are negative everywhere, whose "
        "peak is still the largest value",
        Given(random(3, 2, 2, seed=4), beta=1.0): "maps of 2×2 units",
        Given(random(1, 1, 1, 1)): "a map of one unit",
        Given(random(2, 5, 5, seed=5).half(), beta=2.0): "maps in half precision",
    },
    own=("mask_at",),
    same_dtype=True,
    law=_law_of_mask,
)
