"""Is the explanation true? What is lost with the part that it names. Taught in lesson 10."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

import icnn
from icnn.data import PartDataset
from icnn.experiments.rethink.redundancy import peak_points
from icnn.explain import by_part, contributions, deletion, filter_parts, unit_contributions
from icnn.network import SIDE, SmallCNN

ORDERS = ("parts", "Grad-CAM", "integrated gradients", "centre first", "random")


def attributions(model: SmallCNN, images: Tensor, categories: Tensor) -> dict[str, Tensor]:
    """What each 4 × 4 square of the pictures is worth, by three methods and two controls.

    "parts" adds up the units' contributions; Grad-CAM is taken where one usually takes it, at the
    last conv layer (before the mask); integrated gradients start from a grey picture. Each is
    (N, 16, 16), signed, but for Grad-CAM and the controls.
    """
    from captum.attr import IntegratedGradients, LayerGradCam

    cam, integrated = LayerGradCam(model, model.backbone), IntegratedGradients(model)
    cam = cam.attribute(images, target=categories, relu_attributions=True)
    steps = {"n_steps": 32, "internal_batch_size": 256}
    grey = torch.full_like(images, 0.5)
    slopes = integrated.attribute(images, grey, target=categories, **steps)
    generator, axis = torch.Generator().manual_seed(0), torch.arange(SIDE) - (SIDE - 1) / 2
    return {
        "parts": unit_contributions(model, images, categories).sum(1),
        "Grad-CAM": cam[:, 0].detach(),
        "integrated gradients": squares(slopes.detach().sum(1)),
        "centre first": -(axis[:, None] ** 2 + axis**2).expand(len(images), -1, -1),
        "random": torch.rand(len(images), SIDE, SIDE, generator=generator),
    }


def squares(values: Tensor) -> Tensor:
    """Sums of (N, 64, 64) over 4 × 4 squares: (N, 16, 16)."""
    return nn.functional.avg_pool2d(values[:, None], 4)[:, 0] * 16


def fills(images: Tensor) -> dict[str, Tensor]:
    """What may be seen where a picture was taken away: another scene, or itself, blurred."""
    empty = icnn.data.creatures("empty").floats()
    blurred = nn.functional.avg_pool2d(images, 17, 1, 8, count_include_pad=False)
    return {"empty scene": empty[torch.arange(len(images)) % len(empty)], "blur": blurred}


def deletion_areas(model: SmallCNN, images: Tensor) -> dict[tuple[str, str], float]:
    """(fill, method) → mean probability of the predicted category while squares are taken away."""
    predicted = icnn.predict(model, images).argmax(1)
    worth = attributions(model, images, predicted)
    return {
        (fill, name): deletion(model, images, predicted, worth[name], seen, steps=8).mean().item()
        for fill, seen in fills(images).items()
        for name in worth
    }


def erased(data: PartDataset) -> tuple[Tensor, Tensor, Tensor]:
    """Every picture without each of its parts: which picture (M,), which part (M,), pictures.

    The pixels of the part show those of an empty scene; parts of less than 8 pixels stay.
    """
    images, (which, part, masks) = data.floats(), _visible(data)
    seen = fills(images)["empty scene"][which]
    return which, part, torch.where(masks[:, None], seen, images[which])


def _visible(data: PartDataset) -> tuple[Tensor, Tensor, Tensor]:
    masks = data.part_masks()
    which, part = (masks.sum((2, 3)) >= 8).nonzero(as_tuple=True)
    return which, part, masks[which, part]


class Erasure(NamedTuple):
    """For M erased parts: pictures, cells (predicted category and part), lost scores, claims."""

    picture: Tensor
    cell: Tensor
    loss: Tensor
    claims: dict[str, Tensor]


@torch.no_grad()
def erasure_claims(model: SmallCNN, data: PartDataset, known: PartDataset) -> Erasure:
    """What the names say that each part adds to the predicted score, and what erasing it costs.

    "parts, by name" adds up the filters called after the part. Three controls: the names dealt out
    anew; a table that never looks at the picture, the mean claim for each category and part on
    other pictures; and the part's area. The `known` are other pictures, with landmarks, for the
    names and for the table.
    """
    images, n_parts, names = data.floats(), len(data.parts), named_filters(model, known)
    which, part, without = erased(data)
    scores, predicted = icnn.predict(model, images).max(1)
    after = icnn.predict(model, without).gather(1, predicted[which][:, None])[:, 0]
    shuffled = names[torch.randperm(len(names), generator=torch.Generator().manual_seed(0))]
    elsewhere, foreseen = _named_claims(model, known.floats(), names, n_parts)
    table = torch.stack([elsewhere[foreseen == k].mean(0) for k in range(len(data.categories))])
    claims = {
        "parts, by name": _named_claims(model, images, names, n_parts)[0][which, part],
        "names, shuffled": _named_claims(model, images, shuffled, n_parts)[0][which, part],
        "table of names": table[predicted[which], part],
        "area": _on_part(torch.ones(len(images), SIDE, SIDE), data),
    }
    return Erasure(which, predicted[which] * n_parts + part, scores[which] - after, claims)


def _named_claims(
    model: SmallCNN, images: Tensor, names: Tensor, n_parts: int
) -> tuple[Tensor, Tensor]:
    """What filters of each name add to the predicted score (N, n_parts + 1), and its category."""
    filters, bias = contributions(model, images)
    predicted = (filters.sum(2) + bias).argmax(1)
    return by_part(filters[torch.arange(len(images)), predicted], names, n_parts), predicted


def claims_by_place(model: SmallCNN, data: PartDataset) -> dict[str, Tensor]:
    """For each method (M,): what its map adds up to on the pixels of each part of `erased`."""
    worth = attributions(model, data.floats(), icnn.predict(model, data.floats()).argmax(1))
    names = {"parts": "parts, by place"} | {name: name for name in ORDERS[1:3]}
    return {title: _on_part(worth[name], data) for name, title in names.items()}


def _on_part(worth: Tensor, data: PartDataset) -> Tensor:
    which, _, masks = _visible(data)
    return (worth[which] * squares(masks.float()) / 16).sum((1, 2))


def agreement(claim: Tensor, found: Erasure) -> tuple[float, float, float]:
    """How well a claim (M,) foretells the loss.

    Their correlation; how often the greatest claim of a picture is its greatest loss; and their
    correlation within a category and part, which a claim that never looks cannot have (NaN).
    """
    pictures = [found.picture == i for i in found.picture.unique()]
    hits = [bool(claim[one].argmax() == found.loss[one].argmax()) for one in pictures]
    return _overall(claim, found), sum(hits) / len(hits), _within(claim, found)


def _overall(claim: Tensor, found: Erasure) -> float:
    return torch.corrcoef(torch.stack([claim, found.loss]).double())[0, 1].item()


def _within(claim: Tensor, found: Erasure) -> float:
    """Correlation of claim and loss, each minus its mean over its category and part."""
    member = nn.functional.one_hot(found.cell).double()
    both = torch.stack([claim, found.loss], 1).double()
    off = both - member @ (member.T @ both / member.sum(0).clamp_min(1)[:, None])
    return float("nan") if off[:, 0].abs().max() < 1e-5 else torch.corrcoef(off.T)[0, 1].item()


def name_intervals(seeds: list[Erasure], n_pictures: int) -> dict[str, tuple[float, ...]]:
    """What the names say beyond each control: mean over seeds, and its 95 % interval (low, high).

    "within": their correlation within a category and part, beyond that of shuffled names. A picture
    is drawn with all its parts, and for all seeds.
    """

    def gain(minus: str, measure: Callable[[Tensor, Erasure], float], images: Tensor) -> Tensor:
        counts, gains = images.bincount(minlength=n_pictures), []
        for one in seeds:
            row = torch.arange(len(one.loss)).repeat_interleave(counts[one.picture])
            drawn = Erasure(*(column[row] for column in one[:3]), {})
            pair = (one.claims[name][row] for name in ("parts, by name", minus))
            named, control = (measure(claim, drawn) for claim in pair)
            gains.append(named - control)
        return torch.tensor(gains).double()

    rows = {}
    for minus in ("table of names", "names, shuffled", "area", "within: names, shuffled"):
        measure = _within if minus.startswith("within") else _overall
        statistic = partial(gain, minus.removeprefix("within: "), measure)
        mean = statistic(torch.arange(n_pictures)).mean().item()
        rows[minus] = mean, *icnn.measure.bootstrap(statistic, n_pictures)
    return rows


@torch.no_grad()
def left_without(model: SmallCNN, data: PartDataset, known: PartDataset) -> Tensor:
    """What is left of a filter's peak when a part is erased, on pictures of its own category.

    (C, K): mean peak without the part, divided by that with it; NaN where no picture has it. The
    `known` are other pictures, to find the category of a filter.
    """
    maps = icnn.predict(model.maps, known.floats())
    own = icnn.assign_categories(maps, known.labels, len(known.categories))
    which, part, without = erased(data)
    before = icnn.predict(model.maps, data.floats()).amax((2, 3))[which]
    after = icnn.predict(model.maps, without).amax((2, 3))
    counted = (data.labels[which][:, None] == own).float()
    member = nn.functional.one_hot(part, len(data.parts)).float()
    return ((after * counted).T @ member) / ((before * counted).T @ member)


def silence(left: Tensor, names: Tensor) -> tuple[float, float, float]:
    """Means over the filters with a name, of `left_without` (C, K) and their names (C,).

    What is left without the part of that name; without another part; how often the first is least.
    """
    left, names = left[names >= 0], names[names >= 0]
    named = nn.functional.one_hot(names, left.shape[1]).bool()
    first = (left.nan_to_num(torch.inf).argmin(1) == names).double().mean()
    others = left.masked_fill(named, torch.nan).nanmean(1)
    return left[named].nanmean().item(), others.nanmean().item(), first.item()


def named_filters(model: SmallCNN, data: PartDataset) -> Tensor:
    """`icnn.explain.filter_parts` of a network, on pictures that are not to be explained."""
    maps = icnn.predict(model.maps, data.floats())
    return filter_parts(*peak_points(model, maps), data.landmarks)
