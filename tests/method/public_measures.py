"""More of the table of `public_functions.py`: the measures and the receptive fields."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from public_functions import close, counts, finite, labels, maps, numbers, precision, public, truths
from torch import Tensor, nn

import icnn

# --- measures ------------------------------------------------------------------------------------


def right_peaks(answer, maps) -> None:
    where, scores = answer
    finite(where, (*maps.shape[:2], 2), maps.dtype)
    finite(scores, maps.shape[:2], maps.dtype)
    for i, image in enumerate(maps.tolist()):
        for f, units in enumerate(image):
            value, row, col = max(
                (v, -r, -c) for r, line in enumerate(units) for c, v in enumerate(line)
            )
            assert where[i, f].tolist() == [-row, -col] and scores[i, f] == value


@public("peaks", icnn.peaks, right_peaks)
def _(draw):
    return {"maps": maps(draw, lowest=-1.0)}


def right_dead(answer, maps) -> None:
    assert answer.tolist() == [max(f.flatten().tolist()) <= 0 for f in maps.unbind(1)]


def right_live(answer, maps) -> None:
    right_dead(~answer, maps)


for name, function, check in (
    ("dead_filters", icnn.dead_filters, right_dead),
    ("live_filters", icnn.live_filters, right_live),
):
    public(name, function, check)(lambda draw: {"maps": maps(draw, lowest=-1.0)})


def marked(draw) -> dict:
    """Points, scores and landmarks, some of them absent, in one dtype and several layouts."""
    images, filters, parts = draw(st.integers(2, 9)), *counts(draw, 3, 3)
    dtype = draw(st.sampled_from([torch.float64, torch.float32]))
    landmarks = numbers(draw, images, parts, 2, dtype=dtype)
    landmarks = landmarks.masked_fill(truths(draw, images, parts)[..., None], torch.nan)
    return {
        "points": numbers(draw, images, filters, 2, dtype=dtype),
        "scores": numbers(draw, images, filters, dtype=dtype, lowest=-1.0),
        "landmarks": landmarks,
        "top": draw(st.integers(2, 12)),
    }


def top_images(scores: Tensor, f: int, landmarks: Tensor, k: int, top: int) -> list[int]:
    has = [i for i in range(len(scores)) if not landmarks[i, k, 0].isnan()]
    return sorted(has, key=lambda i: -scores[i, f].item())[:top]


def sample_variance(values: Tensor) -> float:
    mean = values.mean(0)
    return float(((values - mean) ** 2).sum()) / (len(values) - 1)


def table(points, scores, landmarks, top, entry) -> Tensor:
    """entry(points, landmarks) on the top images of each filter and landmark, (C, K)."""
    points, landmarks = points.detach().double(), landmarks.detach().double()
    result = torch.full((points.shape[1], landmarks.shape[1]), torch.nan, dtype=torch.float64)
    for f in range(points.shape[1]):
        for k in range(landmarks.shape[1]):
            chosen = top_images(scores, f, landmarks, k, top)
            if len(chosen) > 1:
                result[f, k] = entry(points[chosen, f], landmarks[chosen, k])
    return result


def same(got: Tensor, wanted: Tensor, size: float) -> None:
    """Close, and NaN in the same places."""
    assert got.isnan().tolist() == wanted.isnan().tolist(), (got, wanted)
    close(got.nan_to_num(), wanted.nan_to_num(), size=size)


def sides(image_size) -> tuple[int, int]:
    return image_size if isinstance(image_size, tuple) else (image_size, image_size)


def plain_instability(points, scores, landmarks, image_size, top) -> Tensor:
    height, width = sides(image_size)
    diagonal = (height**2 + width**2) ** 0.5

    def spread(p: Tensor, q: Tensor) -> float:
        return sample_variance((q - p).norm(dim=-1)[:, None] / diagonal) ** 0.5

    return table(points, scores, landmarks, top, spread).nanmean(1)


def farthest(image_size, *positions: Tensor) -> float:
    """The largest coordinate, in diagonals: what distances are rounded to."""
    height, width = sides(image_size)
    largest = max(float(p.detach().nan_to_num().abs().max()) for p in positions)
    return largest / (height**2 + width**2) ** 0.5


def right_instability(answer, points, scores, landmarks, image_size, top=100) -> None:
    wanted = plain_instability(points, scores, landmarks, image_size, top)
    same(answer, wanted, farthest(image_size, points, landmarks))


def image_size(draw):
    return draw(st.sampled_from([1, 64, (48, 64)]))


@public("location_instability", icnn.location_instability, right_instability)
def _(draw):
    return marked(draw) | {"image_size": image_size(draw)}


def right_by_category(
    answer, points, scores, landmarks, image_size, labels, target_category, top=100
) -> None:
    for f, category in enumerate(target_category.tolist()):
        own = labels == category
        one = points[own][:, f : f + 1], scores[own][:, f : f + 1], landmarks[own]
        wanted = plain_instability(*one, image_size, top)
        same(answer[f : f + 1], wanted, farthest(image_size, points, landmarks))


@public(
    "location_instability_by_category", icnn.location_instability_by_category, right_by_category
)
def _(draw):
    drawn = marked(draw)
    images, filters = drawn["scores"].shape
    categories = {"labels": labels(draw, images), "target_category": labels(draw, filters)}
    return drawn | categories | {"image_size": image_size(draw)}


def tracking_of(p: Tensor, q: Tensor) -> float:
    still = bool((q == q[0]).all())
    return float("nan") if still else 1 - sample_variance(p - q) / sample_variance(q)


def tolerance(points: Tensor) -> dict[str, float]:
    """Of landmarks that hardly move, tracking is a quotient of two small differences."""
    eps = torch.finfo(points.dtype).eps
    return {"rtol": max(1e-4, eps), "atol": max(1e-4, eps)}


def right_tracking(answer, points, scores, landmarks, top=100) -> None:
    wanted = table(points, scores, landmarks, top, tracking_of)
    assert answer.dtype == points.dtype
    wanted = wanted.to(points.dtype)
    torch.testing.assert_close(answer, wanted, equal_nan=True, **tolerance(points))


public("part_tracking", icnn.part_tracking, right_tracking)(marked)


def right_best(answer, points, scores, landmarks, top=100) -> None:
    part, tracking = answer
    choose, measure = (
        table(points[side::2], scores[side::2], landmarks[side::2], top // 2, tracking_of)
        for side in (0, 1)
    )
    both = ~(choose.isnan() | measure.isnan())
    highest = choose.masked_fill(~both, -torch.inf).amax(1)
    for f, k in enumerate(part.tolist()):
        assert (k == -1) == (not both[f].any()) == bool(tracking[f].isnan())
        if k >= 0:
            assert both[f, k]
            torch.testing.assert_close(choose[f, k], highest[f], rtol=1e-4, atol=1e-4)
            wanted = measure[f, k].clamp_min(-1).to(points.dtype)
            torch.testing.assert_close(tracking[f], wanted, **tolerance(points))


public("best_part_tracking", icnn.best_part_tracking, right_best)(marked)


def right_control(answer, landmarks, image_size, top=100, grid=16) -> None:
    height, width = sides(image_size)
    shares = [(i + 0.5) / grid for i in range(grid)]
    places = [(0.5, 0.5), *((row, col) for row in shares for col in shares)]
    points = torch.tensor(places, dtype=torch.float64) * torch.tensor([height, width])
    points = points.expand(len(landmarks), -1, 2)
    each = plain_instability(points, torch.ones(points.shape[:2]), landmarks, image_size, top)
    got, wanted = torch.tensor(answer, dtype=torch.float64), torch.stack([each[0], each.min()])
    same(got, wanted, farthest(image_size, points, landmarks))


@public("constant_control", icnn.constant_control, right_control)
def _(draw):
    drawn = marked(draw)
    sizes = {"image_size": image_size(draw), "grid": draw(st.integers(1, 5))}
    return {"landmarks": drawn["landmarks"], "top": drawn["top"]} | sizes


def right_spread(answer, points, scores, top=100) -> None:
    everywhere = torch.zeros(len(points), 1, 2)
    wanted = table(points, scores, everywhere, top, lambda p, _: sample_variance(p) ** 0.5)
    same(answer, wanted[:, 0], float(points.detach().abs().max()))


@public("peak_spread", icnn.peak_spread, right_spread)
def _(draw):
    drawn = marked(draw)
    del drawn["landmarks"]
    return drawn


def right_selectivity(answer, maps, labels) -> None:
    exact = maps.detach().double()
    wanted = []
    for f in range(maps.shape[1]):
        means = [exact[labels == k, f].mean().item() for k in labels.unique()]
        wanted.append(max(means) / sum(means) if sum(means) else float("nan"))
    assert answer.dtype == maps.dtype
    same(answer, torch.tensor(wanted, dtype=torch.float64), 1)


@public("category_selectivity", icnn.category_selectivity, right_selectivity)
def _(draw):
    x = maps(draw)
    return {"maps": x, "labels": labels(draw, len(x))}


def right_interpretability(answer, maps, part_masks, quantile=0.995, iou=0.2) -> None:
    """Counted with sets of pixels; thresholds and scaled maps are those of the same precision."""
    maps = maps.detach().to(precision(maps.dtype))
    wide = icnn.upscale(maps, tuple(part_masks.shape[2:])).flatten(2)
    for f, one in enumerate(maps.unbind(1)):
        threshold = one.flatten().quantile(quantile)
        fires = [set(image[f].gt(threshold).nonzero().flatten().tolist()) for image in wide]
        shares = []
        for masks in part_masks.flatten(2).unbind(1):
            parts = [set(mask.nonzero().flatten().tolist()) for mask in masks]
            pairs = [(a, b) for a, b in zip(fires, parts, strict=True) if b]
            hits = [len(a & b) / len(a | b) > iou for a, b in pairs]
            shares += [sum(hits) / len(hits)] if hits else []
        wanted = max(shares, default=float("nan"))
        same(answer[f : f + 1], torch.tensor([wanted], dtype=torch.float64), 1)


@public("part_interpretability", icnn.part_interpretability, right_interpretability)
def _(draw):
    x = maps(draw)
    masks = truths(draw, len(x), *counts(draw, 3, 9, 9))
    shares = {n: draw(st.sampled_from([0.005, 0.5, 0.995])) for n in ("quantile", "iou")}
    return {"maps": x, "part_masks": masks} | shares


def right_bootstrap(answer, statistic, n_images, samples=200, seed=0) -> None:
    draw = torch.Generator().manual_seed(seed)
    drawn = [torch.randint(n_images, (n_images,), generator=draw) for _ in range(samples)]
    values = sorted(float(statistic(which)) for which in drawn)
    for end, share in zip(answer, (0.025, 0.975), strict=True):
        below, between = divmod(share * (samples - 1), 1)
        after = values[min(int(below) + 1, samples - 1)]
        wanted = values[int(below)] * (1 - between) + after * between
        assert abs(end - wanted) <= 1e-9 * n_images


@public("bootstrap", icnn.bootstrap, right_bootstrap)
def _(draw):
    drawn = {"n_images": draw(st.integers(1, 20)), "samples": draw(st.integers(1, 20))}
    return drawn | {"statistic": lambda i: i.double().mean(), "seed": draw(st.integers(0, 9))}


# --- receptive fields ----------------------------------------------------------------------------


def interpolation(units: int, pixels: int) -> Tensor:
    """What each unit counts in each pixel along one side, linearly between their centres."""
    place = ((torch.arange(pixels).double() + 0.5) * units / pixels - 0.5).clamp(0, units - 1)
    return (1 - (place[:, None] - torch.arange(units)).abs()).clamp_min(0)


def right_upscale(answer, maps, image_size) -> None:
    down, right = (interpolation(maps.shape[-1], side) for side in sides(image_size))
    exact = maps.detach().double()
    assert answer.dtype == maps.dtype and answer.requires_grad == maps.requires_grad
    close(answer, down @ exact @ right.T, size=float(exact.abs().max()))


@public("upscale", icnn.upscale, right_upscale, unchecked=("maps",))
def _(draw):
    return {"maps": maps(draw, lowest=-1.0), "image_size": image_size(draw)}


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 3, 2), nn.ReLU()).eval()


NETWORK = small_network()


def right_centres(answer, module, image_size) -> None:
    """Of a 3×3 convolution with stride 2: 1.5, 3.5, … pixels."""
    assert answer.size == (3, 3) and answer.stride == (2, 2)
    for centres, side in zip((answer.rows, answer.cols), sides(image_size), strict=True):
        assert centres.tolist() == [1.5 + 2 * i for i in range((side - 3) // 2 + 1)]


@public("unit_centres", icnn.unit_centres, right_centres)
def _(draw):
    return {"module": NETWORK, "image_size": draw(st.sampled_from([3, 64, (48, 64)]))}


FIELD = icnn.unit_centres(NETWORK, 64)


def right_pixels(answer, positions) -> None:
    assert answer.dtype == (positions.dtype if positions.is_floating_point() else torch.float32)
    close(answer, 1.5 + 2 * positions.detach().double(), size=64)


@public("ReceptiveField.pixels", FIELD.pixels, right_pixels)
def _(draw):
    whole = labels(draw, 6, 31).view(3, 2)
    return {"positions": draw(st.sampled_from([whole, whole.double(), whole.half() / 2]))}


def right_discrepancy(answer, features, image, unit_filter, patch=11, stride=3) -> None:
    finite(answer, image.shape[1:], torch.float32)
    with torch.no_grad():
        maps = features(image[None])[0, unit_filter].flatten()
        peak, height, width = maps.argmax(), *image.shape[1:]
        total, count = torch.zeros(2, height, width, dtype=torch.float64)
        tops, lefts = ([*range(0, s - patch, stride), s - patch] for s in (height, width))
        for top, left in ((top, left) for top in tops for left in lefts):
            covered = image.detach().clone()
            square = slice(top, top + patch), slice(left, left + patch)
            covered[:, *square] = image.mean((1, 2))[:, None, None]
            change = features(covered[None])[0, unit_filter].flatten()[peak] - maps[peak]
            total[square] += change.abs().item()
            count[square] += 1
    close(answer, total / count, size=1 + float(image.detach().abs().max()))


@public("discrepancy_map", icnn.discrepancy_map, right_discrepancy, share=0.3)
def _(draw):
    image = numbers(draw, 3, 12, 12, dtype=torch.float32)
    return {"features": NETWORK, "image": image, "unit_filter": 1, "patch": 5, "stride": 3}


def right_average(answer, features, images, unit_filter, top=10, patch=11, stride=3) -> None:
    """The average itself is compared with a loop in `test_receptive_field.py`."""
    finite(answer, images.shape[2:], torch.float32)
    assert (answer >= 0).all()


@public("average_receptive_field", icnn.average_receptive_field, right_average, share=0.3)
def _(draw):
    images = numbers(draw, *counts(draw, 3), 3, 12, 12, dtype=torch.float32)
    options = {"unit_filter": 0, "patch": 6, "stride": 4, "top": draw(st.integers(1, 4))}
    return {"features": NETWORK, "images": images} | options
