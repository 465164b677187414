"""The paper's benchmark on photographs: heads on a frozen backbone, one category or all at once.

Taught in lesson 9; `make photos` runs it for the categories that are there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from icnn import measure
from icnn.backbone import PartHead
from icnn.features import FeatureDataset
from icnn.layer import assign_categories
from icnn.train import accuracy, fit, predict

VARIANTS: dict[str, dict | None] = {
    "plain": None,
    "mask only": {"weight": 0.0},
    "loss only": {"mask": False},
    "interpretable": {},
}
WIDTH = 96  # filters
RECIPE = {"epochs": 8, "batch_size": 32, "learning_rate": 1e-3}
MEASURES = ("accuracy", "instability", "tracking", "best ten", "spread", "live", "centre", "best")


def train_head(
    train: FeatureDataset, validation: FeatureDataset, variant: str, *, seed: int
) -> PartHead:
    """A head on the maps of a frozen backbone, trained in one of four variants.

    Args:
        train: the features of the training images, with those of their mirror images if wanted.
        validation: features that are only watched.
        variant: "plain", "mask only", "loss only" or "interpretable".
        seed: of the weights and of the order of the images.

    Raises:
        ValueError: an unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    channels, size = train.images.shape[1:3]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = {"width": WIDTH, "layer": VARIANTS[variant]}
        head = PartHead(channels, size, len(train.categories), **options)
    fit(head, train, validation, seed=seed, progress=False, **RECIPE)
    return head


@torch.no_grad()
def measure_head(head: PartHead, test: FeatureDataset, image_size: int) -> dict[str, float]:
    """One row of the table: each of `MEASURES` on the images of a split.

    A filter is measured on the images of its own category: the one that activates it most among
    those with landmarks. "tracking" is the mean over the live filters of the part that each tracks
    best (`best_part_tracking`, clipped at −1), "best ten" that of the ten best filters, "centre"
    and "best" the location instability of the constant controls.

    Args:
        head: trained on features of the same backbone.
        test: features whose landmarks are in pixels of square images.
        image_size: side of these images.
    """
    marked = test.labels < _marked(test)
    animals = test.subset(marked)
    maps = predict(head.features, animals.floats())
    live = measure.live_filters(maps)
    category = assign_categories(maps, animals.labels, _marked(test))
    points, scores = to_pixels(maps, image_size)
    rows = [
        _of_category(points, scores, animals, category, live, k, image_size)
        for k in range(_marked(test))
    ]
    instability, tracking = (torch.cat(values) for values in zip(*rows, strict=True))
    controls = [
        measure.constant_control(animals.landmarks[animals.labels == k], image_size)
        for k in range(_marked(test))
    ]
    spread = measure.peak_spread(points, scores)[live]
    return {
        "accuracy": accuracy(head, test),
        "instability": instability.nanmean().item(),
        "tracking": tracking.nanmean().item(),
        "best ten": tracking.nan_to_num(-1).topk(min(10, len(tracking))).values.mean().item(),
        "spread": spread.mean().item(),
        "live": int(live.sum()),
        "centre": sum(c.centre for c in controls) / len(controls),
        "best": sum(c.best for c in controls) / len(controls),
    }


def combine(groups: Sequence[FeatureDataset], names: Sequence[str]) -> FeatureDataset:
    """One data set in which every group is a category, in this order."""
    labels = [torch.full((len(group),), k) for k, group in enumerate(groups)]
    tensors = {
        name: torch.cat([getattr(group, name) for group in groups])
        for name in ("images", "landmarks", "part_ids")
    }
    return FeatureDataset(
        labels=torch.cat(labels), categories=tuple(names), parts=groups[0].parts, **tensors
    )


def to_pixels(maps: Tensor, image_size: int) -> tuple[Tensor, Tensor]:
    """Peaks of maps (N, C, n, n) as points (N, C, 2) in pixels, and their scores (N, C).

    Spreads the units evenly over the image: right to a few pixels for every backbone, and a shift
    that is the same for all images changes no tracking.
    """
    units, scores = measure.peaks(maps)
    return (units + 0.5) * (image_size / maps.shape[-1]), scores


def _marked(data: FeatureDataset) -> int:
    """The number of categories with landmarks; they come first."""
    has = [data.landmarks[data.labels == k].isfinite().any() for k in range(len(data.categories))]
    return sum(map(bool, has))


def _of_category(
    points: Tensor,
    scores: Tensor,
    animals: FeatureDataset,
    category: Tensor,
    live: Tensor,
    which: int,
    image_size: int,
) -> tuple[Tensor, Tensor]:
    """Instability and tracking of one category's live filters, on its images."""
    filters, images = (category == which) & live, animals.labels == which
    at, strength = points[images][:, filters], scores[images][:, filters]
    landmarks = animals.landmarks[images]
    if not filters.any():
        return torch.empty(0), torch.empty(0)
    return (
        measure.location_instability(at, strength, landmarks, image_size),
        measure.best_part_tracking(at, strength, landmarks).tracking,
    )
