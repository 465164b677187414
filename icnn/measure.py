"""How well do filters detect parts? The paper's measures, their repair, and the control.

Introduced in lesson 5, built step by step in lesson 7. Points are (row, col) in pixels; pixel i
covers [i, i+1). A filter is judged on its *top images*, on which it fires most: as in the paper the
100 strongest. Who is better can hang on that number: say it beside every result and try others;
`top=len(points)` takes all. Among equal scores the earlier image comes first.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from icnn._check_args import FUNCTION, Array, check_data, check_finite, checked
from icnn.receptive_field import ImageSize, height_and_width, upscale

PIXELS_AT_ONCE = 2**20  # of scaled-up maps; bounds the memory that `part_interpretability` needs


def _finite_or_absent(landmarks: Tensor, name: str) -> None:
    check_data(landmarks, name)
    absent = landmarks.isnan()
    if landmarks.isinf().any() or (absent[..., 0] != absent[..., 1]).any():
        raise ValueError(f"{name} must be finite, or NaN in row and column where absent")


def _not_negative(maps: Tensor, name: str) -> None:
    check_finite(maps, name)
    if (lowest := float(maps.detach().min())) < 0:
        raise ValueError(f"{name} must be 0 or more, after a ReLU, got {lowest:.3g}")


MAPS = Array("N C n n")
LABELS = Array("N", "integer")
LANDMARKS = Array("N K 2", values=_finite_or_absent)
PEAKS = {"points": Array("N C 2"), "scores": Array("N C")}
TRACKED = {**PEAKS, "landmarks": LANDMARKS}


class PartTracking(NamedTuple):
    """The part that each filter tracks best, and how well: both (C,)."""

    part: Tensor
    tracking: Tensor


class Control(NamedTuple):
    """Location instability of filters that always point at one place, detecting nothing."""

    centre: float
    best: float


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


@checked(maps=MAPS)
def peaks(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Where each map (N, C, n, n) is strongest, and how strong. Taught in lesson 1.

    `icnn.unit_centres(features, image_size).pixels` turns units into pixels.

    Returns:
        positions (N, C, 2) in units, (row, col), dtype of `maps`; scores (N, C). The first peak,
        row by row, at a tie.
    """
    scores, where = maps.flatten(-2).max(-1)
    n = maps.shape[-1]
    return torch.stack([where // n, where % n], -1).to(maps.dtype), scores


@checked(**TRACKED)
def location_instability(
    points: Tensor, scores: Tensor, landmarks: Tensor, image_size: ImageSize, *, top: int = 100
) -> Tensor:
    """How much the distance from a filter's peak to a landmark varies; lower is called better.

    Sample std over the top images of ‖landmark − point‖ / image diagonal, as in the authors' code,
    then the mean over landmarks. A constant can beat it: show `constant_control` beside it.
    Paper, section 5.2.2. Taught in lessons 5 and 7.

    Args:
        points: (N, C, 2) pixels, where each filter peaks in each image.
        scores: (N, C), how strongly; ranks the images.
        landmarks: (N, K, 2) pixels, NaN where an image does not have the landmark.
        image_size: side, or (height, width), in pixels.
        top: how many of the images that have the landmark count; `len(points)` for all.

    Returns:
        (C,) in image diagonals, dtype of `points`; NaN where no landmark is in two images.
    """
    height, width = height_and_width(image_size)
    diagonal = (height**2 + width**2) ** 0.5
    distances = (
        (landmark - point).norm(dim=-1, keepdim=True) / diagonal
        for point, landmark in _on_top_images(points, scores, landmarks, top)
    )
    spread = torch.stack([_variance(distance).sqrt() for distance in distances], 1)
    return spread.nanmean(1).to(points.dtype)


@checked(**TRACKED, labels=LABELS, target_category=Array("C", "integer"))
def location_instability_by_category(
    points: Tensor,
    scores: Tensor,
    landmarks: Tensor,
    image_size: ImageSize,
    labels: Tensor,
    target_category: Tensor,
    *,
    top: int = 100,
) -> Tensor:
    """`location_instability` of each filter on the images of its target category only.

    For networks of several categories: (C,) in image diagonals; NaN where fewer than two images of
    the category have a landmark. Paper, section 5.2.2, Table 6. Taught in lesson 7.

    Args:
        points, scores, landmarks, image_size, top: as there.
        labels: (N,) integer category of each image.
        target_category: (C,) integer category of each filter, as `icnn.assign_categories` gives it.
    """
    result = points.new_full((points.shape[1],), torch.nan)
    for category in target_category.unique():
        images, filters = labels == category, target_category == category
        if images.any():
            own = points[images][:, filters], scores[images][:, filters], landmarks[images]
            result[filters] = location_instability(*own, image_size, top=top)
    return result


@checked(**TRACKED)
def part_tracking(points: Tensor, scores: Tensor, landmarks: Tensor, *, top: int = 100) -> Tensor:
    """How much of a landmark's movement a filter's peak follows.

    1 − Var(point − landmark) / Var(landmark), on the top images that have the landmark; sample
    variances, rows and columns added up. 1 for a perfect detector of the part (at any fixed
    offset), 0 for a constant place, negative for unrelated peaks. (C, K), dtype of `points`; NaN
    with fewer than two images or a landmark that never moves. Arguments as for
    `location_instability`. Ours. Taught in lessons 5 and 7.
    """
    columns = []
    for point, landmark in _on_top_images(points, scores, landmarks, top):
        still = (landmark == landmark[:, :1]).flatten(1).all(1)
        tracking = 1 - _variance(point - landmark) / _variance(landmark)
        columns.append(tracking.masked_fill(still, torch.nan))
    return torch.stack(columns, 1).to(points.dtype)


@checked(**TRACKED)
def best_part_tracking(
    points: Tensor, scores: Tensor, landmarks: Tensor, *, top: int = 100
) -> PartTracking:
    """The part that each filter tracks best, and how well it does so on other images.

    The part is chosen on the images with an even index and measured on those with an odd one, as
    the maximum over parts on the same images would flatter; so their order must not alternate
    between two kinds. Clipped at −1, so that one wild filter does not decide a mean. Ours. Taught
    in lessons 5 and 7.

    Args:
        points, scores, landmarks: as for `location_instability`.
        top: how many images count, half of them on each side; `len(points)` for all.

    Returns:
        PartTracking: part (C,) int64, among those that can be measured on both sides, and tracking
        (C,) in [−1, 1]; −1 and NaN where there is no such part.

    Raises:
        ValueError: fewer than 2 images, or `top` < 2.
    """
    if len(points) < 2 or top < 2:
        raise ValueError(f"points and top must be 2 or more images, got {len(points)} and {top}")
    dtype, points = points.dtype, points.double()  # a choice must not hang on rounding
    choose, measure = (
        part_tracking(points[side::2], scores[side::2], landmarks[side::2], top=top // 2)
        for side in (0, 1)
    )
    unknown = choose.isnan() | measure.isnan()
    part = choose.masked_fill(unknown, -torch.inf).argmax(1, keepdim=True)
    none = unknown.all(1)
    tracking = measure.gather(1, part)[:, 0].clamp_min(-1).to(dtype)
    return PartTracking(part[:, 0].masked_fill(none, -1), tracking.masked_fill(none, torch.nan))


@checked(landmarks=LANDMARKS)
def constant_control(
    landmarks: Tensor, image_size: ImageSize, *, top: int = 100, grid: int = 16
) -> Control:
    """What a filter that always fires at one place scores in location instability.

    Its scores are equal, so its top images are the first that have the landmark: shuffle them.
    Belongs beside every table of location instabilities; in part tracking any constant scores 0.
    Ours. Taught in lessons 5 and 7.

    Args:
        landmarks, image_size, top: as for `location_instability`.
        grid: the best place is searched on the centres of this many rows and columns of units.

    Returns:
        Control: the centre of the image; the best of it and the grid, chosen on these very images.
    """
    height, width = height_and_width(image_size)
    share = (torch.arange(grid, dtype=torch.float64, device=landmarks.device) + 0.5) / grid
    places = torch.cat([share.new_tensor([[0.5, 0.5]]), torch.cartesian_prod(share, share)])
    points = (places * share.new_tensor([height, width])).expand(len(landmarks), -1, 2)
    equal = torch.ones_like(points[..., 0])
    instability = location_instability(points, equal, landmarks.detach(), image_size, top=top)
    return Control(float(instability[0]), float(instability.min()))


@checked(**PEAKS)
def peak_spread(points: Tensor, scores: Tensor, *, top: int = 100) -> Tensor:
    """How far a filter's peak moves about over its top images; 0 for a constant.

    Root of the sample variances along rows and columns, added up: (C,) in pixels, dtype of
    `points`; NaN with fewer than two images. Says whether a high tracking is earned by a peak that
    moves. Arguments as for `location_instability`. Taught in lesson 7.
    """
    everywhere = torch.zeros(len(points), 1, 2, device=points.device)
    ((point, _),) = _on_top_images(points, scores, everywhere, top)
    return _variance(point).sqrt().to(points.dtype)


@checked(maps=MAPS, part_masks=Array("N K H W", "bool"))
def part_interpretability(
    maps: Tensor, part_masks: Tensor, *, quantile: float = 0.995, iou: float = 0.2
) -> Tensor:
    """The share of images in which a filter's strongest units cover its best part.

    A filter's threshold is a quantile of its activations over all images and units. What is
    strictly above it in the maps, scaled up to the image, is compared with the part's mask. Paper,
    section 5.2.1 and Table 1. Taught in lesson 7, with the control that belongs beside it: a
    constant spot can score as high as a network.

    Args:
        maps: masked maps (N, C, n, n), floating.
        part_masks: (N, K, H, W) bool, empty where a part is absent.
        quantile: in (0, 1); 0.995 keeps the strongest 0.5 % of the units.
        iou: an image counts when intersection over union is above this, in (0, 1).

    Returns:
        (C,) in [0, 1]: for the best part, the share of the images that have it; 0 for a filter that
        never fires, NaN if no image has any part.
    """
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    filters, (parts, height, width) = maps.shape[1], part_masks.shape[1:]
    threshold = torch.stack([one.flatten().quantile(quantile) for one in maps.unbind(1)])
    hits = torch.zeros(filters, parts, dtype=torch.float64)
    at_once = max(1, PIXELS_AT_ONCE // (filters * height * width))
    for some, masks in zip(maps.split(at_once), part_masks.split(at_once), strict=True):
        active = upscale(some, (height, width)) > threshold[:, None, None]
        active, part = active.flatten(2).float(), masks.flatten(2).float()
        both = (active @ part.mT).double()
        either = active.sum(2)[:, :, None] + part.sum(2)[:, None] - both
        hits += (both / either > iou).sum(0)
    visible = part_masks.flatten(2).any(2).sum(0)
    best = (hits / visible).masked_fill(visible == 0, -1).amax(1)
    return best.masked_fill(best < 0, torch.nan).to(maps.dtype)


@checked(maps=Array("N C n n", values=_not_negative), labels=LABELS)
def category_selectivity(maps: Tensor, labels: Tensor) -> Tensor:
    """The share of a filter's mean activation on its own category, which activates it most.

    (C,), dtype of `maps`, from 1/K for a filter that does not care among K categories to 1 for one
    that fires on one only; NaN for one that never fires. By the mean peak in place of the mean
    activation, which can give another order: `maps.amax((2, 3), keepdim=True)`. Ours. Taught in
    lesson 5.

    Args:
        maps: unmasked maps (N, C, n, n) after ReLU.
        labels: (N,) integer categories; those that occur are compared.
    """
    activation = maps.mean((2, 3), dtype=torch.float64)
    means = torch.stack([activation[labels == c].mean(0) for c in labels.unique()], 1)
    return (means.amax(1) / means.sum(1)).to(maps.dtype)


@checked(maps=MAPS)
def dead_filters(maps: Tensor) -> Tensor:
    """Which filters are never above 0, on no image and at no unit: maps (N, C, n, n) → (C,) bool.

    A dead filter "peaks" in the first unit of every map, so it scores like a constant: leave it out
    of means, and say how many there were. Used from lesson 5 on.
    """
    return (maps <= 0).all((0, 2, 3))


def live_filters(maps: Tensor) -> Tensor:
    """Which filters are above 0 somewhere, the others than `dead_filters`. Used from lesson 5 on.

    Raises:
        TypeError, ValueError: as there.
    """
    return ~dead_filters(maps)


@checked(statistic=FUNCTION)
def bootstrap(
    statistic: Callable[[Tensor], float | Tensor],
    n_images: int,
    *,
    samples: int = 200,
    seed: int = 0,
) -> Interval:
    """How far a number could be off: a 95 % interval over images, and over training seeds.

    The images are drawn again and again with replacement. To compare two networks, let `statistic`
    give the difference on the same images, for each seed that of the two networks that began with
    the same weights: a difference *paired by seed*. It must not choose on one half of the images
    and test on the other, as `best_part_tracking` does: a repeated image can fall on both sides.
    Taught in lesson 7.

    Args:
        statistic: (n_images,) int64 indices of images, with repetitions → a number, or (S,) one
            number for each of two or more training seeds, of which the mean is reported.
        n_images, samples: how many images there are, and how often they are drawn.
        seed: of the drawing; the same seed gives the same interval.

    Returns:
        Interval: of a number, the 2.5 % and 97.5 % quantiles over the drawings; of several seeds,
        `seed_interval` with the variance of their mean over the drawings.
    """
    draw = torch.Generator().manual_seed(seed)
    draws = (torch.randint(n_images, (n_images,), generator=draw) for _ in range(samples))
    drawn = torch.stack([_values(statistic, images) for images in draws])
    if drawn.ndim == 1:
        return Interval(*drawn.quantile(drawn.new_tensor([0.025, 0.975])).tolist())
    every = _values(statistic, torch.arange(n_images))
    return seed_interval(every, variance=float(drawn.mean(1).var(correction=0)))


def _values(statistic: Callable[[Tensor], float | Tensor], images: Tensor) -> Tensor:
    values = torch.as_tensor(statistic(images), dtype=torch.float64)
    if values.ndim > 1:
        raise ValueError(f"statistic must give a number or (S,), got {tuple(values.shape)}")
    return values


@checked()
def seed_interval(values: Tensor, *, variance: float = 0.0) -> Interval:
    """How far the mean over training seeds could be off because others might have been used.

    A 95 % interval: mean ± t·√(s²/S + variance), with the sample variance s² of the S seeds and
    Student's t for S − 1 degrees of freedom: 4.30 for three seeds, 2.78 for five. Resampling seeds
    would promise too much: where three agree in sign, no draw of them can disagree, although three
    coins agree one time in four. Taught in lesson 7.

    Args:
        values: (S,), finite, of two or more seeds; for a comparison the differences paired by seed.
        variance: of the mean, from another source, such as the choice of images.
    """
    values = torch.as_tensor(values, dtype=torch.float64)
    check_finite(values, "values")
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"values must be (S,) for two seeds or more, got {tuple(values.shape)}")
    seeds = len(values)
    half = _student(seeds - 1) * math.sqrt(float(values.var()) / seeds + variance)
    return Interval(float(values.mean()) - half, float(values.mean()) + half)


def _student(degrees: int, share: float = 0.975) -> float:
    """Quantile of Student's t = √degrees · tan a, whose angle a has the density cos^(degrees−1)."""
    angle = torch.linspace(-math.pi / 2, math.pi / 2, 200_001, dtype=torch.float64)
    cumulative = angle.cos().pow(degrees - 1).cumsum(0)
    where = torch.searchsorted(cumulative, share * cumulative[-1])
    return math.sqrt(degrees) * math.tan(angle[where])


def _on_top_images(
    points: Tensor, scores: Tensor, landmarks: Tensor, top: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each landmark the points and landmarks (C, m, 2) on each filter's top images, float64."""
    points, landmarks = points.double().transpose(0, 1), landmarks.double()
    order = scores.T.argsort(dim=1, descending=True, stable=True)
    for landmark in landmarks.unbind(1):
        has_it = ~landmark[:, 0].isnan()
        # All filters see the same images, so each row keeps equally many.
        images = order[has_it[order]].view(len(order), int(has_it.sum()))[:, :top]
        yield points.gather(1, images[..., None].expand(-1, -1, 2)), landmark[images]


def _variance(values: Tensor) -> Tensor:
    """Sample variance over the images of (C, m, d), coordinates added up: (C,); NaN for m < 2."""
    if values.shape[1] < 2:
        return values.new_full((len(values),), torch.nan)
    return values.var(1).sum(-1)
