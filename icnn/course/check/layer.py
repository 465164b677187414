"""Exercises 4: the forward pass, the running peak, and whose filter it is."""

import torch
from torch import Tensor

import icnn
from icnn.course.check._runner import Given, Task, gradient, random
from icnn.course.check.templates import TIED_MAPS, WORKED_MAP


def _masked_maps(x, *, beta=4.0):
    mask = icnn.part_mask(x, beta=beta)
    return (x * mask).clamp(min=0)


def _template_mask(x, beta):
    """For slips.toml: the template at the peak, negative part and all."""
    templates = icnn.part_templates(x.shape[-1], beta=beta, tau=1.0, dtype=x.dtype)
    return templates[x.flatten(2).argmax(2)]


def _signed(*shape: int, seed: int) -> Tensor:
    """Maps with positive peaks and some negative values."""
    return 3 * random(*shape, seed=seed) - 1


masked_maps = Task(
    _masked_maps,
    outputs={"the masked maps": "(N, C, n, n)"},
    cases={
        Given(2 * random(2, 3, 4, 4, seed=41), beta=2.0): "4×4 maps and β = 2",
        Given(_signed(3, 2, 5, 5, seed=42), beta=1.5): "maps with negative values, and β = 1.5",
        Given(WORKED_MAP[None, None], beta=1.0): "the worked example",
        Given(_signed(2, 4, 7, 7, seed=43)): "7×7 maps and the usual β",
    },
    edges={
        Given(TIED_MAPS[None]): "two equal peaks, of which the first one, row by row, counts",
        Given(random(2, 2, 4, 4, seed=44) - 1, beta=1.0): "maps that are negative everywhere",
        Given(random(1, 1, 1, 1, seed=45)): "a batch of one map of one unit",
        Given(_signed(2, 3, 4, 4, seed=46), beta=2.0, use=gradient): "the gradient, which should "
        "reach x through the product",
    },
    own=("InterpretableLayer.forward",),
    same_dtype=True,
)


def _running_peak(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    share = max(momentum, 1 / (seen + 1))
    return new if old is None else old + share * (new - old)


def _has_gradient(function, old, x, *options) -> bool:
    returned = function(old, x.requires_grad_(), *options)
    return isinstance(returned, Tensor) and returned.requires_grad


OLD = torch.tensor([0.4, 1.7, 0.9], dtype=torch.float64)
EXAMPLE = torch.tensor([2.0, 4.0]).view(2, 1, 1, 1) * torch.tensor([[1.0, 0.5], [0.0, 0.25]])

running_peak = Task(
    _running_peak,
    outputs={"the running peak": "(C,)"},
    cases={
        Given(OLD, random(4, 3, 5, 5, seed=51), 0.1, 30): "a momentum of 0.1 after 30 batches",
        Given(None, random(4, 3, 5, 5, seed=52), 0.1, 0): "the first batch, where old is None",
        Given(OLD, 2 * random(3, 3, 4, 4, seed=53), 0.3, 12): "a momentum of 0.3 after 12 batches",
        Given(OLD, random(3, 3, 4, 4, seed=50), 0.1, 4): "the fifth batch, a fifth of the mean",
        Given(torch.tensor([5.0]), EXAMPLE, 0.1, 1): "the worked example, the second batch",
    },
    edges={
        Given(OLD, random(2, 3, 3, 3, seed=54), 1.0, 9): "a momentum of 1, which forgets the past",
        Given(torch.zeros(2, dtype=torch.float64), random(3, 2, 4, 4, seed=55), 0.25, 3): "an old "
        "value of 0, which is not the same as None",
        Given(OLD[:2], random(1, 2, 4, 4, seed=56), 0.5, 1): "a batch of one image",
        Given(OLD, random(4, 3, 5, 5, seed=57), 0.1, 20, use=_has_gradient): "maps that need a "
        "gradient, which the running peak should not carry on",
        Given(None, random(4, 3, 5, 5, seed=58), 0.1, 0, use=_has_gradient): "the first batch with "
        "maps that need a gradient, which should not be carried on",
    },
    own=("InterpretableLayer._update_peak",),
)


def _assign_categories(activations, labels, n_categories):
    strength = activations.mean((2, 3))
    table = torch.full((n_categories, strength.shape[1]), -torch.inf, dtype=strength.dtype)
    for category in labels.unique():
        own = strength[labels == category]
        table[category] = own.mean(0)
    return table.argmax(0)


def _most_wins(activations, labels, n_categories):
    """Each filter votes for the categories of the images on which it is the strongest filter."""
    winner = activations.mean((2, 3)).argmax(1)
    votes = torch.zeros(n_categories, activations.shape[1])
    votes.index_put_((labels, winner), torch.ones(len(labels)), accumulate=True)
    return votes.argmax(0)


def _uneven(*shape: int, seed: int) -> Tensor:
    """Maps in which means, peaks and sums tell different stories."""
    x = random(*shape, seed=seed)
    return x ** (1 + 6 * random(*shape[:2], 1, 1, seed=seed + 1))


LABELS = torch.tensor([0, 0, 0, 0, 0, 1, 2, 2, 1, 0, 0, 2])
LEVELS = torch.tensor([2.0, 2.0, 3.0]).view(3, 1, 1, 1).repeat(1, 1, 2, 2)

assign_categories = Task(
    _assign_categories,
    outputs={"the categories": "(C,)"},
    cases={
        Given(_uneven(12, 16, 3, 3, seed=61), LABELS, 3): "twelve images of three categories",
        Given(
            LEVELS, torch.tensor([0, 0, 1]), 2
        ): "the worked example, two images of category 0 and one of category 1",
        Given(_uneven(12, 16, 4, 4, seed=63), 2 - LABELS.flip(0), 3): "labels in another order",
    },
    edges={
        Given(_uneven(12, 8, 3, 3, seed=65), 2 * LABELS, 6): "a category without images, which is "
        "never chosen",
        Given(torch.zeros(3, 2, 2, 2), torch.tensor([2, 1, 1]), 4): "a filter that never fires, "
        "where all categories tie and the lowest one with images counts",
        Given(_uneven(1, 3, 4, 4, seed=67), torch.tensor([3]), 5): "a batch of one image",
        Given(_uneven(12, 6, 3, 3, seed=69).float(), LABELS, 3): "maps in float32",
    },
    others={
        _most_wins: "each filter is asked for its own favourite category; yours counts on which "
        "images it is the strongest of all filters",
    },
    own=("_category_sums",),
)
