"""Why did it say rabbit? Evidence by filter and by part, adding up to the score, and its test.

A network whose head is a linear layer on the means of the maps adds up evidence, so its score can
be taken apart without any approximation: into units, into filters, into parts. Taught in lesson 10.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from icnn._check_args import MODULE, NUMBER, Array, checked
from icnn.measure import TRACKED, best_part_tracking
from icnn.network import InterpretableCNN, MeanClassifier, evaluating
from icnn.train import predict

LEAST_TRACKING = 0.3  # a filter that follows no part better than this has no name
IMAGES = Array("N 3 H W")
CATEGORIES = Array("N", "integer")


class Contributions(NamedTuple):
    """Each filter's share of each score (N, K, C), and what is there without any filter (K,)."""

    filters: Tensor
    bias: Tensor


@torch.no_grad()
@checked(images=IMAGES)
def contributions(model: InterpretableCNN, images: Tensor) -> Contributions:
    """What each filter adds to each category's score; with the bias they add up to the score.

    `filters` (N, K, C) is positive where the filter speaks for the category, `bias` is (K,), and
    `filters.sum(2) + bias` are the scores, up to rounding.

    Args:
        model: an `InterpretableCNN` whose classifier is linear on the means of the maps.
        images: (N, 3, H, W) in [0, 1].

    Raises:
        TypeError: another model or classifier.
    """
    classifier = _classifier(model)
    means = classifier.gain * _masked(model, images).mean((2, 3))
    return Contributions(means[:, None] * classifier.weight.detach(), classifier.bias.detach())


@torch.no_grad()
@checked(images=IMAGES, categories=CATEGORIES)
def unit_contributions(model: InterpretableCNN, images: Tensor, categories: Tensor) -> Tensor:
    """What each unit adds to the score of one category for each image: (N, C, n, n).

    Summed over the units these are the filters' contributions; summed over the filters they are a
    class activation map, here without any approximation.

    Args:
        model, images: as for `contributions`.
        categories: (N,) integer, whose score is taken apart.
    """
    classifier = _classifier(model)
    maps = _masked(model, images)
    weight = classifier.gain * classifier.weight.detach()
    if int(categories.max()) >= len(weight):
        raise ValueError(f"categories must be below {len(weight)}, got {int(categories.max())}")
    return maps * weight[categories.long()][..., None, None] / maps[0, 0].numel()


@checked(**TRACKED, least=NUMBER)
def filter_parts(
    points: Tensor, scores: Tensor, landmarks: Tensor, *, least: float = LEAST_TRACKING
) -> Tensor:
    """The part that each filter is called after, which it tracks best: (C,) int64; −1 for none.

    Args:
        points, scores, landmarks: as for `icnn.best_part_tracking`; not of the images explained.
        least: a filter with a lower tracking has no name.
    """
    part, tracking = best_part_tracking(points, scores, landmarks)
    return part.masked_fill(~(tracking >= least), -1)


@checked(contribution=Array("... C"), part=Array("C", "integer", low=-1, below="n_parts"))
def by_part(contribution: Tensor, part: Tensor, n_parts: int) -> Tensor:
    """Add up contributions (..., C) of the filters that are called after the same part.

    Args:
        part: (C,) int64 from −1 to n_parts − 1, as `filter_parts` gives it.

    Returns:
        (..., n_parts + 1); the last is that of the filters without a name, so nothing is lost.
    """
    member = nn.functional.one_hot(part.long() % (n_parts + 1), n_parts + 1)  # −1 is the last
    return contribution @ member.to(contribution)


@torch.no_grad()
@checked(
    model=MODULE,
    images=IMAGES,
    categories=CATEGORIES,
    importance=Array("N n n"),
    fill=Array("N 3 H W", like="images"),
)
def deletion(
    model: nn.Module,
    images: Tensor,
    categories: Tensor,
    importance: Tensor,
    fill: Tensor,
    *,
    steps: int = 16,
) -> Tensor:
    """The probability of a category while the picture is taken away, the most important first.

    A faithful explanation finds what the network relies on, so the probability falls early and the
    mean over the steps is low. What fills the holes matters: try more than one. Gives
    (N, steps + 1) probabilities, from the whole picture to the fill alone.

    Args:
        model: images → scores (N, K).
        images, fill: (N, 3, H, W) in [0, 1]; where a square is taken away, `fill` is seen.
        categories: (N,) integer, whose probability is followed.
        importance: (N, n, n), of n × n equal squares of the picture; n divides H and W.
        steps: in how many equal shares the squares are taken away.
    """
    n = importance.shape[-1]
    if images.shape[2] % n or images.shape[3] % n:
        wanted = "(N, n, n) with n a divisor of the picture's sides"
        raise ValueError(f"importance must be {wanted}, got {tuple(importance.shape)}")
    order = importance.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(1).view(-1, 1, n, n)
    size = [side // n for side in images.shape[2:]]
    rank = rank.repeat_interleave(size[0], 2).repeat_interleave(size[1], 3)
    with evaluating(model):
        followed = [
            model(torch.where(rank < round(step * n * n / steps), fill, images)).softmax(1)
            for step in range(steps + 1)
        ]
    return torch.stack([p.gather(1, categories.long()[:, None])[:, 0] for p in followed], 1)


def _classifier(model: InterpretableCNN) -> MeanClassifier:
    found = getattr(getattr(model, "head", None), "classifier", None)
    if not isinstance(found, MeanClassifier):
        got = type(model if found is None else found).__name__
        raise TypeError(f"model must have a classifier on the means of its maps, got {got}")
    return found


def _masked(model: InterpretableCNN, images: Tensor) -> Tensor:
    """What the classifier sees."""
    return model.head.layer(predict(model.maps, images))
