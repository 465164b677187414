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

SCORE = "the score is the value at the peak; yours is the "
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
    slips={
        ("flat // n, flat % n", "flat % n, flat // n"): "a position is (row, column); yours is "
        "(column, row)",
        ("flat // n, flat % n", "flat // n + 1, flat % n + 1"): "rows and columns are counted "
        "from 0; yours are counted from 1",
        ("flat // n, flat % n", "flat // n + 0.5, flat % n + 0.5"): "positions are in whole "
        "units; yours are half a unit further, at the middle of a pixel",
        ("flat // n, flat % n", "flat / n, flat % n"): "the row is the whole part of index/n; "
        "yours has a fraction: divide with //",
        ("flat // n, flat % n", "flat // n / n, flat % n / n"): "positions are in units, from 0 "
        "to n−1; yours are shares of the map, divided by n",
        ("flat // n, flat % n", "flat // 3, flat % 3"): "the index is split by the side n of the "
        "maps; yours is right for 3×3 maps only",
        ("at_largest(maps)", "at_largest(-maps)"): "the position should be that of the largest "
        "value; yours is that of the smallest",
        ("at_largest(maps)", "(maps.argmax() % n**2).expand(maps.shape[:-2])"): "each map should "
        "have its own peak; yours is the peak of the whole batch",
        ("(maps)\n", "(maps.sum(1, keepdim=True).expand_as(maps))\n"): "each filter should have "
        "its own peak; yours adds up the filters of an image first",
        ("maps.amax((2, 3))", "maps.mean((2, 3))"): f"{SCORE}mean of the map",
        ("maps.amax((2, 3))", "maps.sum((2, 3))"): f"{SCORE}sum of the map",
        ("maps.amax((2, 3))", "flat.to(maps.dtype)"): f"{SCORE}index of the unit",
        ("places, scores", "scores, places"): "positions should come first, then scores; yours "
        "are in the other order",
        ("places, scores", "places.movedim(-1, 0), scores"): "row and column should be the last "
        "axis, (N, C, 2); in yours they are the first",
    },
    same_dtype=True,
)


def top_images(scores: Tensor, f: int, has_it: Tensor, top: int) -> Tensor:
    """The images, of those that have the landmark, with the highest scores of filter f."""
    best_first = scores[:, f].argsort(descending=True, stable=True)
    return best_first[has_it[best_first]][:top]


# What can go wrong with the choice, for every measure that looks at the top images.
WRONG_IMAGES = {
    ("(scores, f", "(-scores, f"): "the images with the highest scores count; yours are those "
    "with the lowest",
    ("has_it, top)", "has_it, len(scores))"): "only the `top` images with the highest scores "
    "count; yours uses all images",
    ("top_images(scores, f, has_it, top)", "has_it.nonzero()[:top, 0]"): "the images should be "
    "sorted by the score of the filter; yours are the first ones in the batch",
    ("(scores, f", "(scores, 0"): "each filter has top images of its own; yours takes the same "
    "images for all filters",
}
WRONG_ABSENT = {
    ("has_it, top)", "has_it | True, top); images = images[has_it[images]]"): "first drop the "
    "images without the landmark, then take the `top` best of the rest; yours takes the top images "
    "first, so that fewer remain",
    ("has_it, top)", "has_it | True, top)"): "an image without the landmark (NaN) should be left "
    "out; in yours one such image spoils the result",
}


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

BY_DIAGONAL = "distances should be divided by the diagonal of the image; yours "
DIAGONAL = "the diagonal is √(height² + width²); "
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
    slips={
        ("table, pairs", "landmarks = landmarks.nan_to_num(); table, pairs"): "an image without "
        "the landmark should be left out; yours puts the landmark at (0, 0)",
        **WRONG_IMAGES,
        **WRONG_ABSENT,
        (" / diagonal", ""): f"{BY_DIAGONAL}are in pixels",
        ("diagonal)", "height)"): f"{BY_DIAGONAL}by its height",
        ("diagonal)", "width)"): f"{BY_DIAGONAL}by its width",
        ("diagonal)", "(height + width))"): f"{DIAGONAL}yours is height + width",
        ("diagonal)", "diagonal**2)"): f"{DIAGONAL}in yours the root is missing",
        ("diagonal)", "(height * 2**0.5))"): f"{DIAGONAL}yours is right for square images only",
        (".std()", ".std(correction=0)"): "the standard deviation should divide by N − 1; yours "
        "divides by N",
        (".std()", ".var()"): "the standard deviation of the distances is wanted; yours is their "
        "variance",
        (".std()", ".mean()"): "the standard deviation of the distances is wanted; yours is their "
        "mean, but a peak need not be at the landmark",
        ("norm(dim=-1)", "abs().sum(-1)"): "the distance should be the straight line, √(rows² + "
        "columns²); yours is city blocks",
        ("gap.norm(dim=-1)", "(gap**2).sum(-1)"): "the distance should be √(rows² + columns²); in "
        "yours the root is missing",
        ("norm(dim=-1).std()", "var(0).sum().sqrt()"): "the spread of the distance is wanted, one "
        "number for each image; yours is the spread of the difference vector",
        (".nanmean(1)", ".nansum(1)"): "the landmarks should be averaged; yours are added up",
        (".nanmean(1)", ""): "one number for each filter is wanted, the mean over the landmarks; "
        "yours still has one for each landmark",
        (".nanmean(1)", ".nan_to_num(torch.inf).amin(1)"): "the landmarks should be averaged; "
        "yours takes the steadiest one",
        (".nanmean(1)", ".nanmean(0)"): "the mean should go over the landmarks; yours goes over "
        "the filters",
    },
    others={
        _pooled: "the standard deviation should be taken for each landmark, then the mean; yours "
        "is one over all landmarks together",
    },
    own=("_on_top_images",),
)


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
    slips={
        **WRONG_IMAGES,
        **WRONG_ABSENT,
        ("1 - rest / moves", "rest / moves"): "tracking is 1 minus the ratio, so that following "
        "is good; yours is the ratio",
        ("1 - rest / moves", "1 - moves / rest"): "the variance of the landmark is the "
        "denominator; your fraction is upside down",
        ("1 - rest / moves", "1 - (rest / moves) ** 0.5"): "the ratio should be one of variances; "
        "yours is one of standard deviations",
        ("1 - rest / moves", "moves - rest"): "tracking has no unit: 1 − rest/moves; yours is the "
        "difference of the variances, in pixels²",
        ("1 - rest / moves", "(1 - rest / moves).clamp(min=0)"): "tracking may be negative, for a "
        "peak that has nothing to do with the part; yours is cut off at 0",
        ("1 - rest / moves", "(1 - rest / moves).clamp(min=-1)"): "tracking may be below −1 for a "
        "wild filter; yours is cut off at −1, which only best_part_tracking does",
        ("1 - rest / moves", "1 - rest / _variance(peak)"): "the denominator should be the "
        "variance of the landmark; yours has that of the point",
        ("1 - rest / moves", "1 - _variance(peak) / moves"): "the numerator should be the "
        "variance of point − landmark; yours has that of the point",
        ("1 - rest / moves", "1 - _variance(_length(peak - part)) / moves"): "the variance of the "
        "difference vector is wanted, rows plus columns; yours is that of its length",
        (
            "1 - rest / moves",
            "1 - _variance(_length(peak - part)) / _variance(_length(part))",
        ): "the variances are those of vectors, rows plus columns; yours are those of lengths",
        ("1 - rest / moves", "1 - _square(peak - part) / _square(part)"): "a variance is measured "
        "from the mean, so that a fixed offset does no harm; yours is the mean square, from 0",
        ("1 - rest / moves", "1 - _square(peak - part) / moves"): "the variance of point − "
        "landmark is measured from its mean, so that a fixed offset does no harm; yours is the "
        "mean squared distance",
        ("1 - rest / moves", "1 - (peak - part).var(0)[0] / part.var(0)[0]"): "rows and columns "
        "both count; yours uses the rows only",
        ("1 - rest / moves", "1 - (peak - part).var(0)[1] / part.var(0)[1]"): "rows and columns "
        "both count; yours uses the columns only",
        ("1 - rest / moves", "1 - (peak - part).var() / part.var()"): "rows and columns have a "
        "mean each; yours takes one variance over both together",
        ("1 - rest / moves", "1 - (peak - part).std(0).sum() / part.std(0).sum()"): "variances "
        "are added over rows and columns; yours adds standard deviations",
        ("1 - rest / moves", "1 - (peak - part).var(0).prod() / part.var(0).prod()"): "the "
        "variances of rows and columns should be added; yours are multiplied",
        ("1 - rest / moves", "(1 - (peak - part).var(0) / part.var(0)).mean()"): "first add rows "
        "and columns, then divide; yours is the mean of two trackings, one of the rows and one of "
        "the columns",
        ("1 - rest / moves", "_correlation(peak, part) ** 2"): "tracking is 1 − Var(point − "
        "landmark)/Var(landmark); yours is a squared correlation, which forgives a wrong scale",
        ("1 - rest / moves", "_correlation(peak, part)"): "tracking is 1 − Var(point − "
        "landmark)/Var(landmark); yours is a correlation, which forgives a wrong scale",
        ("return table", "return table.T"): "the axes should be (filter, landmark); yours are "
        "(landmark, filter)",
        ("return table", "return table.nanmean(1)"): "each landmark should get its own number, "
        "(C, K); yours is the mean over the landmarks",
        ("return table", "return table.amax(1)"): "each landmark should get its own number, (C, "
        "K); yours keeps the best one only",
    },
    own=("_on_top_images",),
)
