"""The paper's benchmark on photographs: heads on a frozen backbone, one category or all at once.

Taught in lesson 9; `make photos` runs it for the categories that are there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from icnn import measure
from icnn.features import FeatureDataset
from icnn.layer import assign_categories
from icnn.network import PartHead
from icnn.surgery import part_head
from icnn.train import fit, predict

VARIANTS: dict[str, dict | None] = {
    "plain": None,
    "mask only": {"weight": 0.0},
    "loss only": {"mask": False},
    "interpretable": {},
    "twice the loss": {"weight": 0.1},
}
WIDTH = 96  # filters
RECIPE = {"epochs": 8, "batch_size": 32, "learning_rate": 1e-3}
MEASURES = ("instability", "tracking", "best ten", "spread", "live", "centre", "best")


def train_head(
    train: FeatureDataset, validation: FeatureDataset, variant: str, *, seed: int
) -> PartHead:
    """A head on the maps of a frozen backbone, trained in one of five variants.

    Args:
        train: the features of the training images, with those of their mirror images if wanted.
        validation: features that are only watched.
        variant: one of `VARIANTS`; "interpretable" is the layer with its defaults.
        seed: of the weights and of the order of the images.

    Raises:
        ValueError: an unknown variant.
    """
    head = new_head(train.images.shape, len(train.categories), variant, seed=seed)
    fit(head, train, validation, seed=seed, progress=False, **RECIPE)
    return head


def new_head(shape: torch.Size, n_categories: int, variant: str, *, seed: int = 0) -> PartHead:
    """A head before training, for maps of a shape (N, C, n, n); the seed is of its weights.

    Raises:
        ValueError: an unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    _, channels, size, _ = shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return part_head(channels, size, n_categories, width=WIDTH, layer=VARIANTS[variant])


@torch.no_grad()
def measure_places(head: PartHead, data: FeatureDataset, image_size: int) -> dict[str, float]:
    """Where the filters fire: each of `MEASURES` on a data set.

    A filter is measured on the images of its own category: the one that activates it most among
    those with landmarks. "tracking" is the mean over the live filters of the part that each tracks
    best (`best_part_tracking`, clipped at −1), "best ten" that of the ten best filters, "centre"
    and "best" the location instability of the constant controls.

    Args:
        head: trained on features of the same backbone.
        data: features whose landmarks are in pixels of square images.
        image_size: side of these images.
    """
    n_marked = _marked(data)
    animals = data.subset(data.labels < n_marked)
    maps = predict(head.features, animals.floats())
    points, scores = to_pixels(maps, image_size)
    live, category = measure.live_filters(maps), assign_categories(maps, animals.labels, n_marked)
    instability = measure.location_instability_by_category(
        points, scores, animals.landmarks, image_size, animals.labels, category
    )
    tracking, centre, best = torch.full_like(instability, torch.nan), [], []
    for which in range(n_marked):
        images, filters = animals.labels == which, category == which
        landmarks = animals.landmarks[images]
        if filters.any():
            own = points[images][:, filters], scores[images][:, filters], landmarks
            tracking[filters] = measure.best_part_tracking(*own).tracking
        control = measure.constant_control(landmarks, image_size)
        centre.append(control.centre)
        best.append(control.best)
    ten = tracking[live].nan_to_num(-1).topk(min(10, int(live.sum()))).values
    return {
        "instability": instability[live].nanmean().item(),
        "tracking": tracking[live].nanmean().item(),
        "best ten": ten.mean().item(),
        "spread": measure.peak_spread(points, scores)[live].mean().item(),
        "live": int(live.sum()),
        "centre": sum(centre) / n_marked,
        "best": sum(best) / n_marked,
    }


def supervised_tracking(
    train: FeatureDataset, test: FeatureDataset, part: int, image_size: int, *, seed: int
) -> float:
    """A measure of the features: how well a linear detector that is taught a part tracks it.

    One 1×1 convolution, trained by cross-entropy to fire in the unit under the landmark. No filter
    of ours is told where a part is; what this one cannot follow is at least hard to find in these
    maps.

    Args:
        train, test: features; only images that have the part are used.
        part: which landmark.
        image_size: side of the images in pixels.
        seed: of the weights and of the order of the images.
    """
    train, test = (d.subset(d.landmarks[:, part].isfinite().all(-1)) for d in (train, test))
    channels, n = train.images.shape[1:3]
    unit = (train.landmarks[:, part] * (n / image_size)).long().clamp(0, n - 1)
    wanted = unit[:, 0] * n + unit[:, 1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        detector = nn.Sequential(
            nn.BatchNorm2d(channels), nn.Dropout2d(0.5), nn.Conv2d(channels, 1, 1)
        )
        optimizer = torch.optim.AdamW(detector.parameters(), 3e-3, weight_decay=0.1)
        for _ in range(15):
            for batch in torch.randperm(len(train)).split(32):
                scores = detector(train.floats(batch)).flatten(1)
                optimizer.zero_grad()
                nn.functional.cross_entropy(scores, wanted[batch]).backward()
                optimizer.step()
    points, scores = to_pixels(predict(detector, test.floats()), image_size)
    return measure.part_tracking(points, scores, test.landmarks[:, [part]]).item()


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
