"""The networks of lesson 8 and the table that ships with it."""

from __future__ import annotations

import csv
import io

import pytest
import torch

import icnn
from icnn._files import DATA, read_verified
from icnn.experiments import ablation
from icnn.templates import part_templates


def test_the_table_has_three_seeds_of_each_network() -> None:
    text = read_verified(DATA / "ablations" / "results.csv").read().decode()
    rows = [(r["configuration"], int(r["seed"])) for r in csv.DictReader(io.StringIO(text))]
    assert rows == [(name, seed) for name in ablation.CONFIGURATIONS for seed in (0, 1, 2)]


@pytest.mark.parametrize("name", ablation.CONFIGURATIONS)
def test_every_network_can_be_trained(name) -> None:
    model = ablation.build(name, seed=1).train()
    images, labels = torch.rand(6, 3, 64, 64), torch.arange(6) % 5
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    (loss + icnn.filter_losses(model, labels)).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    first = icnn.small_cnn("plain", seed=1).backbone[0].weight
    assert model.backbone[0].weight.equal(first)


def test_an_unknown_network() -> None:
    with pytest.raises(ValueError, match="name must be one of plain"):
        ablation.build("fancy")


def test_where_the_masks_sit() -> None:
    x = torch.zeros(1, 1, 9, 9)
    x[0, 0, 1:4, 1:4], x[0, 0, 7, 6] = 1.0, 1.5
    best = ablation.BestTemplateLayer(1, 9).eval()
    fits = (part_templates(9)[:-1] * x[0]).sum((1, 2))
    place = divmod(int(fits.argmax()), 9)
    assert place == (2, 2)
    assert best._mask_of(x, None)[0, 0][place] == 1
    mean = ablation.MeanPositionLayer(1, 9).eval()._mask_of(x, None)[0, 0]
    rows = (x.sum((0, 1, 3)) * torch.arange(9)).sum() / x.sum()
    columns = (x.sum((0, 1, 2)) * torch.arange(9)).sum() / x.sum()
    wanted = 1 - 4 / 9 * ((rows - 3).abs() + (columns - 3).abs())
    assert float(mean[3, 3]) == pytest.approx(max(float(wanted), 0), abs=1e-6)
    two = ablation.TwoPeaksLayer(1, 9).eval()(x)[0, 0]
    assert two[7, 6] == 1.5 and two[1, 1] == 1
    assert icnn.InterpretableLayer(1, 9).eval()(x)[0, 0][1, 1] == 0


def test_equation_4_as_a_loss_has_the_gradient_of_equation_4() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(6, 3, 5, 5, generator=generator, dtype=torch.float64).requires_grad_()
    layer = ablation.PaperGradientLayer(3, 5, weight=0.5).double().train()
    layer(x)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    with pytest.raises(ValueError, match="labels must be given"):
        layer.losses()
    layer.losses(labels).backward()
    is_target = labels[:, None] == layer.target_category
    gain = (layer.sharpness / layer.scale * 2 * 25)[:, None, None]
    wanted = 0.5 * gain * icnn.paper_gradient((x * gain).detach(), is_target)
    assert (x.grad - wanted).abs().max() <= 1e-12


def test_shuffled_labels_are_those_of_other_pictures() -> None:
    x, labels = torch.rand(4, 3, 5, 5).requires_grad_(), torch.tensor([0, 1, 2, 3])
    found = []
    for kind, given in (
        (ablation.ShuffledLabelsLayer, labels),
        (ablation.PaperGradientLayer, torch.tensor([3, 0, 1, 2])),
    ):
        layer = kind(3, 5, n_categories=5).train()
        layer(x)
        found.append((torch.autograd.grad(layer.losses(given), x)[0], layer.category_means))
    (shuffled, its), (true, other) = found
    assert shuffled.equal(true) and its.equal(other)


def test_a_frozen_z_leaves_the_loss_and_loses_the_baseline() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(6, 3, 5, 5, generator=generator, dtype=torch.float64)
    gradients = []
    for kind in (ablation.FrozenLayer, icnn.InterpretableLayer):
        y, layer = x.clone().requires_grad_(), kind(3, 5, weight=0.5).double().train()
        layer(y)
        loss = layer.losses()
        loss.backward()
        gradients.append((loss.detach(), y.grad))
    (frozen, without), (exact, with_it) = gradients
    assert frozen == pytest.approx(exact.item(), abs=1e-12)
    gain = (layer.sharpness / layer.scale)[:, None, None]
    templates = icnn.part_templates(5, tau=1.0, dtype=torch.float64)
    p = icnn.fitness(x * gain, templates).softmax(0)
    ell = p.log() - (p.mean(-1, keepdim=True)).log()
    baseline = (p * (p * ell).sum(0) / 26) @ templates.flatten(1)
    missing = -0.5 / 3 * gain * baseline.unflatten(-1, (5, 5))
    assert (without - with_it - missing).abs().max() <= 1e-10


def test_the_maximum_does_not_see_the_mask() -> None:
    x = torch.rand(3, 48, 16, 16)
    head = ablation.MaxClassifier(48, 5)
    assert head(x).equal(head(x * icnn.part_mask(x)))


def test_tints_change_the_background_only() -> None:
    data = icnn.data.creatures("validation").subset(slice(0, 200))
    own, other = (ablation.tinted(data, share=1.0, shift=s) for s in (0, 1))
    animal = (data.part_ids > 0)[:, None].expand_as(data.images)
    assert own.images[animal].equal(data.images[animal])
    tint = ablation.TINTS[data.labels][..., None, None].expand_as(data.images)
    wanted = ((data.images.float() + tint) / 2).to(torch.uint8)
    assert own.images[~animal].equal(wanted[~animal])
    assert not other.images[~animal].equal(own.images[~animal])
    mixed = ablation.tinted(data, share=0.9)
    same = (mixed.images == own.images).flatten(1).all(1).float().mean()
    assert 0.85 < same < 1  # nine of ten, and one in five of the others by chance
    assert data.images.equal(icnn.data.creatures("validation").images[:200])
