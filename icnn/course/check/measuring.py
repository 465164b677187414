"""Exercises 5: peaks, location instability, and part tracking."""

import torch
from torch import Tensor

from icnn.course.check._runner import Given, Task, random
from icnn.course.check.templates import TIED_MAPS, at_largest


def _peaks(maps):
    n = maps.shape[-1]
    flat = at_largest(maps)
    places = torch.stack([flat // n, flat % n], -1).to(maps.dtype)
    scores = maps.amax((2, 3))
    return places, scores


PEAK_MAP = torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 0.0], [0.0, 5.0, 3.0]])[None, None]

peaks = Task(
    _peaks,
    outputs={"the positions": "(N, C, 2)", "the scores": "(N, C)"},
    cases={
        Given(random(3, 2, 5, 5, seed=71)): "three images, two filters and 5×5 maps",
        Given(PEAK_MAP): "the worked example",
        Given(3 * random(2, 4, 8, 8, seed=72) - 1): "two images, four filters and 8×8 maps",
    },
    edges={
        Given(TIED_MAPS[None]): "two equal peaks, of which the first one, row by row, counts",
        Given(random(2, 2, 4, 4, seed=73) - 1): "maps that are negative everywhere, whose peak is "
        "still the largest value",
        Given(random(1, 1, 1, 1, seed=74)): "a map of one unit",
        Given(random(2, 3, 4, 4, seed=75).half()): "maps in half precision",
    },
    same_dtype=True,
)


def top_images(scores: Tensor, f: int, has_it: Tensor, top: int) -> Tensor:
    """The images, of those that have the landmark, with the highest scores of filter f."""
    best_first = scores[:, f].argsort(descending=True, stable=True)
    return best_first[has_it[best_first]][:top]


# What can go wrong with the choice, for every measure that looks at the top images.


def _pairs(points, landmarks):
    """An empty table (C, K), and for each filter and landmark which images have the landmark."""
    table = points.new_full((points.shape[1], landmarks.shape[1]), torch.nan)
    has_it = ~landmarks[..., 0].isnan()
    return table, [(f, k, has_it[:, k]) for f in range(len(table)) for k in range(table.shape[1])]


def _location_instability(points, scores, landmarks, image_size, *, top=100):
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    diagonal = (height**2 + width**2) ** 0.5
    table, pairs = _pairs(points, landmarks)
    for f, k, has_it in pairs:
        images = top_images(scores, f, has_it, top)
        gap = landmarks[images, k] - points[images, f]
        table[f, k] = gap.norm(dim=-1).std()
    return (table / diagonal).nanmean(1)


def _pooled(points, scores, landmarks, image_size, *, top=100):
    """One standard deviation over the distances to all landmarks together."""
    gaps = [[] for _ in range(points.shape[1])]
    for f, k, has_it in _pairs(points, landmarks)[1]:
        images = top_images(scores, f, has_it, top)
        gaps[f].append(landmarks[images, k] - points[images, f])
    height, width = (image_size,) * 2 if isinstance(image_size, int) else image_size
    spread = torch.stack([torch.cat(own).norm(dim=-1).std() for own in gaps])
    return spread / (height**2 + width**2) ** 0.5


def scene(n: int, filters: int, parts: int, *, seed: int, absent=(), dtype=torch.float64) -> tuple:
    """Points, scores and landmarks in pixels, the points roughly near the landmarks."""
    landmarks = 10 + 40 * random(n, parts, 2, seed=seed)
    nearby = landmarks[:, [f % parts for f in range(filters)]]
    points = nearby + 20 * random(n, filters, 2, seed=seed + 1) - 8
    scores = random(n, filters, seed=seed + 2)
    for image, part in absent:
        landmarks[image, part] = torch.nan
    return points.to(dtype), scores.to(dtype), landmarks.to(dtype)


SOME_ABSENT = ((0, 0), (3, 0), (4, 0), (7, 0), (1, 1), (2, 1), (5, 1), (8, 1), (6, 2), (9, 2))
ONLY_ONE = tuple((image, 2) for image in range(1, 10))
NOWHERE = tuple((image, 1) for image in range(10))
WORKED_POINTS = torch.tensor([[10.0, 10.0], [20.0, 20.0], [10.0, 30.0]])[:, None]
WORKED_LANDMARKS = torch.tensor([[13.0, 14.0], [20.0, 25.0], [10.0, 36.0]])[:, None]
WORKED = (WORKED_POINTS, torch.ones(3, 1), WORKED_LANDMARKS)

location_instability = Task(
    _location_instability,
    outputs={"the instability": "(C,)"},
    cases={
        Given(*scene(10, 2, 3, seed=81), (48, 64), top=4): "ten images of 48×64 pixels, two "
        "filters, three landmarks and top = 4",
        Given(*WORKED, (30, 40)): "the worked example",
        Given(*scene(9, 3, 2, seed=84), 64, top=5): "square images of 64 pixels and top = 5",
        Given(*scene(10, 2, 3, seed=87, absent=SOME_ABSENT), (60, 40), top=3): "landmarks that "
        "some images do not have, and top = 3",
    },
    edges={
        Given(*scene(6, 2, 2, seed=90), 64): "more images wanted than there are",
        Given(*scene(10, 2, 3, seed=93, absent=ONLY_ONE), 64, top=6): "a landmark that only one "
        "image has, which is left out of the mean",
        Given(*scene(10, 2, 3, seed=96, absent=NOWHERE), 64): "a landmark that no image has, which "
        "is left out of the mean",
        Given(*scene(1, 2, 2, seed=99), 64): "a batch of one image, where nothing can vary and NaN "
        "is right",
        Given(*scene(10, 3, 2, seed=102, dtype=torch.float32), 64, top=7): "coordinates in float32",
    },
    shared=("wrong_images", "wrong_absent"),
    others={
        _pooled: "the standard deviation should be taken for each landmark, then the mean; yours "
        "is one over all landmarks together",
    },
    own=("_on_top_images",),
)


# What part_tracking is made of, and three for its mistakes in slips.toml.
def _variance(values: Tensor) -> Tensor:
    return values.var(0).sum()


def _square(values: Tensor) -> Tensor:
    return (values**2).mean(0).sum()


def _length(values: Tensor) -> Tensor:
    return values.norm(dim=1, keepdim=True)


def _correlation(peak: Tensor, part: Tensor) -> Tensor:
    """Over rows and columns together."""
    peak, part = peak - peak.mean(0), part - part.mean(0)
    return (peak * part).sum() / (peak.norm() * part.norm())


def _part_tracking(points, scores, landmarks, *, top=100):
    table, pairs = _pairs(points, landmarks)
    for f, k, has_it in pairs:
        images = top_images(scores, f, has_it, top)
        peak, part = points[images, f], landmarks[images, k]
        rest, moves = _variance(peak - part), _variance(part)
        table[f, k] = 1 - rest / moves if moves > 0 else torch.nan
    return table


NAILED = scene(6, 2, 2, seed=120)
NAILED[2][:, 1] = 20.0

part_tracking = Task(
    _part_tracking,
    outputs={"the tracking": "(C, K)"},
    cases={
        Given(*scene(10, 2, 3, seed=111), top=4): "ten images, two filters, three landmarks and "
        "top = 4",
        Given(*WORKED): "the worked example",
        Given(*scene(9, 3, 2, seed=114), top=5): "two landmarks, three filters and top = 5",
        Given(*scene(10, 2, 3, seed=117, absent=SOME_ABSENT), top=3): "landmarks that some images "
        "do not have, and top = 3",
    },
    edges={
        Given(*scene(6, 2, 3, seed=90)): "more images wanted than there are",
        Given(*NAILED): "a landmark that never moves, where NaN is right",
        Given(*scene(10, 2, 3, seed=93, absent=ONLY_ONE)): "a landmark that only one image has, "
        "where NaN is right",
        Given(*scene(10, 2, 3, seed=96, absent=NOWHERE)): "a landmark that no image has, where NaN "
        "is right",
        Given(*scene(10, 3, 2, seed=102, dtype=torch.float32), top=7): "coordinates in float32",
    },
    shared=("wrong_images", "wrong_absent"),
    own=("_on_top_images",),
)
