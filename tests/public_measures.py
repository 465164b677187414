"""The rest of the table of `public_functions.py`: layers, measures, explanations, the release."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from public_functions import beta, close, counts, finite, labels, maps, numbers, public, truths
from torch import Tensor, nn

import icnn
from icnn import explain, released

# --- layer ---------------------------------------------------------------------------------------


def layer_and_forward(x, channels, size, beta, mask, training):
    layer = icnn.InterpretableLayer(channels, size, beta=beta, mask=mask).train(training)
    return layer, layer(x)


def right_layer(answer, x, channels, size, beta, mask, training) -> None:
    layer, y = answer
    wanted = x * icnn.part_mask(x, beta=beta) if mask else x
    assert torch.equal(y, wanted) and y.dtype == x.dtype
    assert y.requires_grad == x.requires_grad
    if training:
        loss = layer.losses()
        assert loss.isfinite() and loss.requires_grad == x.requires_grad


@public("InterpretableLayer", layer_and_forward, right_layer)
def _(draw):
    x = maps(draw)
    yes = st.booleans()
    return {"x": x, "channels": x.shape[1], "size": x.shape[-1], "beta": beta(draw)} | {
        "mask": draw(yes),
        "training": draw(yes),
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


def right_instability(answer, points, scores, landmarks, image_size, top=100) -> None:
    height, width = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    diagonal = (height**2 + width**2) ** 0.5

    def spread(p: Tensor, q: Tensor) -> float:
        return sample_variance((q - p).norm(dim=-1)[:, None] / diagonal) ** 0.5

    wanted = table(points, scores, landmarks, top, spread).nanmean(1)
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
        wanted = torch.full((1,), torch.nan, dtype=points.dtype)
        if own.any():
            one = points[own][:, f : f + 1], scores[own][:, f : f + 1], landmarks[own]
            wanted = icnn.location_instability(*one, image_size, top=top).detach()
        same(answer[f : f + 1], wanted.double(), 1 + float(points.detach().abs().max()))


@public(
    "location_instability_by_category", icnn.location_instability_by_category, right_by_category
)
def _(draw):
    drawn = marked(draw)
    images, filters = drawn["scores"].shape
    categories = {"labels": labels(draw, images), "target_category": labels(draw, filters)}
    return drawn | categories | {"image_size": image_size(draw)}


def right_tracking(answer, points, scores, landmarks, top=100) -> None:
    def tracking(p: Tensor, q: Tensor) -> float:
        still = bool((q == q[0]).all())
        return float("nan") if still else 1 - sample_variance(p - q) / sample_variance(q)

    wanted = table(points, scores, landmarks, top, tracking)
    same(answer, wanted, 1e6)  # landmarks that hardly move: a quotient of two small differences


public("part_tracking", icnn.part_tracking, right_tracking)(marked)


def right_best(answer, points, scores, landmarks, top=100) -> None:
    part, tracking = answer
    assert part.shape == tracking.shape == points.shape[1:2] and tracking.dtype == points.dtype
    assert ((part >= -1) & (part < landmarks.shape[1])).all()
    assert ((part == -1) == tracking.isnan()).all()
    known = tracking[part >= 0]
    assert ((known >= -1) & (known <= 1)).all()


public("best_part_tracking", icnn.best_part_tracking, right_best)(marked)


def right_names(answer, points, scores, landmarks, least=0.3) -> None:
    finite(answer, points.shape[1:2], torch.int64)
    assert ((answer >= -1) & (answer < landmarks.shape[1])).all()


@public("explain.filter_parts", explain.filter_parts, right_names)
def _(draw):
    drawn = marked(draw)
    del drawn["top"]
    return drawn | {"least": draw(st.sampled_from([0.3, 0, -1.0, 1]))}


def right_control(answer, landmarks, image_size, top=100, grid=16) -> None:
    places = table(
        torch.zeros(len(landmarks), 1, 2),
        torch.ones(len(landmarks), 1),
        landmarks,
        top,
        lambda *_: 1,
    )
    known = not places.isnan().all()
    for value in answer:
        assert (value >= 0) == known and value != float("inf")
    assert not known or answer.best <= answer.centre


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
    silent = torch.tensor([float(f.detach().double().mean()) == 0 for f in maps.unbind(1)])
    assert answer.shape == silent.shape and answer.dtype == maps.dtype
    assert answer.isnan().tolist() == silent.tolist()
    least = 1 / len(labels.unique()) - 0.01
    assert ((answer[~silent] >= least) & (answer[~silent] <= 1.01)).all()


@public("category_selectivity", icnn.category_selectivity, right_selectivity)
def _(draw):
    x = maps(draw)
    return {"maps": x, "labels": labels(draw, len(x))}


def right_interpretability(answer, maps, part_masks, quantile=0.995, iou=0.2) -> None:
    assert answer.shape == maps.shape[1:2] and not answer.isinf().any()
    assert answer.isnan().all() == (not part_masks.any())
    assert part_masks.any() == (not answer.isnan().any())
    assert ((answer >= 0) & (answer <= 1) | answer.isnan()).all()


@public("part_interpretability", icnn.part_interpretability, right_interpretability)
def _(draw):
    x = maps(draw)
    masks = truths(draw, len(x), *counts(draw, 3, 9, 9))
    shares = {n: draw(st.sampled_from([0.005, 0.5, 0.995])) for n in ("quantile", "iou")}
    return {"maps": x, "part_masks": masks} | shares


def right_bootstrap(answer, statistic, n_images, samples=200, seed=0) -> None:
    assert 0 <= answer.low <= answer.high <= n_images - 1


@public("bootstrap", icnn.bootstrap, right_bootstrap)
def _(draw):
    drawn = {"n_images": draw(st.integers(1, 20)), "samples": draw(st.integers(1, 20))}
    return drawn | {"statistic": lambda i: i.double().mean(), "seed": draw(st.integers(0, 9))}


# --- receptive fields ----------------------------------------------------------------------------


def right_upscale(answer, maps, image_size) -> None:
    height, width = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    finite(answer, (*maps.shape[:2], height, width), maps.dtype)
    flat, wide = maps.detach().flatten(2), answer.detach().flatten(2)
    slack = 0.02 * flat.abs().amax()
    assert (wide.amin(2) >= flat.amin(2) - slack).all()
    assert (wide.amax(2) <= flat.amax(2) + slack).all()
    assert answer.requires_grad == maps.requires_grad


@public("upscale", icnn.upscale, right_upscale)
def _(draw):
    return {"maps": maps(draw, lowest=-1.0), "image_size": image_size(draw)}


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 3, 2), nn.ReLU()).eval()


NETWORK = small_network()


def right_centres(answer, module, image_size) -> None:
    sides = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    maps = module(torch.zeros(1, 3, *sides))
    assert maps.shape[2:] == (len(answer.rows), len(answer.cols))
    assert answer.rows[0] == answer.size[0] / 2


@public("unit_centres", icnn.unit_centres, right_centres)
def _(draw):
    return {"module": NETWORK, "image_size": draw(st.sampled_from([3, 64, (48, 64)]))}


def right_discrepancy(answer, features, image, unit_filter, patch=11, stride=3) -> None:
    finite(answer, image.shape[1:], torch.float32)
    assert (answer >= 0).all()


@public("discrepancy_map", icnn.discrepancy_map, right_discrepancy, share=0.3)
def _(draw):
    image = numbers(draw, 3, 12, 12, dtype=torch.float32)
    return {"features": NETWORK, "image": image, "unit_filter": 1, "patch": 5, "stride": 3}


def right_average(answer, features, images, unit_filter, top=10, patch=11, stride=3) -> None:
    right_discrepancy(answer, features, images[0], unit_filter)


@public("average_receptive_field", icnn.average_receptive_field, right_average, share=0.3)
def _(draw):
    images = numbers(draw, *counts(draw, 3), 3, 12, 12, dtype=torch.float32)
    options = {"unit_filter": 0, "patch": 6, "stride": 4, "top": draw(st.integers(1, 4))}
    return {"features": NETWORK, "images": images} | options


# --- explanations --------------------------------------------------------------------------------

MODEL = icnn.small_cnn()


def pictures(draw, side: int = 16) -> Tensor:
    return numbers(draw, *counts(draw, 3), 3, side, side, dtype=torch.float32)


def explained(images: Tensor) -> Tensor:
    """The scores, of a network whose layer fits images of this size."""
    return icnn.predict(PLAIN, images.detach())


PLAIN = icnn.small_cnn("plain").eval()


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
    own = filters[torch.arange(len(images)), categories]
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
        close(answer[..., k], wanted, size=contribution.shape[-1] * contribution.abs().max().item())


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
        wanted = explained(seen).softmax(1).gather(1, categories[:, None])[:, 0]
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
    finite(answer, (*x.shape[:2], 2), torch.int64)
    assert ((answer >= 0) & (answer < x.shape[-1])).all()


public("released.mean_position", released.mean_position, right_position)(
    lambda draw: {"x": maps(draw)}
)


def right_activation_spread(answer, x, where) -> None:
    finite(answer, x.shape[:2], x.dtype)
    assert ((answer >= 0) & (answer <= 2 * x.shape[-1])).all()


@public("released.activation_spread", released.activation_spread, right_activation_spread)
def _(draw):
    x = maps(draw)
    return {"x": x, "where": places(draw, *x.shape[:2], x.shape[-1])}


def places(draw, batch: int, channels: int, n: int) -> Tensor:
    return labels(draw, batch * channels * 2, n).view(batch, channels, 2)


def right_template(answer, where, beta, n) -> None:
    finite(answer, (*where.shape[:2], n, n), beta.dtype)
    assert ((answer >= -1) & (answer <= 1)).all()
    rows, cols = where.unbind(-1)
    peak = answer.flatten(2).gather(2, (rows * n + cols)[..., None])
    assert (peak == 1).all()


@public("released.released_template", released.released_template, right_template)
def _(draw):
    batch, channels, n = counts(draw, 3, 3, 5)
    slopes = 0.5 + numbers(draw, channels, layout="plain")
    return {"where": places(draw, batch, channels, n), "beta": slopes, "n": n}


def right_push(answer, x, template, is_target, share=None) -> None:
    finite(answer, x.shape, x.dtype)


@public("released.released_gradient", released.released_gradient, right_push)
def _(draw):
    x = maps(draw)
    template = numbers(draw, *x.shape, dtype=x.dtype, lowest=-1.0).clamp(-1, 1)
    share = draw(st.sampled_from([None, 0.5, 0.2]))
    return {"x": x, "template": template, "is_target": truths(draw, *x.shape[:2]), "share": share}
