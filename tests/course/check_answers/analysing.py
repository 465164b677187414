"""Answers to exercises 6."""

from __future__ import annotations

import math
import statistics

import numpy as np
import torch

from check_answers.registry import right, wrong

# --- dead_filters --------------------------------------------------------------------------------


@right("dead_filters")
def highest_value(maps):
    return maps.amax((0, 2, 3)) <= 0


@right("dead_filters")
def not_any(maps):
    return ~(maps > 0).any(0).any(-1).any(-1)


@right("dead_filters")
def dead_with_loops(maps):
    answer = []
    for c in range(maps.shape[1]):
        answer.append(all(v <= 0 for v in maps[:, c].flatten().tolist()))
    return torch.tensor(answer)


@right("dead_filters")
def dead_with_numpy(maps):
    return (maps.numpy() <= 0).all(axis=(0, 2, 3))


@right("dead_filters")
def nothing_after_relu(maps):
    return maps.relu().count_nonzero((0, 2, 3)) == 0


@wrong("dead_filters", "those that are alive")
def alive(maps):
    return (maps > 0).any(3).any(2).any(0)


@wrong("dead_filters", "silent on some image")
def sometimes_silent(maps):
    return (maps.amax((2, 3)) <= 0).any(0)


@wrong("dead_filters", "exactly 0")
def exactly_zero(maps):
    return (maps == 0).flatten(2).all(2).all(0)


@wrong("dead_filters", "yours asks for less than 0")
def below_zero(maps):
    return maps.amax((0, 2, 3)) < 0


@wrong("dead_filters", "one for each map")
def for_each_map(maps):
    return maps.amax((2, 3)) <= 0


@wrong("dead_filters", "yours is about images")
def dead_images(maps):
    return maps.flatten(1).max(1).values <= 0


@wrong("dead_filters", "the numbers of the dead ones")
def their_numbers(maps):
    return torch.where(maps.amax((0, 2, 3)) <= 0)[0]


@wrong("dead_filters", "yours is how many are dead")
def their_count(maps):
    return int((maps.amax((0, 2, 3)) <= 0).sum())


@wrong("dead_filters", "adds up all values")
def by_the_sum(maps):
    return maps.sum(dim=(0, 2, 3)) <= 0


@wrong("dead_filters", "yours has a threshold")
def by_a_threshold(maps):
    return maps.amax((0, 2, 3)) < 1e-4


@wrong("dead_filters", "dtype torch.bool; yours is torch.int64")
def as_numbers(maps):
    return (maps.amax((0, 2, 3)) <= 0).long()


@wrong("dead_filters", "changes its argument maps in place")
def relu_in_place(maps):
    return torch.relu_(maps).sum((0, 2, 3)) == 0


# --- category_selectivity ------------------------------------------------------------------------


@right("category_selectivity")
def table_of_means(maps, labels):
    level = maps.mean((2, 3))
    table = torch.stack([level[labels == k].mean(0) for k in labels.unique()])
    return table.amax(0) / table.sum(0)


@right("category_selectivity")
def with_bincount(maps, labels):
    _, index, count = labels.unique(return_inverse=True, return_counts=True)
    table = torch.zeros(len(count), maps.shape[1], dtype=maps.dtype)
    table.index_add_(0, index, maps.flatten(2).mean(2))
    table = table / count[:, None]
    return torch.nn.functional.normalize(table, p=1, dim=0, eps=0).max(0)[0]


@right("category_selectivity")
def shares_with_numpy(maps, labels):
    x, y = maps.numpy(), labels.numpy()
    table = np.array([x[y == k].mean((0, 2, 3)) for k in np.unique(y)])
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(table.max(0) / table.sum(0))


@right("category_selectivity")
def shares_with_loops(maps, labels):
    kinds = sorted(set(labels.tolist()))
    result = []
    for c in range(maps.shape[1]):
        means = []
        for k in kinds:
            own = [float(maps[b, c].mean()) for b in range(len(maps)) if int(labels[b]) == k]
            means.append(sum(own) / len(own))
        result.append(max(means) / sum(means) if sum(means) > 0 else math.nan)
    return torch.tensor(result, dtype=maps.dtype)


def _table(maps, labels):
    return torch.stack([maps[labels == k].mean((0, 2, 3)) for k in labels.unique()])


@wrong("category_selectivity", "adds them up")
def sums(maps, labels):
    table = torch.stack([maps[labels == k].sum((0, 2, 3)) for k in labels.unique()])
    return table.amax(0) / table.sum(0)


@wrong("category_selectivity", "yours is not divided")
def not_divided(maps, labels):
    return _table(maps, labels).amax(0)


@wrong("category_selectivity", "yours by their mean")
def by_the_mean(maps, labels):
    return _table(maps, labels).amax(0) / _table(maps, labels).mean(0)


@wrong("category_selectivity", "yours leaves it out")
def against_the_others(maps, labels):
    table = _table(maps, labels)
    return table.amax(0) / (table.sum(0) - table.amax(0))


@wrong("category_selectivity", "yours takes the peak of each map")
def of_peaks(maps, labels):
    return table_of_means(maps.amax((2, 3), keepdim=True), labels)


@wrong("category_selectivity", "yours compares single images")
def of_images(maps, labels):
    level = maps.mean((2, 3))
    return level.amax(0) / level.sum(0)


@wrong("category_selectivity", "yours is a softmax")
def softmax(maps, labels):
    return _table(maps, labels).softmax(0).amax(0)


@wrong("category_selectivity", "yours is its number")
def number_of_the_category(maps, labels):
    return _table(maps, labels).argmax(0)


@wrong("category_selectivity", "yours go over the filters")
def wrong_axis(maps, labels):
    table = _table(maps, labels)
    return table.amax(1) / table.sum(1)


@wrong("category_selectivity", "the mean of no images is NaN")
def every_number(maps, labels):
    means = [maps[labels == k].mean((0, 2, 3)) for k in range(int(labels.max()) + 1)]
    return torch.stack(means).amax(0) / torch.stack(means).sum(0)


@wrong("category_selectivity", "yours says 0")
def zero_for_the_dead(maps, labels):
    table = _table(maps, labels)
    return torch.where(table.sum(0) > 0, table.amax(0) / table.sum(0), 0)


@wrong("category_selectivity", "should lie between 1/K")
def counted_from_above(maps, labels):
    return 1.5 + table_of_means(maps, labels)


# --- peak_spread ---------------------------------------------------------------------------------


@right("peak_spread")
def filter_by_filter(points, scores, *, top=100):
    spread = torch.empty(points.shape[1], dtype=points.dtype)
    for c in range(points.shape[1]):
        best = scores[:, c].argsort(descending=True)[:top]
        spread[c] = points[best, c].var(0).sum() ** 0.5
    return spread


@right("peak_spread")
def all_at_once(points, scores, *, top=100):
    best = scores.topk(min(top, len(scores)), dim=0).indices
    chosen = points.gather(0, best[..., None].expand(-1, -1, 2))
    return chosen.var(0).sum(-1).sqrt()


@right("peak_spread")
def spread_with_numpy(points, scores, *, top=100):
    p = np.take_along_axis(points.numpy(), np.argsort(-scores.numpy(), 0)[:top, :, None], 0)
    if len(p) < 2:
        return np.full(p.shape[1], np.nan)
    return np.sqrt(p.var(0, ddof=1).sum(-1))


@right("peak_spread")
def spread_in_plain_python(points, scores, *, top=100):
    result = []
    for c in range(points.shape[1]):
        rows = sorted(range(len(points)), key=lambda b: -float(scores[b, c]))[:top]
        places = [points[b, c].tolist() for b in rows]
        if len(places) < 2:
            result.append(math.nan)
            continue
        result.append(math.sqrt(sum(map(statistics.variance, zip(*places, strict=True)))))
    return result


def _spread(points, scores, top, value):
    best = scores.argsort(0, descending=True)[:top]
    chosen = points.take_along_dim(best[..., None], 0)
    return torch.stack([value(one) for one in chosen.unbind(1)])


@wrong("peak_spread", "yours is in pixels²")
def no_root(points, scores, *, top=100):
    return _spread(points, scores, top, lambda p: p.var(0).sum())


@wrong("peak_spread", "yours adds two standard deviations")
def sum_of_deviations(points, scores, *, top=100):
    return _spread(points, scores, top, lambda p: p.std(0).sum())


@wrong("peak_spread", "yours divide by N")
def over_n(points, scores, *, top=100):
    return _spread(points, scores, top, lambda p: p.var(0, unbiased=False).sum().sqrt())


@wrong("peak_spread", "yours are averaged")
def averaged(points, scores, *, top=100):
    return _spread(points, scores, top, lambda p: p.var(0).mean().sqrt())


@wrong("peak_spread", "those with the lowest")
def lowest(points, scores, *, top=100):
    return filter_by_filter(points, -scores, top=top)


@wrong("peak_spread", "yours uses all images")
def top_ignored(points, scores, *, top=100):
    return points.var(0).sum(1).sqrt()


@wrong("peak_spread", "yours are the first ones in the batch")
def first_ones(points, scores, *, top=100):
    return points[:top].var(0).sum(1).sqrt()


@wrong("peak_spread", "the same images for all filters")
def shared_images(points, scores, *, top=100):
    return points[scores[:, 0].argsort(descending=True)[:top]].var(0).sum(1).sqrt()


@wrong("peak_spread", "one deviation over both together")
def pooled(points, scores, *, top=100):
    return _spread(points, scores, top, lambda p: p.std())


@wrong("peak_spread", "two, one for rows and one for columns")
def two_numbers(points, scores, *, top=100):
    return _spread(points, scores, top, lambda p: p.std(0))


@wrong("peak_spread", "mean distance from the centre")
def mean_distance(points, scores, *, top=100):
    return _spread(points, scores, top, lambda p: (p - p.mean(0)).norm(dim=1).mean())


@wrong("peak_spread", "NaN is right, entry [0] of the spread should be nan; yours is 0")
def zero_for_one(points, scores, *, top=100):
    return filter_by_filter(points, scores, top=top).nan_to_num(0)


@wrong("peak_spread", "RuntimeError")
def topk_of_too_many(points, scores, *, top=100):
    best = scores.topk(top, dim=0).indices
    return points.take_along_dim(best[..., None], 0).var(0).sum(1).sqrt()
