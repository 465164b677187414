"""Is the explanation true? What the network loses when what it names is taken away.

Taught in lesson 10.
"""

from __future__ import annotations

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
    last conv layer (before the mask); integrated gradients start from a grey picture.

    Returns:
        name → (N, 16, 16), signed, but for Grad-CAM and the controls.
    """
    from captum.attr import IntegratedGradients, LayerGradCam

    cam = LayerGradCam(model, model.backbone).attribute(
        images, target=categories, relu_attributions=True
    )
    grey = torch.full_like(images, 0.5)
    slopes = IntegratedGradients(model).attribute(
        images, grey, target=categories, n_steps=32, internal_batch_size=256
    )
    generator = torch.Generator().manual_seed(0)
    axis = torch.arange(SIDE) - (SIDE - 1) / 2
    centre = -(axis[:, None] ** 2 + axis**2).expand(len(images), -1, -1)
    return {
        "parts": unit_contributions(model, images, categories).sum(1),
        "Grad-CAM": cam[:, 0].detach(),
        "integrated gradients": squares(slopes.detach().sum(1)),
        "centre first": centre,
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
    images, masks = data.floats(), data.part_masks()
    which, part = (masks.sum((2, 3)) >= 8).nonzero(as_tuple=True)
    seen = fills(images)["empty scene"][which]
    return which, part, torch.where(masks[which, part][:, None], seen, images[which])


@torch.no_grad()
def erasure_claims(
    model: SmallCNN, data: PartDataset, part_of_filter: Tensor
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """What each part is said to add to the predicted score, and what erasing it takes away.

    Args:
        model: a network.
        data: pictures with part masks.
        part_of_filter: (C,), as `icnn.explain.filter_parts` gives it.

    Returns:
        picture (M,), loss of score (M,), and for each method the claim (M,): "parts, by name" adds
        up the filters called after the part, the other ones what lies on the part's pixels.
    """
    images, masks = data.floats(), data.part_masks()
    which, part, without = erased(data)
    scores = icnn.predict(model, images)
    predicted = scores.argmax(1)
    after = icnn.predict(model, without).gather(1, predicted[which][:, None])[:, 0]
    loss = scores.gather(1, predicted[:, None])[which, 0] - after
    named = contributions(model, images).filters[torch.arange(len(images)), predicted]
    with torch.enable_grad():
        worth = attributions(model, images, predicted)
    share = nn.functional.avg_pool2d(masks[which, part].float()[:, None], 4)[:, 0]
    claims = {"parts, by name": by_part(named, part_of_filter, len(data.parts))[which, part]}
    for method, title in (
        ("parts", "parts, by place"),
        ("Grad-CAM", "Grad-CAM"),
        ("integrated gradients", "integrated gradients"),
    ):
        claims[title] = (worth[method][which] * share).sum((1, 2))
    return which, loss, claims | {"area": share.sum((1, 2))}


def agreement(which: Tensor, loss: Tensor, claim: Tensor) -> tuple[float, float]:
    """Correlation of claim and loss, and how often the greatest claim is the greatest loss."""
    hits = [bool(claim[which == i].argmax() == loss[which == i].argmax()) for i in which.unique()]
    return torch.corrcoef(torch.stack([loss, claim]))[0, 1].item(), sum(hits) / len(hits)


def named_filters(model: SmallCNN, data: PartDataset) -> Tensor:
    """`icnn.explain.filter_parts` of a network, on pictures that are not to be explained."""
    points, scores = peak_points(model, icnn.predict(model.maps, data.floats()))
    return filter_parts(points, scores, data.landmarks)
