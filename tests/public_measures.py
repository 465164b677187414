"""The rest of the table of `public_functions.py`: layers, measures, explanations, the release."""

from __future__ import annotations

from math import exp, log

import reference
import torch
from hypothesis import strategies as st
from public_functions import (
    beta,
    close,
    counts,
    finite,
    labels,
    maps,
    numbers,
    plain_category_loss,
    plain_filter_loss,
    precision,
    public,
    scores_of,
    truths,
)
from torch import Tensor, nn

import icnn
from icnn import explain, released
from icnn.rethink import assignment, auroc

# --- layer ---------------------------------------------------------------------------------------


def layer_and_forward(x, channels, size, beta, mask, training):
    return icnn.InterpretableLayer(channels, size, beta=beta, mask=mask).train(training)(x)


def right_layer(answer, x, channels, size, beta, mask, training) -> None:
    finite(answer, x.shape, x.dtype)
    assert answer.requires_grad == x.requires_grad
    wanted = exact = x.detach().double()
    if mask:
        masks = [reference.mask(m.tolist(), beta) for m in exact.flatten(0, 1)]
        wanted = exact * torch.tensor(masks, dtype=torch.float64).view_as(exact)
    close(answer, wanted, size=float(exact.abs().max()) * (1 + beta))


@public("InterpretableLayer", layer_and_forward, right_layer, unchecked=("x",))
def _(draw):
    x = maps(draw)
    arguments = {"x": x, "channels": x.shape[1], "size": x.shape[-1], "beta": beta(draw)}
    return arguments | {"mask": draw(st.booleans()), "training": draw(st.booleans())}


def losses_of_a_forward(x, labels, channels, size, **options):
    layer = icnn.InterpretableLayer(channels, size, **options).train()
    layer(x)
    return icnn.filter_losses(nn.Sequential(layer), labels)


def right_losses(answer, x, labels, channels, size, weight, sharpness, category_weight) -> None:
    """The first forward's own mean peaks are the scale, its own mean activations the categories."""
    finite(answer, (), precision(x.dtype))
    exact = x.detach().double()
    peak = exact.amax((2, 3)).mean(0)
    scale = peak.clamp_min(0.1 * float(peak.mean())).clamp_min(torch.finfo(torch.float32).tiny)
    scores = scores_of(x, sharpness, scale, 4.0)
    wanted = weight * plain_filter_loss(scores)
    if category_weight:
        means = torch.stack([exact[labels == k].mean((0, 2, 3)) for k in labels.unique()])
        if ((means > 0.999 * means.amax(0)).sum(0) != 1).any():
            return  # a tie, which rounding decides
        is_target = labels[:, None] == labels.unique()[means.argmax(0)]
        wanted += category_weight * plain_category_loss(scores, x, is_target)
    close(answer.float(), wanted, size=1 + float(scores.abs().max()))  # the scale is in float32


@public("filter_losses", losses_of_a_forward, right_losses, unchecked=("x",))
def _(draw):
    x = maps(draw)
    return {
        "x": x,
        "channels": x.shape[1],
        "size": x.shape[-1],
        "labels": labels(draw, len(x)),
        "weight": draw(st.sampled_from([0, 0.05, 1])),
        "sharpness": draw(st.sampled_from([2.0, 0.1])),
        "category_weight": draw(st.sampled_from([0.0, 0.3])),
    }


def right_categories(answer, activations, labels, n_categories) -> None:
    finite(answer, activations.shape[1:2], torch.int64)
    sure = activations.detach().double().mean((2, 3))
    seen = labels.unique()
    means = torch.stack([sure[labels == k].mean(0) for k in seen])
    chosen = torch.stack([means[seen.tolist().index(int(k)), f] for f, k in enumerate(answer)])
    close(chosen.to(torch.float32), means.amax(0), size=float(means.abs().max()))


@public("assign_categories", icnn.assign_categories, right_categories)
def _(draw):
    x = maps(draw, lowest=-1.0)
    return {"activations": x, "labels": labels(draw, len(x)), "n_categories": 3}


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


def right_instability(answer, points, scores, landmarks, image_size, top=100) -> None:
    wanted = plain_instability(points, scores, landmarks, image_size, top)
    same(answer, wanted, 1 + float(points.detach().abs().max()))


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
        same(answer[f : f + 1], wanted, 1 + float(points.detach().abs().max()))


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


# Of landmarks that hardly move, tracking is a quotient of two small differences.
def tolerance(points: Tensor) -> dict[str, float]:
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


def right_names(answer, points, scores, landmarks, least=0.3) -> None:
    part, tracking = icnn.best_part_tracking(points, scores, landmarks)
    wanted = [k if t >= least else -1 for k, t in zip(part.tolist(), tracking, strict=True)]
    assert answer.tolist() == wanted


@public("explain.filter_parts", explain.filter_parts, right_names)
def _(draw):
    drawn = marked(draw)
    del drawn["top"]
    return drawn | {"least": draw(st.sampled_from([0.3, 0, -1.0, 1]))}


def right_control(answer, landmarks, image_size, top=100, grid=16) -> None:
    height, width = sides(image_size)
    shares = [(i + 0.5) / grid for i in range(grid)]
    places = [(0.5, 0.5), *((row, col) for row in shares for col in shares)]
    points = torch.tensor(places, dtype=torch.float64) * torch.tensor([height, width])
    points = points.expand(len(landmarks), -1, 2)
    each = plain_instability(points, torch.ones(points.shape[:2]), landmarks, image_size, top)
    got = torch.tensor(answer, dtype=torch.float64)
    same(
        got,
        torch.stack([each[0], each.min()]),
        1 + float(landmarks.detach().nan_to_num().abs().max()),
    )


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


# --- training and backbones ----------------------------------------------------------------------


class Pictures:
    """A data set of six pictures."""

    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 0, 1, 0, 1])

    def floats(self, index: Tensor) -> Tensor:
        return self.images[index]

    def __len__(self) -> int:
        return 6


def classifier() -> icnn.InterpretableCNN:
    network = small_network()
    return icnn.make_interpretable(network, 2, cut="1", image_size=8)


def right_accuracy(answer, model, dataset) -> None:
    with torch.no_grad():
        scores = model(dataset.images).tolist()
    hits = [int(b > a) == label for (a, b), label in zip(scores, dataset.labels, strict=True)]
    assert abs(answer - sum(hits) / 6) <= 1e-6 and not model.training


@public("accuracy", icnn.accuracy, right_accuracy, share=0.1)
def _(draw):
    return {"model": classifier().train(draw(st.booleans())), "dataset": Pictures()}


def right_history(answer, model, train, validation, epochs, **options) -> None:
    for values in vars(answer).values():
        assert len(values) == epochs and all(abs(value) < float("inf") for value in values)
    assert answer.validation_accuracy[-1] == icnn.accuracy(model, validation)
    again = icnn.fit(classifier(), train, validation, epochs=epochs, **options)
    assert again.loss == answer.loss


@public("fit", icnn.fit, right_history, share=0.02)
def _(draw):
    return {
        "model": classifier(),
        "train": Pictures(),
        "validation": Pictures(),
        "epochs": draw(st.integers(1, 2)),
        "seed": draw(st.integers(0, 9)),
        "batch_size": draw(st.integers(2, 9)),
        "learning_rate": draw(st.sampled_from([1e-3, 1e-6])),
        "weight_decay": draw(st.sampled_from([0, 1e-3])),
        "progress": False,
        "on_epoch": draw(st.sampled_from([None, lambda model: None])),
    }


def right_surgery(answer, cnn, n_categories, cut, image_size, width, layer) -> None:
    images = torch.rand(2, 3, image_size, image_size)
    side = (image_size - 3) // 2 + 1
    channels = width or 2 * len(cut)  # a layer's name is one letter
    with torch.no_grad():
        assert answer.eval()(images).shape == (2, n_categories)
        assert answer.maps(images).shape == (2, channels, side, side)
    assert type(answer.head.layer) is (nn.Identity if layer is None else icnn.InterpretableLayer)


@public("make_interpretable", icnn.make_interpretable, right_surgery, share=0.1)
def _(draw):
    return {
        "cnn": NETWORK,
        "n_categories": draw(st.integers(1, 4)),
        "cut": draw(st.sampled_from(["0", "1", ["1"], ("0", "1")])),
        "image_size": draw(st.integers(3, 12)),
        "width": draw(st.sampled_from([None, 1, 5])),
        "layer": draw(st.sampled_from([{}, {"beta": 2.0}, None])),
    }


# --- explanations --------------------------------------------------------------------------------

MODEL = icnn.small_cnn()


def pictures(draw, side: int = 16) -> Tensor:
    return numbers(draw, *counts(draw, 3), 3, side, side, dtype=torch.float32)


PLAIN = icnn.small_cnn("plain").eval()


@torch.no_grad()
def explained(images: Tensor) -> Tensor:
    """The scores, of a network whose layer fits images of this size."""
    return torch.cat([PLAIN(image) for image in images.split(1)])


def right_prediction(answer, model, images, batch_size=256) -> None:
    wanted = explained(images)
    assert answer.shape == wanted.shape and not answer.requires_grad and not model.training
    if len(images):
        close(answer, wanted, size=10 + float(images.detach().abs().max()))


@public("predict", icnn.predict, right_prediction, share=0.5, unchecked=("images",))
def _(draw):
    return {"model": PLAIN, "images": pictures(draw), "batch_size": draw(st.integers(1, 4))}


def right_network(answer, variant, n_categories=5, seed=0) -> None:
    same_seed = icnn.small_cnn("plain", n_categories=n_categories, seed=seed).state_dict()
    state = answer.state_dict()
    assert all(torch.equal(state[name], value) for name, value in same_seed.items())
    assert answer.head.linear.out_features == n_categories
    wanted = nn.Identity if variant == "plain" else icnn.InterpretableLayer
    assert type(answer.layer) is wanted


@public("small_cnn", icnn.small_cnn, right_network, share=0.1)
def _(draw):
    variant = draw(st.sampled_from(["plain", "mask only", "interpretable", "category term"]))
    n_categories, seed = draw(st.integers(1, 9)), draw(st.integers(-(2**63), 2**64 - 1))
    return {"variant": variant, "n_categories": n_categories, "seed": seed}


def right_contributions(answer, model, images) -> None:
    assert answer.filters.isfinite().all()
    scores = explained(images)
    size = float(answer.filters.abs().sum(2).max()) + 1
    close(answer.filters.sum(2) + answer.bias, scores, size=size)


@public("explain.contributions", explain.contributions, right_contributions, share=0.5)
def _(draw):
    return {"model": PLAIN, "images": pictures(draw)}


def right_units(answer, model, images, categories) -> None:
    filters = explain.contributions(model, images).filters
    own = filters[torch.arange(len(images)), categories.long()]
    assert answer.isfinite().all()
    close(answer.sum((2, 3)), own, size=float(filters.abs().max()) + 1e-3)


@public("explain.unit_contributions", explain.unit_contributions, right_units, share=0.5)
def _(draw):
    images = pictures(draw)
    return {"model": PLAIN, "images": images, "categories": labels(draw, len(images), 5)}


def right_sums(answer, contribution, part, n_parts) -> None:
    finite(answer, (*contribution.shape[:-1], n_parts + 1), contribution.dtype)
    for k in [*range(n_parts), -1]:
        wanted = contribution.detach().double()[..., part == k].sum(-1)
        close(answer[..., k], wanted, size=float(contribution.detach().double().abs().sum()))


@public("explain.by_part", explain.by_part, right_sums)
def _(draw):
    contribution = numbers(draw, *counts(draw, 3, 3, 5), lowest=-1.0)
    return {
        "contribution": contribution,
        "part": labels(draw, contribution.shape[-1], 4) - 1,
        "n_parts": draw(st.integers(3, 5)),
    }


def right_deletion(answer, model, images, categories, importance, fill, steps=16) -> None:
    finite(answer, (len(images), steps + 1), torch.float32)
    assert ((answer >= 0) & (answer <= 1)).all()
    for step, seen in ((0, images), (-1, fill)):
        wanted = explained(seen).softmax(1).gather(1, categories.long()[:, None])[:, 0]
        close(answer[:, step], wanted, size=10)


@public("explain.deletion", explain.deletion, right_deletion, share=0.3)
def _(draw):
    images = pictures(draw)
    return {
        "model": PLAIN,
        "images": images,
        "categories": labels(draw, len(images), 5),
        "importance": numbers(draw, len(images), 4, 4, lowest=-1.0),
        "fill": torch.rand_like(images),
        "steps": draw(st.integers(1, 4)),
    }


# --- the release ---------------------------------------------------------------------------------


def right_position(answer, x) -> None:
    """Within half a unit of the mean position, up to rounding; the first unit if silent."""
    finite(answer, (*x.shape[:2], 2), torch.int64)
    exact, axis = x.detach().double(), torch.arange(x.shape[-1]).double()
    total = exact.sum((2, 3))
    sums = torch.stack([exact.sum(3) @ axis, exact.sum(2) @ axis], -1)
    off = (answer - sums / total[..., None]).abs()
    slack = 200 * torch.finfo(x.dtype).eps
    assert (off <= 0.5 + slack)[total > torch.finfo(x.dtype).tiny].all()
    assert not answer[total == 0].any()


public("released.mean_position", released.mean_position, right_position, unchecked=("x",))(
    lambda draw: {"x": maps(draw)}
)


def right_activation_spread(answer, x, where) -> None:
    finite(answer, x.shape[:2], x.dtype)
    exact, axis = x.detach().double(), torch.arange(x.shape[-1])
    rows, cols = ((axis - where[..., k, None].long()) ** 2 for k in (0, 1))
    squares = (exact * (rows[..., :, None] + cols[..., None, :])).sum((2, 3))
    total = exact.sum((2, 3))
    wanted = (squares / total).sqrt().nan_to_num(0)
    known = (total > torch.finfo(x.dtype).tiny) | (total == 0)
    close(answer * known, wanted * known, size=x.shape[-1])


@public(
    "released.activation_spread",
    released.activation_spread,
    right_activation_spread,
    unchecked=("x",),
)
def _(draw):
    x = maps(draw)
    return {"x": x, "where": places(draw, *x.shape[:2], x.shape[-1])}


def places(draw, batch: int, channels: int, n: int) -> Tensor:
    return labels(draw, batch * channels * 2, n).view(batch, channels, 2)


def right_template(answer, where, beta, n) -> None:
    assert answer.dtype == beta.dtype
    axis = torch.tensor([2 * i / max(n - 1, 1) for i in range(n)], dtype=torch.float64)
    rows, cols = ((axis - axis[where[..., k].long()][..., None]).abs() for k in (0, 1))
    slope = beta.detach().double()[:, None, None]
    wanted = (1 - slope * (rows[..., :, None] + cols[..., None, :])).clamp_min(-1)
    close(answer, wanted, size=1 + float(slope.abs().max()))


@public("released.released_template", released.released_template, right_template)
def _(draw):
    batch, channels, n = counts(draw, 3, 3, 5)
    slopes = 0.5 + numbers(draw, channels, layout="plain")
    return {"where": places(draw, batch, channels, n), "beta": slopes, "n": n}


def right_push(answer, x, template, is_target, share=None) -> None:
    """Compared where it is well-conditioned: in float64, and where no mean of strengths cancels."""
    finite(answer, x.shape, x.dtype)
    if x.dtype != torch.float64:
        return
    for f in range(x.shape[1]):
        own, other = x.detach()[:, f], template.detach()[:, -1 - f].flip(0)
        for mine, weight in ((True, share), (False, share and 1 - share)):
            push = template.detach()[:, f] if mine else -torch.ones_like(own)
            which = is_target[:, f] == mine
            if not which.any():
                continue
            fits = (own * push).mean((1, 2)).tolist()
            z = (own * other).mean((1, 2)).tolist() if mine else fits
            top = max(z)
            log_z = log(sum(exp((v - top) / 0.5) for v in z) / len(z)) + top / 0.5
            known = [s for s, w in zip(fits, which, strict=True) if w]
            strength = [exp((s - max(known)) / 0.5) * (s - 0.5 * log_z + 0.5) for s in known]
            chosen = torch.tensor(strength, dtype=torch.float64)
            if chosen.sum().abs() < 1e-3 * chosen.abs().sum():
                continue
            factor = (0.5 / weight if weight else 1.0) * chosen / chosen.mean()
            wanted = -factor[:, None, None] * push[which]
            close(answer[which, f], wanted, size=1e3 * float(1 + x.detach().abs().max()))


@public("released.released_gradient", released.released_gradient, right_push)
def _(draw):
    x = maps(draw)
    template = numbers(draw, *x.shape, dtype=x.dtype, lowest=-1.0).clamp(-1, 1)
    share = draw(st.sampled_from([None, 0.5, 0.2]))
    return {"x": x, "template": template, "is_target": truths(draw, *x.shape[:2]), "share": share}


# --- lesson 10 -----------------------------------------------------------------------------------


def right_label_information(answer, activation, labels, n_categories) -> None:
    for f, column in enumerate(activation.detach().double().T.tolist()):
        median = sorted(column)[(len(column) - 1) // 2]
        active = [value > median for value in column]
        for k in range(n_categories):
            pairs = list(zip(active, (labels == k).tolist(), strict=True))
            total, on, members = len(pairs), sum(active), sum(m for _, m in pairs)
            excess = total * pairs.count((True, True)) - on * members  # whole numbers
            wanted = 0.0
            for a, m in set(pairs):
                p = pairs.count((a, m)) / total
                chance = (on if a else total - on) * (members if m else total - members)
                wanted += p * log(p * total**2 / chance)
            if excess:
                close(answer[f, k], wanted if excess > 0 else -1)
            else:  # exactly as often as elsewhere: rounding decides between 0 and −1
                assert min(abs(answer[f, k]), abs(answer[f, k] + 1)) <= 1e-9


@public(
    "rethink.assignment.label_information", assignment.label_information, right_label_information
)
def _(draw):
    activation = numbers(draw, *counts(draw, 6, 3), lowest=-1.0)
    return {"activation": activation, "labels": labels(draw, len(activation)), "n_categories": 3}


def right_auroc(answer, positive, negative) -> None:
    pairs = [(p, n) for p in positive.tolist() for n in negative.tolist()]
    wins = sum((p > n) + (p == n) / 2 for p, n in pairs)
    assert abs(answer - wins / len(pairs)) <= 1e-9


@public("rethink.auroc.auroc", auroc.auroc, right_auroc)
def _(draw):
    positive, negative = (numbers(draw, *counts(draw, 6), lowest=-1.0) for _ in range(2))
    return {"positive": positive, "negative": negative}
