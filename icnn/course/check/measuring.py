"""Exercises 5: peaks, location instability, and part tracking."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

import icnn
from icnn.course.check._runner import Case, Task, random
from icnn.course.check.templates import TIED_MAPS

# --- peaks ---------------------------------------------------------------------------------------


def _peaks(
    maps,
    *,
    where=lambda x: x.flatten(-2).argmax(-1),
    place=lambda flat, n: (flat // n, flat % n),
    score=lambda x, flat: x.flatten(-2).amax(-1),
    finish=lambda places, scores: (places, scores),
):
    flat = where(maps)
    places = torch.stack(place(flat, maps.shape[-1]), -1).to(maps.dtype)
    return finish(places, score(maps, flat))


def _of_the_batch(x: Tensor) -> Tensor:
    return (x.flatten().argmax() % x.shape[-1] ** 2).expand(x.shape[:2])


PEAK_MAP = torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 0.0], [0.0, 5.0, 3.0]])[None, None]

peaks = Task(
    signature="peaks(maps)",
    outputs={"the positions": "(N, C, 2)", "the scores": "(N, C)"},
    reference=icnn.peaks,
    cases=(
        Case("three images, two filters and 5×5 maps", (random(3, 2, 5, 5, seed=71),)),
        Case("the worked example", (PEAK_MAP,)),
        Case("two images, four filters and 8×8 maps", (3 * random(2, 4, 8, 8, seed=72) - 1,)),
    ),
    edges=(
        Case("two equal peaks, of which the first one, row by row, counts", (TIED_MAPS[None],)),
        Case(
            "maps that are negative everywhere, whose peak is still the largest value",
            (random(2, 2, 4, 4, seed=73) - 1,),
        ),
        Case("a map of one unit", (random(1, 1, 1, 1, seed=74),)),
        Case("maps in half precision", (random(2, 3, 4, 4, seed=75).half(),)),
    ),
    mistakes=(
        (
            partial(_peaks, place=lambda flat, n: (flat % n, flat // n)),
            "a position is (row, column); yours is (column, row)",
        ),
        (
            partial(_peaks, place=lambda flat, n: (flat // n + 1, flat % n + 1)),
            "rows and columns are counted from 0; yours are counted from 1",
        ),
        (
            partial(_peaks, place=lambda flat, n: (flat // n + 0.5, flat % n + 0.5)),
            "positions are in whole units; yours are half a unit further, at the middle of a pixel",
        ),
        (
            partial(_peaks, place=lambda flat, n: (flat / n, flat % n)),
            "the row is the whole part of index/n; yours has a fraction: divide with //",
        ),
        (
            partial(_peaks, place=lambda flat, n: (flat // n / n, flat % n / n)),
            "positions are in units, from 0 to n−1; yours are shares of the map, divided by n",
        ),
        (
            partial(_peaks, place=lambda flat, n: (flat // 3, flat % 3)),
            "the index is split by the side n of the maps; yours is right for 3×3 maps only",
        ),
        (
            partial(_peaks, where=lambda x: x.flatten(-2).argmin(-1)),
            "the position should be that of the largest value; yours is that of the smallest",
        ),
        (
            partial(_peaks, where=_of_the_batch),
            "each map should have its own peak; yours is the peak of the whole batch",
        ),
        (
            partial(
                _peaks, where=lambda x: x.sum(1, keepdim=True).expand_as(x).flatten(-2).argmax(-1)
            ),
            "each filter should have its own peak; yours adds up the filters of an image first",
        ),
        (
            partial(_peaks, score=lambda x, flat: x.mean((2, 3))),
            "the score is the value at the peak; yours is the mean of the map",
        ),
        (
            partial(_peaks, score=lambda x, flat: x.sum((2, 3))),
            "the score is the value at the peak; yours is the sum of the map",
        ),
        (
            partial(_peaks, score=lambda x, flat: flat.to(x.dtype)),
            "the score is the value at the peak; yours is the index of the unit",
        ),
        (
            partial(_peaks, finish=lambda places, scores: (scores, places)),
            "positions should come first, then scores; yours are in the other order",
        ),
        (
            partial(_peaks, finish=lambda places, scores: (places.movedim(-1, 0), scores)),
            "row and column should be the last axis, (N, C, 2); in yours they are the first",
        ),
    ),
    hints=(
        "max over one axis returns two things. You have two axes of units: make one of them.",
        "A flat index is row times n plus column, so a division with remainder gives both back.",
        "scores, flat = maps.flatten(...).max(...); torch.stack([flat // ..., flat % ...], ...), "
        "then the dtype of maps.",
    ),
    own=("peaks",),
    same_dtype=True,
)


# --- the top images ------------------------------------------------------------------------------


def top_images(scores: Tensor, has_it: Tensor, top: int) -> Tensor:
    """The images, of those that have the landmark, with one filter's highest scores."""
    order = scores.argsort(descending=True, stable=True)
    return order[has_it[order]][:top]


def _too_early(scores, has_it, top):
    images = scores.argsort(descending=True, stable=True)[:top]
    return images[has_it[images]]


def _lowest(scores, has_it, top):
    return top_images(-scores, has_it, top)


# What can go wrong with the choice, for every measure that looks at the top images.
WRONG_IMAGES = (
    (
        _lowest,
        "the images with the highest scores count; yours are those with the lowest",
    ),
    (
        lambda scores, has_it, top: top_images(scores, has_it, len(scores)),
        "only the `top` images with the highest scores count; yours uses all images",
    ),
    (
        lambda scores, has_it, top: has_it.nonzero()[:top, 0],
        "the images should be sorted by the score of the filter; yours are the first ones in the "
        "batch",
    ),
)
WRONG_ABSENT = (
    (
        _too_early,
        "first drop the images without the landmark, then take the `top` best of the rest; yours "
        "takes the top images first, so that fewer remain",
    ),
    (
        lambda scores, has_it, top: top_images(scores, torch.ones_like(has_it), top),
        "an image without the landmark (NaN) should be left out; in yours one such image spoils "
        "the result",
    ),
)
SHARED_ORDER = "each filter has top images of its own; yours takes the same images for all filters"


def _with_shared_order(function, **options):
    def wrong(points, scores, *args, **more):
        return function(points, scores[:, :1].expand_as(scores), *args, **options, **more)

    return wrong


# --- location instability ------------------------------------------------------------------------


def _instability(
    points,
    scores,
    landmarks,
    image_size,
    *,
    top=100,
    choose=top_images,
    distance=lambda gap: gap.norm(dim=-1),
    spread=lambda d: d.std(),
    unit=lambda height, width: (height**2 + width**2) ** 0.5,
    size=lambda given: (given, given) if isinstance(given, int) else given,
    average=lambda table: table.nanmean(1),
    prepare=lambda landmarks: landmarks,
):
    table = points.new_full((points.shape[1], landmarks.shape[1]), torch.nan)
    for f in range(points.shape[1]):
        for k in range(landmarks.shape[1]):
            images = choose(scores[:, f], ~landmarks[:, k, 0].isnan(), top)
            gap = prepare(landmarks)[images, k] - points[images, f]
            table[f, k] = spread(distance(gap))
    return average(table / unit(*size(image_size)))


def _pooled(points, scores, landmarks, image_size, *, top=100):
    """One standard deviation over the distances to all landmarks together."""
    result = points.new_full((points.shape[1],), torch.nan)
    height, width = (image_size,) * 2 if isinstance(image_size, int) else image_size
    for f in range(points.shape[1]):
        d = []
        for k in range(landmarks.shape[1]):
            images = top_images(scores[:, f], ~landmarks[:, k, 0].isnan(), top)
            d.append((landmarks[images, k] - points[images, f]).norm(dim=-1))
        result[f] = torch.cat(d).std() / (height**2 + width**2) ** 0.5
    return result


def scene(
    n: int, filters: int, parts: int, *, seed: int, absent: tuple = (), dtype=torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
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
    signature="location_instability(points, scores, landmarks, image_size, *, top=100)",
    outputs={"the instability": "(C,)"},
    reference=icnn.location_instability,
    cases=(
        Case(
            "ten images of 48×64 pixels, two filters, three landmarks and top = 4",
            (*scene(10, 2, 3, seed=81), (48, 64)),
            {"top": 4},
        ),
        Case("the worked example", (*WORKED, (30, 40))),
        Case("square images of 64 pixels and top = 5", (*scene(9, 3, 2, seed=84), 64), {"top": 5}),
        Case(
            "landmarks that some images do not have, and top = 3",
            (*scene(10, 2, 3, seed=87, absent=SOME_ABSENT), (60, 40)),
            {"top": 3},
        ),
    ),
    edges=(
        Case("more images wanted than there are", (*scene(6, 2, 2, seed=90), 64)),
        Case(
            "a landmark that only one image has, which is left out of the mean",
            (*scene(10, 2, 3, seed=93, absent=ONLY_ONE), 64),
            {"top": 6},
        ),
        Case(
            "a landmark that no image has, which is left out of the mean",
            (*scene(10, 2, 3, seed=96, absent=NOWHERE), 64),
        ),
        Case(
            "a batch of one image, where nothing can vary and NaN is right",
            (*scene(1, 2, 2, seed=99), 64),
        ),
        Case(
            "coordinates in float32",
            (*scene(10, 3, 2, seed=102, dtype=torch.float32), 64),
            {"top": 7},
        ),
    ),
    mistakes=(
        (
            partial(_instability, unit=lambda height, width: 1),
            "distances should be divided by the diagonal of the image; yours are in pixels",
        ),
        (
            partial(_instability, unit=lambda height, width: height),
            "distances should be divided by the diagonal of the image; yours by its height",
        ),
        (
            partial(_instability, unit=lambda height, width: width),
            "distances should be divided by the diagonal of the image; yours by its width",
        ),
        (
            partial(_instability, unit=lambda height, width: height + width),
            "the diagonal is √(height² + width²); yours is height + width",
        ),
        (
            partial(_instability, unit=lambda height, width: height**2 + width**2),
            "the diagonal is √(height² + width²); in yours the root is missing",
        ),
        (
            partial(_instability, unit=lambda height, width: height * 2**0.5),
            "the diagonal is √(height² + width²); yours is right for square images only",
        ),
        (
            partial(_instability, spread=lambda d: d.std(correction=0)),
            "the standard deviation should divide by N − 1; yours divides by N",
        ),
        (
            partial(_instability, spread=lambda d: d.var()),
            "the standard deviation of the distances is wanted; yours is their variance",
        ),
        (
            partial(_instability, spread=lambda d: d.mean()),
            "the standard deviation of the distances is wanted; yours is their mean, but a peak "
            "need not be at the landmark",
        ),
        (
            partial(_instability, distance=lambda gap: gap.abs().sum(-1)),
            "the distance should be the straight line, √(rows² + columns²); yours is city blocks",
        ),
        (
            partial(_instability, distance=lambda gap: (gap**2).sum(-1)),
            "the distance should be √(rows² + columns²); in yours the root is missing",
        ),
        (
            partial(_instability, distance=lambda gap: gap, spread=lambda d: d.var(0).sum().sqrt()),
            "the spread of the distance is wanted, one number for each image; yours is the spread "
            "of the difference vector",
        ),
        *((partial(_instability, choose=choose), text) for choose, text in WRONG_IMAGES),
        (_with_shared_order(_instability), SHARED_ORDER),
        *((partial(_instability, choose=choose), text) for choose, text in WRONG_ABSENT),
        (
            partial(
                _instability,
                choose=lambda scores, has_it, top: top_images(scores, torch.ones_like(has_it), top),
                prepare=Tensor.nan_to_num,
            ),
            "an image without the landmark should be left out; yours puts the landmark at (0, 0)",
        ),
        (
            partial(_instability, average=lambda table: table.nansum(1)),
            "the landmarks should be averaged; yours are added up",
        ),
        (
            partial(_instability, average=lambda table: table),
            "one number for each filter is wanted, the mean over the landmarks; yours still has "
            "one for each landmark",
        ),
        (
            partial(_instability, average=lambda table: table.nan_to_num(torch.inf).amin(1)),
            "the landmarks should be averaged; yours takes the steadiest one",
        ),
        (
            partial(_instability, average=lambda table: table.nanmean(0)),
            "the mean should go over the landmarks; yours goes over the filters",
        ),
        (
            _pooled,
            "the standard deviation should be taken for each landmark, then the mean; yours is one "
            "over all landmarks together",
        ),
    ),
    hints=(
        "Solve it for one filter and one landmark first, in a small function of its own. Two loops "
        "around it are no shame.",
        "For each pair: throw away the images where the landmark is NaN, then sort by score and "
        "keep the first `top`. std of torch divides by N − 1; nanmean leaves NaN out.",
        "has = ~landmarks[:, k, 0].isnan(); best = scores[has, c].argsort(descending=True)[...]; "
        "gap = landmarks[has, k][best] - points[has, c][...]; (gap.norm(dim=...) / diagonal).std()",
    ),
    own=("location_instability", "_on_top_images"),
)


# --- part tracking -------------------------------------------------------------------------------


def _variance(values: Tensor) -> Tensor:
    return values.var(0).sum()


def _correlation(pair: Tensor) -> Tensor:
    """Of points and landmarks, (m, 2, 2) with the pair last: over rows and columns together."""
    point, landmark = (pair - pair.mean(0)).unbind(-1)
    return (point * landmark).sum() / (point.norm() * landmark.norm())


def _tracking(
    points,
    scores,
    landmarks,
    *,
    top=100,
    choose=top_images,
    variance=_variance,
    whole=None,
    value=lambda rest, moves, still: torch.nan if still else 1 - rest / moves,
    compare=lambda point, landmark: (point - landmark, landmark),
    finish=lambda table: table,
):
    table = points.new_full((points.shape[1], landmarks.shape[1]), torch.nan)
    for f in range(points.shape[1]):
        for k in range(landmarks.shape[1]):
            images = choose(scores[:, f], ~landmarks[:, k, 0].isnan(), top)
            point, landmark = points[images, f], landmarks[images, k]
            rest, moving = compare(point, landmark)
            still = bool((landmark == landmark[:1]).all())
            table[f, k] = value(variance(rest), (whole or variance)(moving), still)
    return finish(table)


def _nailed() -> tuple[Tensor, Tensor, Tensor]:
    points, scores, landmarks = scene(6, 2, 2, seed=120)
    landmarks[:, 1] = 20.0
    return points, scores, landmarks


part_tracking = Task(
    signature="part_tracking(points, scores, landmarks, *, top=100)",
    outputs={"the tracking": "(C, K)"},
    reference=icnn.part_tracking,
    cases=(
        Case(
            "ten images, two filters, three landmarks and top = 4",
            scene(10, 2, 3, seed=111),
            {"top": 4},
        ),
        Case("the worked example", WORKED),
        Case("two landmarks, three filters and top = 5", scene(9, 3, 2, seed=114), {"top": 5}),
        Case(
            "landmarks that some images do not have, and top = 3",
            scene(10, 2, 3, seed=117, absent=SOME_ABSENT),
            {"top": 3},
        ),
    ),
    edges=(
        Case("more images wanted than there are", scene(6, 2, 3, seed=90)),
        Case("a landmark that never moves, where NaN is right", _nailed()),
        Case(
            "a landmark that only one image has, where NaN is right",
            scene(10, 2, 3, seed=93, absent=ONLY_ONE),
        ),
        Case(
            "a landmark that no image has, where NaN is right",
            scene(10, 2, 3, seed=96, absent=NOWHERE),
        ),
        Case("coordinates in float32", scene(10, 3, 2, seed=102, dtype=torch.float32), {"top": 7}),
    ),
    mistakes=(
        (
            partial(_tracking, value=lambda rest, moves, still: rest / moves),
            "tracking is 1 minus the ratio, so that following is good; yours is the ratio",
        ),
        (
            partial(_tracking, value=lambda rest, moves, still: 1 - moves / rest),
            "the variance of the landmark is the denominator; your fraction is upside down",
        ),
        (
            partial(_tracking, value=lambda rest, moves, still: 1 - (rest / moves) ** 0.5),
            "the ratio should be one of variances; yours is one of standard deviations",
        ),
        (
            partial(_tracking, value=lambda rest, moves, still: moves - rest),
            "tracking has no unit: 1 − rest/moves; yours is the difference of the variances, in "
            "pixels²",
        ),
        (
            partial(_tracking, value=lambda rest, moves, still: (1 - rest / moves).clamp(min=0)),
            "tracking may be negative, for a peak that has nothing to do with the part; yours is "
            "cut off at 0",
        ),
        (
            partial(_tracking, value=lambda rest, moves, still: (1 - rest / moves).clamp(min=-1)),
            "tracking may be below −1 for a wild filter; yours is cut off at −1, which only "
            "best_part_tracking does",
        ),
        (
            partial(_tracking, compare=lambda point, landmark: (point - landmark, point)),
            "the denominator should be the variance of the landmark; yours has that of the point",
        ),
        (
            partial(_tracking, compare=lambda point, landmark: (point, landmark)),
            "the numerator should be the variance of point − landmark; yours has that of the point",
        ),
        (
            partial(
                _tracking,
                compare=lambda point, landmark: (
                    (point - landmark).norm(dim=1, keepdim=True),
                    landmark,
                ),
            ),
            "the variance of the difference vector is wanted, rows plus columns; yours is that of "
            "its length",
        ),
        (
            partial(_tracking, variance=lambda values: (values**2).mean(0).sum()),
            "a variance is measured from the mean, so that a fixed offset does no harm; yours is "
            "the mean square, from 0",
        ),
        (
            partial(_tracking, variance=lambda values: values.var(0)[0]),
            "rows and columns both count; yours uses the rows only",
        ),
        (
            partial(_tracking, variance=lambda values: values.var(0)[-1]),
            "rows and columns both count; yours uses the columns only",
        ),
        (
            partial(_tracking, variance=lambda values: values.var()),
            "rows and columns have a mean each; yours takes one variance over both together",
        ),
        (
            partial(_tracking, variance=lambda v: (v**2).mean(0).sum(), whole=_variance),
            "the variance of point − landmark is measured from its mean, so that a fixed offset "
            "does no harm; yours is the mean squared distance",
        ),
        (
            partial(_tracking, variance=lambda values: values.std(0).sum()),
            "variances are added over rows and columns; yours adds standard deviations",
        ),
        (
            partial(_tracking, variance=lambda values: values.var(0).prod()),
            "the variances of rows and columns should be added; yours are multiplied",
        ),
        (
            partial(
                _tracking,
                variance=lambda values: values.var(0),
                value=lambda rest, moves, still: (1 - rest / moves).mean(),
            ),
            "first add rows and columns, then divide; yours is the mean of two trackings, one of "
            "the rows and one of the columns",
        ),
        (
            partial(
                _tracking,
                compare=lambda point, landmark: (
                    (point - landmark).norm(dim=1, keepdim=True),
                    landmark.norm(dim=1, keepdim=True),
                ),
            ),
            "the variances are those of vectors, rows plus columns; yours are those of lengths",
        ),
        (
            partial(
                _tracking,
                compare=lambda point, landmark: (torch.stack([point, landmark], -1),) * 2,
                variance=lambda pair: _correlation(pair) ** 2,
                whole=lambda pair: 1.0,
                value=lambda square, one, still: square,
            ),
            "tracking is 1 − Var(point − landmark)/Var(landmark); yours is a squared correlation, "
            "which forgives a wrong scale",
        ),
        (
            partial(
                _tracking,
                compare=lambda point, landmark: (torch.stack([point, landmark], -1),) * 2,
                variance=lambda pair: _correlation(pair),
                whole=lambda pair: 1.0,
                value=lambda correlation, one, still: correlation,
            ),
            "tracking is 1 − Var(point − landmark)/Var(landmark); yours is a correlation, which "
            "forgives a wrong scale",
        ),
        *((partial(_tracking, choose=choose), text) for choose, text in WRONG_IMAGES),
        (_with_shared_order(_tracking), SHARED_ORDER),
        *((partial(_tracking, choose=choose), text) for choose, text in WRONG_ABSENT),
        (
            partial(_tracking, finish=lambda table: table.T),
            "the axes should be (filter, landmark); yours are (landmark, filter)",
        ),
        (
            partial(_tracking, finish=lambda table: table.nanmean(1)),
            "each landmark should get its own number, (C, K); yours is the mean over the landmarks",
        ),
        (
            partial(_tracking, finish=lambda table: table.amax(1)),
            "each landmark should get its own number, (C, K); yours keeps the best one only",
        ),
    ),
    hints=(
        "The choice of images is that of location instability. Can you reuse it?",
        "x.var(0).sum() of points (m, 2) is the variance that is meant. A number divided by 0 is "
        "an infinity, not NaN: a landmark that never moves needs a look of its own.",
        "p, l = points[...][best], landmarks[...][best]; moves = l.var(...).sum(); "
        "1 - (p - l).var(...).sum() / moves, or NaN if l never moves.",
    ),
    own=("part_tracking", "_on_top_images"),
)
