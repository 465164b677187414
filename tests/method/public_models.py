"""The rest of the table of `public_functions.py`: layers, training, explanations, the release."""

from __future__ import annotations

from math import exp, log

import torch
from hypothesis import strategies as st
from public_functions import (
    ROUNDINGS,
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
from public_measures import NETWORK, marked, small_network
from torch import Tensor, nn

import icnn
from icnn import explain
from icnn.experiments import released
from icnn.experiments.rethink import assignment, transfer

# --- layer ---------------------------------------------------------------------------------------


def layer_and_forward(x, channels, size, beta, mask, training):
    return icnn.InterpretableLayer(channels, size, beta=beta, mask=mask).train(training)(x)


def right_layer(answer, x, channels, size, beta, mask, training) -> None:
    finite(answer, x.shape, x.dtype)
    assert answer.requires_grad == x.requires_grad
    assert torch.equal(answer, x * icnn.part_mask(x, beta=beta) if mask else x)


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
        "sharpness": draw(st.sampled_from([2.0, 0.1, 100.0])),
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
        scores = model.eval()(dataset.images).tolist()
    hits = [int(b > a) == label for (a, b), label in zip(scores, dataset.labels, strict=True)]
    assert abs(answer - sum(hits) / 6) <= 1e-6


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

PLAIN = icnn.small_cnn("plain").eval()


def pictures(draw, side: int = 16) -> Tensor:
    return numbers(draw, *counts(draw, 3), 3, side, side, dtype=torch.float32)


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
    assert answer.head.classifier.out_features == n_categories
    wanted = nn.Identity if variant == "plain" else icnn.InterpretableLayer
    assert type(answer.head.layer) is wanted


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


def right_names(answer, points, scores, landmarks, least=0.3) -> None:
    part, tracking = icnn.best_part_tracking(points, scores, landmarks)
    wanted = [k if t >= least else -1 for k, t in zip(part.tolist(), tracking, strict=True)]
    assert answer.tolist() == wanted


@public("explain.filter_parts", explain.filter_parts, right_names)
def _(draw):
    drawn = marked(draw)
    del drawn["top"]
    return drawn | {"least": draw(st.sampled_from([0.3, 0, -1.0, 1]))}


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
    slack = ROUNDINGS * torch.finfo(x.dtype).eps * x.shape[-1]
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


@public("rethink.transfer.auroc", transfer.auroc, right_auroc)
def _(draw):
    positive, negative = (numbers(draw, *counts(draw, 6), lowest=-1.0) for _ in range(2))
    return {"positive": positive, "negative": negative}
