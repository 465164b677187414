"""Contributions add up to the score, and deletion takes away what it should."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import icnn
from icnn import explain
from icnn.experiments.ablation import MaxClassifier
from icnn.network import MeanClassifier

IMAGES = icnn.data.creatures("test").floats(slice(0, 6))
CATEGORIES = torch.tensor([0, 1, 2, 3, 4, 0])


@pytest.fixture(params=icnn.network.VARIANTS, scope="module")
def model(request: pytest.FixtureRequest) -> icnn.SmallCNN:
    return icnn.checkpoints.load(request.param, 0)


def test_contributions_add_up_to_the_scores(model) -> None:
    filters, bias = explain.contributions(model, IMAGES)
    assert filters.shape == (6, 5, 48)
    scores = icnn.predict(model, IMAGES)
    assert (filters.sum(2) + bias - scores).abs().max() <= 1e-5
    exact = model.double()
    filters, bias = explain.contributions(exact, IMAGES.double())
    assert (filters.sum(2) + bias - icnn.predict(exact, IMAGES.double())).abs().max() <= 1e-12
    model.float()


def test_a_contribution_by_hand(model) -> None:
    filters, _ = explain.contributions(model, IMAGES)
    maps = model.head.layer(icnn.predict(model.maps, IMAGES))
    by_hand = sum(maps[2, 7].flatten().tolist()) / 256 * MeanClassifier.gain
    by_hand *= model.head.classifier.weight[3, 7].item()
    assert filters[2, 3, 7].item() == pytest.approx(by_hand, rel=1e-4, abs=1e-6)


def test_without_a_filter_the_score_lacks_its_contribution(model) -> None:
    filters, _ = explain.contributions(model, IMAGES)
    maps = model.head.layer(icnn.predict(model.maps, IMAGES))
    gone = maps.clone()
    gone[:, 5] = 0
    with torch.no_grad():
        loss = model.head.classifier(maps) - model.head.classifier(gone)
    assert (loss - filters[:, :, 5]).abs().max() <= 1e-5


def test_units_add_up_to_filters(model) -> None:
    filters, _ = explain.contributions(model, IMAGES)
    units = explain.unit_contributions(model, IMAGES, CATEGORIES)
    assert units.shape == (6, 48, 16, 16)
    assert (units.sum((2, 3)) - filters[torch.arange(6), CATEGORIES]).abs().max() <= 1e-5


def test_grad_cam_behind_the_mask_is_the_positive_part(model) -> None:
    """With a head on means Grad-CAM is a class activation map, up to a constant."""
    maps = model.head.layer(model.maps(IMAGES)).detach().requires_grad_()
    model.head.classifier(maps).gather(1, CATEGORIES[:, None]).sum().backward()
    cam = (maps.grad.mean((2, 3), keepdim=True) * maps).sum(1).relu().detach()
    units = explain.unit_contributions(model, IMAGES, CATEGORIES).sum(1).relu()
    assert (cam - units).abs().max() <= 1e-6


def test_parts_lose_nothing() -> None:
    contribution = torch.tensor([[1.0, 2.0, -4.0, 8.0, 16.0]])
    part = torch.tensor([2, 0, 2, -1, -1])
    assert explain.by_part(contribution, part, 3).tolist() == [[2, 0, -3, 24]]


def test_a_filter_is_called_after_the_part_it_tracks() -> None:
    generator = torch.Generator().manual_seed(0)
    landmarks = 64 * torch.rand(200, 3, 2, generator=generator)
    wild = 64 * torch.rand(200, 2, generator=generator)
    points = torch.stack([landmarks[:, 2] + 3, landmarks[:, 0], wild], 1)
    scores = torch.rand(200, 3, generator=generator)
    assert explain.filter_parts(points, scores, landmarks).tolist() == [2, 0, -1]
    assert explain.filter_parts(points, scores, landmarks, least=1.1).tolist() == [-1, -1, -1]


class Brightness(nn.Module):
    """Category 1 is as probable as the picture's left upper quarter is bright."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        p = images[:, :, :4, :4].mean((1, 2, 3)).clamp(1e-6, 1 - 1e-6)
        return torch.stack([(1 - p).log(), p.log()], 1)


def test_deletion_by_hand() -> None:
    white, black = torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    first = torch.tensor([[[3.0, 2.0], [1.0, 0.0]]])  # squares of 4 × 4 pixels
    category = torch.tensor([1])
    falls = explain.deletion(Brightness(), white, category, first, black, steps=4)
    assert falls.tolist()[0] == pytest.approx([1, 0, 0, 0, 0], abs=1e-5)
    late = explain.deletion(Brightness(), white, category, -first, black, steps=4)
    assert late.tolist()[0] == pytest.approx([1, 1, 1, 1, 0], abs=1e-5)
    two = explain.deletion(Brightness(), white, category, -first, black, steps=2)
    assert two.tolist()[0] == pytest.approx([1, 1, 0], abs=1e-5)


MODEL = icnn.small_cnn("plain").eval()
OTHER_HEAD = icnn.small_cnn("plain")
OTHER_HEAD.head.classifier = MaxClassifier(48, 5)
WORTH, LABELS = torch.rand(6, 16, 16), CATEGORIES


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (explain.contributions, (OTHER_HEAD, IMAGES), "model"),
        (explain.contributions, (MODEL, IMAGES.byte()), "images"),
        (explain.contributions, (MODEL, IMAGES[0]), "images"),
        (explain.contributions, (MODEL, IMAGES[:0]), "images"),
        (explain.unit_contributions, (MODEL, IMAGES, LABELS[:2]), "categories"),
        (explain.unit_contributions, (MODEL, IMAGES, LABELS + 1), "categories"),
        (explain.by_part, (torch.ones(4), torch.zeros(3).long(), 2), "part"),
        (explain.by_part, (torch.ones(3), torch.tensor([0, 1, 2]), 2), "part"),
        (explain.by_part, (torch.ones(3), torch.tensor([0, 1, -2]), 2), "part"),
        (explain.by_part, (torch.ones(3).long(), torch.zeros(3).long(), 2), "contribution"),
        (explain.by_part, (torch.ones(3), torch.zeros(3).long(), 0), "n_parts"),
        (explain.deletion, (MODEL, IMAGES, LABELS, WORTH[0], IMAGES), "importance"),
        (explain.deletion, (MODEL, IMAGES, LABELS, WORTH[:, :15, :15], IMAGES), "importance"),
        (explain.deletion, (MODEL, IMAGES, LABELS, WORTH / 0, IMAGES), "importance"),
        (explain.deletion, (MODEL, IMAGES, LABELS, WORTH, IMAGES[:2]), "fill"),
        (explain.deletion, (MODEL, IMAGES, LABELS[:2], WORTH, IMAGES), "categories"),
    ],
)
def test_bad_input_is_named(function, arguments, name) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{name} must"):
        function(*arguments)


def test_deletion_needs_a_step() -> None:
    with pytest.raises(ValueError, match="steps must be an int from 1"):
        explain.deletion(MODEL, IMAGES, LABELS, WORTH, IMAGES, steps=0)
