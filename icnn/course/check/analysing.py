"""Exercises 6: dead filters, selectivity, and how far a peak moves."""

import torch
from torch import Tensor

from icnn.course.check._runner import Given, Task, random
from icnn.course.check.measuring import scene, top_images


def _some_dead(n: int, filters: int, size: int, *, seed: int) -> Tensor:
    """Maps in which every third filter is dead, and every third sleeps on all images but one."""
    x = random(n, filters, size, size, seed=seed) - 0.3
    x[:, ::3] = -x[:, ::3].abs()
    x[1:, 1::3] = 0.0
    return x


def _dead_filters(maps):
    return (maps <= 0).all((0, 2, 3))


dead_filters = Task(
    _dead_filters,
    outputs={"the result": "(C,)"},
    cases={
        Given(_some_dead(5, 7, 4, seed=131)): "five images, seven filters and 4×4 maps",
        Given(
            torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.7]])[:, :, None, None] * torch.eye(2)
        ): "the worked example",
        Given(_some_dead(3, 4, 5, seed=132).relu()): "three images and four filters",
    },
    edges={
        Given(1e-12 * torch.tensor([[0.0, 0.0], [1.0, 0.0]])[:, :, None, None] * torch.eye(3)): "a "
        "filter that is above 0 by very little, once, and so is alive",
        Given(torch.tensor([[[[1.0, -9.0], [-9.0, -9.0]]]])): "maps whose values add up to a "
        "negative number although some are above 0",
        Given(torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)): "a batch of one image with maps of one "
        "unit",
        Given(_some_dead(4, 6, 3, seed=133).half()): "maps in half precision",
    },
    own=("live_filters",),
)


def _category_selectivity(maps, labels):
    strength = maps.mean((2, 3))
    table = torch.stack([strength[labels == k].mean(0) for k in labels.unique()])
    largest, total = table.amax(0), table.sum(0)
    return largest / total


def _law_of_selectivity(got: Tensor, want: Tensor, args: tuple) -> tuple:
    least = 1 / len(args[1].unique())
    words = f"the share of the best category should lie between 1/K = {least:.3g} and 1; yours is "
    return (got < least - 1e-4) | (got > 1 + 1e-4), words + "{}", got


LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 0, 2, 0])
LEVELS = torch.tensor([5.0, 3.0, 2.0])[:, None, None, None].expand(3, 1, 2, 2).clone()

category_selectivity = Task(
    _category_selectivity,
    outputs={"the selectivity": "(C,)"},
    cases={
        Given(random(9, 4, 3, 3, seed=141) ** 3, LABELS): "nine images of three categories",
        Given(LEVELS, torch.arange(3)): "the worked example",
        Given(random(9, 2, 4, 4, seed=142) ** 5, 2 - LABELS.flip(0)): "labels in another order",
    },
    edges={
        Given(random(9, 3, 3, 3, seed=143) ** 3, 3 * LABELS + 1): "labels 1, 4 and 7, where only "
        "the categories that occur count",
        Given(
            random(9, 3, 3, 3, seed=144) * torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1), LABELS
        ): "a filter that never fires, where NaN is right",
        Given(random(4, 2, 3, 3, seed=145), torch.full((4,), 2)): "images of a single category, "
        "where 1 is right",
        Given(random(9, 4, 3, 3, seed=141).float(), LABELS): "maps in float32",
    },
    same_dtype=True,
    law=_law_of_selectivity,
)


def _peak_spread(points, scores, *, top=100):
    has_it, spreads = torch.ones(len(points), dtype=torch.bool), []
    for f in range(points.shape[1]):
        places = points[top_images(scores, f, has_it, top), f]
        spreads.append(places.var(0).sum().sqrt())
    return torch.stack(spreads)


THREE = torch.tensor([[10.0, 10.0], [20.0, 20.0], [30.0, 10.0]])[:, None]


peak_spread = Task(
    _peak_spread,
    outputs={"the spread": "(C,)"},
    cases={
        Given(*scene(9, 3, 1, seed=151)[:2], top=4): "nine images, three filters and top = 4",
        Given(THREE, torch.ones(3, 1)): "the worked example",
        Given(*scene(12, 2, 1, seed=153)[:2], top=6): "twelve images, two filters and top = 6",
    },
    edges={
        Given(*scene(5, 2, 1, seed=155)[:2]): "more images wanted than there are",
        Given(torch.full((4, 2, 2), 3.0), random(4, 2, seed=157, dtype=torch.float32)): "a filter "
        "that is stuck in one place, where 0 is right",
        Given(*scene(1, 2, 1, seed=158)[:2]): "a batch of one image, where NaN is right",
        Given(*scene(5, 2, 1, seed=160)[:2], top=1): "top = 1, where NaN is right",
        Given(*scene(8, 3, 1, seed=162, dtype=torch.float32)[:2], top=5): "coordinates in float32",
    },
    shared=("wrong_images",),
    own=("_on_top_images",),
)
