"""Answers to exercises 5."""

from __future__ import annotations

import math
import statistics

import numpy as np
import torch

from check_answers.registry import right, wrong

# --- peaks ---------------------------------------------------------------------------------------


@right("peaks")
def max_of_the_flat_map(maps):
    scores, flat = maps.flatten(2).max(2)
    n = maps.shape[-1]
    return torch.stack([flat // n, flat % n], -1).to(maps.dtype), scores


@right("peaks")
def rows_then_columns(maps):
    by_row, column = maps.max(-1)
    scores, row = by_row.max(-1)
    column = column.gather(-1, row[..., None])[..., 0]
    return torch.stack([row, column], dim=2).type_as(maps), scores


@right("peaks")
def peaks_with_numpy(maps):
    flat = maps.numpy().reshape(*maps.shape[:2], -1)
    places = np.stack(np.unravel_index(flat.argmax(-1), maps.shape[2:]), -1)
    return torch.from_numpy(places).to(maps.dtype), torch.from_numpy(flat.max(-1))


@right("peaks")
def peaks_with_loops(maps):
    places, scores = torch.zeros(*maps.shape[:2], 2).to(maps), torch.zeros(maps.shape[:2]).to(maps)
    for b in range(maps.shape[0]):
        for c in range(maps.shape[1]):
            best = -math.inf
            for i in range(maps.shape[2]):
                for j in range(maps.shape[3]):
                    if float(maps[b, c, i, j]) > best:
                        best = float(maps[b, c, i, j])
                        places[b, c, 0], places[b, c, 1] = i, j
            scores[b, c] = best
    return places, scores


@wrong("peaks", "yours is (column, row)")
def column_first(maps):
    places, scores = max_of_the_flat_map(maps)
    return places.flip(-1), scores


@wrong("peaks", "are counted from 1")
def from_one(maps):
    places, scores = max_of_the_flat_map(maps)
    return places + 1, scores


@wrong("peaks", "divide with //")
def true_division(maps):
    scores, flat = maps.flatten(2).max(2)
    n = maps.shape[-1]
    return torch.stack([flat / n, flat % n], -1).to(maps.dtype), scores


@wrong("peaks", "yours is the peak of the whole batch")
def one_for_all(maps):
    at = divmod(int(maps.argmax()) % maps[0, 0].numel(), maps.shape[-1])
    return maps.new_tensor(at).expand(*maps.shape[:2], 2), maps.amax((2, 3))


@wrong("peaks", "yours is the mean of the map")
def mean_scores(maps):
    return max_of_the_flat_map(maps)[0], maps.mean((2, 3))


@wrong("peaks", "yours are in the other order")
def scores_first(maps):
    return max_of_the_flat_map(maps)[::-1]


@wrong("peaks", "divided by n")
def relative(maps):
    places, scores = max_of_the_flat_map(maps)
    return places / maps.shape[-1], scores


@wrong("peaks", "right for 3×3 maps only")
def side_three(maps):
    scores, flat = maps.flatten(2).max(2)
    return torch.stack([flat // 3, flat % 3], -1).to(maps.dtype), scores


@wrong("peaks", "of which the first one, row by row, counts")
def last_of_equals(maps):
    n = maps.shape[-1]
    scores, flat = maps.flip(-1, -2).flatten(2).max(2)
    flat = n * n - 1 - flat
    return torch.stack([flat // n, flat % n], -1).to(maps.dtype), scores


@wrong("peaks", "dtype torch.float64; yours is torch.int64")
def whole_numbers(maps):
    places, scores = max_of_the_flat_map(maps)
    return places.long(), scores


@wrong("peaks", "should return 2 things, one after the other")
def places_only(maps):
    return {"positions": max_of_the_flat_map(maps)[0]}


@wrong("peaks", "negative everywhere")
def starts_from_zero(maps):
    places, scores = max_of_the_flat_map(maps)
    return places * (scores > 0)[..., None], scores.clamp(min=0)


# --- location_instability ------------------------------------------------------------------------


def _sides(image_size):
    return (image_size, image_size) if isinstance(image_size, int) else image_size


def _best(scores, landmark, top):
    has = (~landmark[:, 0].isnan()).nonzero()[:, 0]
    return has[scores[has].argsort(descending=True)][:top]


@right("location_instability")
def filter_and_landmark(points, scores, landmarks, image_size, *, top=100):
    h, w = _sides(image_size)
    spread = torch.full((points.shape[1], landmarks.shape[1]), torch.nan, dtype=points.dtype)
    for c in range(points.shape[1]):
        for k in range(landmarks.shape[1]):
            best = _best(scores[:, c], landmarks[:, k], top)
            distance = (landmarks[best, k] - points[best, c]).norm(dim=1) / math.hypot(h, w)
            spread[c, k] = distance.std()
    return spread.nanmean(1)


@right("location_instability")
def all_filters_at_once(points, scores, landmarks, image_size, *, top=100):
    height, width = _sides(image_size)
    order = scores.argsort(0, descending=True)
    points = points.take_along_dim(order[..., None], 0)
    columns = []
    for landmark in landmarks.unbind(1):
        d = (landmark[order] - points).square().sum(-1).sqrt() / (height**2 + width**2) ** 0.5
        rows = []
        for one in d.T:
            one = one[~one.isnan()][:top]
            rows.append(one.std(correction=1) if len(one) > 1 else one.new_tensor(torch.nan))
        columns.append(torch.stack(rows))
    return torch.nanmean(torch.stack(columns), 0)


@right("location_instability")
def plain_python(points, scores, landmarks, image_size, *, top=100):
    diagonal = math.dist((0, 0), _sides(image_size))
    result = []
    for c in range(points.shape[1]):
        spreads = []
        for k in range(landmarks.shape[1]):
            rows = [b for b in range(len(points)) if not math.isnan(landmarks[b, k, 0])]
            rows.sort(key=lambda b: -float(scores[b, c]))
            d = [math.dist(points[b, c].tolist(), landmarks[b, k].tolist()) for b in rows[:top]]
            if len(d) > 1:
                spreads.append(statistics.stdev(d) / diagonal)
        result.append(sum(spreads) / len(spreads) if spreads else math.nan)
    return torch.tensor(result, dtype=points.dtype)


@right("location_instability")
def in_numpy(points, scores, landmarks, image_size, *, top=100):
    p, s, m = points.numpy(), scores.numpy(), landmarks.numpy()
    table = np.full((p.shape[1], m.shape[1]), np.nan)
    for c, k in np.ndindex(table.shape):
        rows = np.argsort(-s[:, c], kind="stable")
        rows = rows[~np.isnan(m[rows, k, 0])][:top]
        if len(rows) > 1:
            table[c, k] = np.linalg.norm(p[rows, c] - m[rows, k], axis=1).std(ddof=1)
    return np.nanmean(table, 1) / np.hypot(*_sides(image_size))


def _instability(points, scores, landmarks, image_size, top, *, spread, best=_best):
    h, w = _sides(image_size)
    table = points.new_full((points.shape[1], landmarks.shape[1]), torch.nan)
    for c in range(points.shape[1]):
        for k in range(landmarks.shape[1]):
            rows = best(scores[:, c], landmarks[:, k], top)
            table[c, k] = spread(landmarks[rows, k] - points[rows, c]) / math.hypot(h, w)
    return table.nanmean(1)


@wrong("location_instability", "yours are in pixels")
def in_pixels(points, scores, landmarks, image_size, *, top=100):
    result = filter_and_landmark(points, scores, landmarks, image_size, top=top)
    return result * math.hypot(*_sides(image_size))


@wrong("location_instability", "yours by its height")
def by_the_height(points, scores, landmarks, image_size, *, top=100):
    height, _ = _sides(image_size)
    return in_pixels(points, scores, landmarks, image_size, top=top) / height


@wrong("location_instability", "yours divides by N")
def over_n(points, scores, landmarks, image_size, *, top=100):
    return _instability(
        points, scores, landmarks, image_size, top, spread=lambda g: g.norm(dim=1).std(correction=0)
    )


@wrong("location_instability", "yours is their variance")
def variance(points, scores, landmarks, image_size, *, top=100):
    return _instability(
        points, scores, landmarks, image_size, top, spread=lambda g: g.norm(dim=1).var()
    )


@wrong("location_instability", "yours is their mean")
def mean_distance(points, scores, landmarks, image_size, *, top=100):
    return _instability(
        points, scores, landmarks, image_size, top, spread=lambda g: g.norm(dim=1).mean()
    )


@wrong("location_instability", "yours is city blocks")
def city_blocks(points, scores, landmarks, image_size, *, top=100):
    return _instability(
        points, scores, landmarks, image_size, top, spread=lambda g: g.norm(p=1, dim=1).std()
    )


@wrong("location_instability", "yours are those with the lowest")
def weakest_images(points, scores, landmarks, image_size, *, top=100):
    return filter_and_landmark(points, -scores, landmarks, image_size, top=top)


@wrong("location_instability", "yours takes the top images first")
def top_before_nan(points, scores, landmarks, image_size, *, top=100):
    def best(scores, landmark, top):
        rows = scores.topk(min(top, len(scores))).indices
        return rows[~landmark[rows, 0].isnan()]

    return _instability(
        points, scores, landmarks, image_size, top, spread=lambda g: g.norm(dim=1).std(), best=best
    )


@wrong("location_instability", "yours uses all images")
def all_images(points, scores, landmarks, image_size, *, top=100):
    return filter_and_landmark(points, scores, landmarks, image_size)


@wrong("location_instability", "one such image spoils the result")
def nan_everywhere(points, scores, landmarks, image_size, *, top=100):
    def best(scores, landmark, top):
        return scores.topk(min(top, len(scores))).indices

    return _instability(
        points, scores, landmarks, image_size, top, spread=lambda g: g.norm(dim=1).std(), best=best
    )


@wrong("location_instability", "yours takes the same images for all filters")
def same_images(points, scores, landmarks, image_size, *, top=100):
    first = scores[:, 0].unsqueeze(1).repeat(1, scores.shape[1])
    return filter_and_landmark(points, first, landmarks, image_size, top=top)


@wrong("location_instability", "which is left out of the mean")
def plain_mean(points, scores, landmarks, image_size, *, top=100):
    each = [
        filter_and_landmark(points, scores, landmarks[:, k : k + 1], image_size, top=top)
        for k in range(landmarks.shape[1])
    ]
    return torch.stack(each).mean(0)


@wrong("location_instability", "still has one for each landmark")
def not_averaged(points, scores, landmarks, image_size, *, top=100):
    each = [
        filter_and_landmark(points, scores, landmarks[:, k : k + 1], image_size, top=top)
        for k in range(landmarks.shape[1])
    ]
    return torch.stack(each, 1)


@wrong("location_instability", "TypeError")
def two_sides_only(points, scores, landmarks, image_size, *, top=100):
    image_size = math.sqrt(image_size**2 + image_size**2)
    return filter_and_landmark(points, scores, landmarks, (image_size, 0), top=top)


# --- part_tracking -------------------------------------------------------------------------------


def _tracking(points, scores, landmarks, top, value, best=_best):
    table = points.new_full((points.shape[1], landmarks.shape[1]), torch.nan)
    for c in range(points.shape[1]):
        for k in range(landmarks.shape[1]):
            rows = best(scores[:, c], landmarks[:, k], top)
            p, m = points[rows, c], landmarks[rows, k]
            if len(rows) > 1 and bool((m != m[0]).any()):
                table[c, k] = value(p, m)
    return table


@right("part_tracking")
def ratio_of_variances(points, scores, landmarks, *, top=100):
    return _tracking(
        points, scores, landmarks, top, lambda p, m: 1 - (p - m).var(0).sum() / m.var(0).sum()
    )


@right("part_tracking")
def sums_of_squares(points, scores, landmarks, *, top=100):
    def value(p, m):
        gap = p - m
        rest = ((gap - gap.mean(0)) ** 2).sum()
        return 1 - rest / ((m - m.mean(0)) ** 2).sum()

    return _tracking(points, scores, landmarks, top, value)


@right("part_tracking")
def tracking_in_numpy(points, scores, landmarks, *, top=100):
    p, s, m = points.numpy(), scores.numpy(), landmarks.numpy()
    table = np.full((p.shape[1], m.shape[1]), np.nan)
    for c, k in np.ndindex(table.shape):
        rows = [b for b in np.argsort(-s[:, c]) if not np.isnan(m[b, k]).any()][:top]
        moves = m[rows, k].var(0).sum() if rows else 0
        if len(rows) > 1 and moves > 0:
            table[c, k] = 1 - (p[rows, c] - m[rows, k]).var(0).sum() / moves
    return torch.tensor(table).to(points.dtype)


@right("part_tracking")
def tracking_in_plain_python(points, scores, landmarks, *, top=100):
    def variance(pairs):
        return sum(map(statistics.variance, zip(*pairs, strict=True)))

    result = []
    for c in range(points.shape[1]):
        row = []
        for k in range(landmarks.shape[1]):
            images = [b for b in range(len(points)) if float(landmarks[b, k, 0]) >= 0]
            images.sort(key=lambda b: float(scores[b, c]), reverse=True)
            m = [landmarks[b, k].tolist() for b in images[:top]]
            gap = [(points[b, c] - landmarks[b, k]).tolist() for b in images[:top]]
            moves = variance(m) if len(m) > 1 else 0
            row.append(1 - variance(gap) / moves if moves else math.nan)
        result.append(row)
    return torch.tensor(result, dtype=points.dtype)


@wrong("part_tracking", "yours is the ratio")
def only_the_ratio(points, scores, landmarks, *, top=100):
    return 1 - ratio_of_variances(points, scores, landmarks, top=top)


@wrong("part_tracking", "upside down")
def inverted(points, scores, landmarks, *, top=100):
    return _tracking(
        points, scores, landmarks, top, lambda p, m: 1 - m.var(0).sum() / (p - m).var(0).sum()
    )


@wrong("part_tracking", "standard deviations")
def deviations(points, scores, landmarks, *, top=100):
    return _tracking(
        points,
        scores,
        landmarks,
        top,
        lambda p, m: 1 - ((p - m).var(0).sum() / m.var(0).sum()).sqrt(),
    )


@wrong("part_tracking", "yours has that of the point")
def variance_of_the_point(points, scores, landmarks, *, top=100):
    return _tracking(
        points, scores, landmarks, top, lambda p, m: 1 - (p - m).var(0).sum() / p.var(0).sum()
    )


@wrong("part_tracking", "yours is that of its length")
def variance_of_the_distance(points, scores, landmarks, *, top=100):
    return _tracking(
        points, scores, landmarks, top, lambda p, m: 1 - (p - m).norm(dim=1).var() / m.var(0).sum()
    )


@wrong("part_tracking", "yours is the mean square")
def mean_square(points, scores, landmarks, *, top=100):
    return _tracking(
        points, scores, landmarks, top, lambda p, m: 1 - ((p - m) ** 2).sum() / (m**2).sum()
    )


@wrong("part_tracking", "yours are (landmark, filter)")
def transposed(points, scores, landmarks, *, top=100):
    return ratio_of_variances(points, scores, landmarks, top=top).T


@wrong("part_tracking", "yours is cut off at 0")
def never_negative(points, scores, landmarks, *, top=100):
    return ratio_of_variances(points, scores, landmarks, top=top).clamp(min=0)


@wrong("part_tracking", "yours uses the rows only")
def rows_only(points, scores, landmarks, *, top=100):
    return _tracking(
        points, scores, landmarks, top, lambda p, m: 1 - (p - m)[:, 0].var() / m[:, 0].var()
    )


@wrong("part_tracking", "a landmark that never moves, where NaN is right")
def infinite(points, scores, landmarks, *, top=100):
    table = torch.empty(points.shape[1], landmarks.shape[1], dtype=points.dtype)
    for c in range(points.shape[1]):
        for k in range(landmarks.shape[1]):
            rows = _best(scores[:, c], landmarks[:, k], top)
            m = landmarks[rows, k]
            table[c, k] = 1 - (points[rows, c] - m).var(0).sum() / m.var(0).sum()
    return table


@wrong("part_tracking", "yours are the first ones in the batch")
def unsorted(points, scores, landmarks, *, top=100):
    return ratio_of_variances(
        points, torch.arange(len(scores), 0, -1)[:, None].expand_as(scores), landmarks, top=top
    )


@wrong("part_tracking", "those with the lowest")
def weakest(points, scores, landmarks, *, top=100):
    return ratio_of_variances(points, scores.neg(), landmarks, top=top)


@wrong("part_tracking", "takes the top images first, so that fewer remain")
def top_first(points, scores, landmarks, *, top=100):
    table = points.new_full((points.shape[1], landmarks.shape[1]), torch.nan)
    for c in range(points.shape[1]):
        rows = scores[:, c].argsort(descending=True)[:top]
        for k in range(landmarks.shape[1]):
            some = rows[~landmarks[rows, k, 0].isnan()]
            p, m = points[some, c], landmarks[some, k]
            if len(some) > 1 and bool((m != m[0]).any()):
                table[c, k] = 1 - (p - m).var(0).sum() / m.var(0).sum()
    return table


def _tracked(measure):
    """Tracking by any formula for the points and landmarks of the right images, (m, 2) each."""

    def tracking(points, scores, landmarks, *, top=100):
        table = points.new_full((points.shape[1], landmarks.shape[1]), torch.nan)
        for c in range(points.shape[1]):
            for k in range(landmarks.shape[1]):
                rows = _best(scores[:, c], landmarks[:, k], top)
                table[c, k] = measure(points[rows, c], landmarks[rows, k])
        return table

    return tracking


for _phrase, _measure in {
    "yours is the mean squared distance": lambda p, m: (
        1 - ((p - m) ** 2).mean(0).sum() / m.var(0).sum()
    ),
    "adds standard deviations": lambda p, m: 1 - (p - m).std(0).sum() / m.std(0).sum(),
    "yours are multiplied": lambda p, m: 1 - (p - m).var(0).prod() / m.var(0).prod(),
    "the mean of two trackings": lambda p, m: (1 - (p - m).var(0) / m.var(0)).mean(),
    "yours are those of lengths": lambda p, m: 1 - (p - m).norm(dim=1).var() / m.norm(dim=1).var(),
    "a squared correlation": lambda p, m: _correlation(p, m) ** 2,
    "yours is a correlation": lambda p, m: _correlation(p, m),
}.items():
    wrong("part_tracking", _phrase)(_tracked(_measure))


def _correlation(p, m):
    p, m = p - p.mean(0), m - m.mean(0)
    return (p * m).sum() / (p.square().sum() * m.square().sum()).sqrt()
