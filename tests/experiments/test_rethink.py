"""The experiments of lesson 10 and the tables that ship with it."""

from __future__ import annotations

import csv
import io
from math import log

import pytest
import torch
from torch import nn

import icnn
from icnn._files import DATA, read_verified
from icnn.experiments.rethink import (
    assignment,
    faithfulness,
    familiarity,
    networks,
    redundancy,
    transfer,
)
from icnn.experiments.rethink.transfer import auroc
from icnn.network import VARIANTS, small_cnn

SEEDS = ("0", "1", "2")
READ_OTHERWISE = ("plain, masked", "plain, max", "mask only, max", "interpretable, max")


def rows(name: str) -> list[dict[str, str]]:
    text = read_verified(DATA / "rethink" / f"{name}.csv").read().decode()
    return list(csv.DictReader(io.StringIO(text)))


def keys(name: str, *columns: str) -> list[tuple[str, ...]]:
    return sorted(tuple(row[column] for column in columns) for row in rows(name))


def test_the_tables_have_three_seeds_of_everything() -> None:
    assert keys("runs", "configuration", "seed", "split") == sorted(
        (name, seed, split)
        for name in networks.CONFIGURATIONS
        for seed in SEEDS
        for split in ("validation", "test")
    )
    assert keys("transfer", "network", "seed", "shots") == sorted(
        (name, seed, str(shots))
        for name in [*VARIANTS, "untrained", *READ_OTHERWISE]
        for seed in SEEDS
        for shots in transfer.SHOTS
    )
    scores = ("max softmax", "energy", "template", "pattern", "arrangement", "neighbour")
    assert keys("familiarity", "network", "seed", "shift", "score") == sorted(
        (name, seed, shift, score)
        for name in VARIANTS
        for seed in SEEDS
        for shift in familiarity.SHIFTS
        for score in (*scores, "Mahalanobis")
    )
    claims = ("parts, by name", "parts, by place", "Grad-CAM", "integrated gradients", "area")
    tests = [("deletion", f, m) for f in ("empty scene", "blur") for m in faithfulness.ORDERS]
    tests += [("erasure", "empty scene", claim) for claim in claims]
    assert keys("faithfulness", "network", "seed", "test", "fill", "method") == sorted(
        (name, seed, *test) for name in VARIANTS for seed in SEEDS for test in tests
    )
    controls = ("table of names", "names, shuffled", "area")
    assert keys("names", "network", "seed", "method") == sorted(
        (name, seed, method)
        for name in VARIANTS
        for seed in SEEDS
        for method in ("parts, by name", *controls)
    )
    assert keys("silence", "network", "seed") == sorted((n, s) for n in VARIANTS for s in SEEDS)
    assert keys("name_intervals", "network", "names minus") == sorted(
        (name, control) for name in VARIANTS for control in (*controls, "within: names, shuffled")
    )


@pytest.mark.parametrize("name", networks.CONFIGURATIONS)
def test_every_network_can_be_trained(name) -> None:
    model = networks.build(name, seed=1).train()
    images, labels = torch.rand(6, 3, 64, 64), torch.arange(6) % 5
    for _ in range(2):
        loss = nn.functional.cross_entropy(model(images), labels)
        (loss + icnn.filter_losses(model, labels)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.backbone(images).shape[1] == networks.CONFIGURATIONS[name].filters
    assert model.backbone[0].weight.equal(small_cnn("plain", seed=1).backbone[0].weight)
    same = networks.build(name, seed=1).state_dict()
    assert all(networks.build(name, seed=1).state_dict()[key].equal(same[key]) for key in same)


def test_an_unknown_network() -> None:
    with pytest.raises(ValueError, match="name must be one of plain, 64 filters"):
        networks.build("fancy")


def test_information_about_the_label_by_hand() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    activation = torch.tensor([[9.0, 1, 5], [8, 9, 5], [1, 2, 5], [2, 8, 5]])
    information = assignment.label_information(activation, labels, 2)
    assert information[0].tolist() == pytest.approx([log(2), -1])  # active on category 0 only
    assert information[1].tolist() == [-1, -1]  # active on one of two, whatever the category
    assert information[2].tolist() == [-1, -1]  # never active


def test_the_soft_category_loss_of_certain_targets_is_the_hard_one() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(6, 3, 5, 5, generator=generator, dtype=torch.float64)
    target = torch.tensor([0, 1, 1, 0, 1, 0])[:, None] == torch.tensor([0, 1, 1])
    options = {"sharpness": 2.0, "scale": torch.tensor([0.5, 1.0, 2.0]).double()}
    hard = icnn.category_loss(x, target, **options)
    soft = assignment.soft_category_loss(x, target.double(), **options)
    assert soft.item() == pytest.approx(hard.item(), abs=1e-12)


def step(layer: nn.Module, seed: int, labels: torch.Tensor) -> torch.Tensor:
    maps = torch.rand(len(labels), 4, 5, 5, generator=torch.Generator().manual_seed(seed))
    layer(maps)
    return layer.losses(labels)


def test_each_way_to_choose_a_category() -> None:
    labels = torch.arange(10) % 5
    fixed = assignment.FixedLayer(4, 5, n_categories=5, category_weight=0.1).train()
    step(fixed, 0, labels)
    assert fixed.target_category.tolist() == [0, 1, 2, 3]
    information = assignment.InformationLayer(4, 5, n_categories=5, category_weight=0.1).train()
    for seed in range(12):
        step(information, seed, labels)
    assert len(information.seen) == 10 and len(information.trace) == 12
    learned = assignment.LearnedLayer(4, 5, category_weight=0.1).train()
    step(learned, 0, labels).backward()
    assert learned.preference.grad.abs().sum() > 0
    assert learned.target_category.equal(learned.preference.argmax(1))


def test_the_printed_constants_hardly_push() -> None:
    layer = networks.PRINTED(4, 5, weight=5e-6 * 4).train()
    x = torch.rand(10, 4, 5, 5).requires_grad_()
    labels = torch.arange(10) % 5
    layer(x)
    layer.losses(labels).backward()
    push = icnn.paper_gradient(x.detach(), labels[:, None] == layer.target_category)
    assert (x.grad - 5e-6 * 4 * push).abs().max() <= 1e-12
    assert 0 < x.grad.abs().max() < 1e-7


def test_settling_by_hand() -> None:
    trace = [torch.tensor(t) for t in ([9, 9], [9, 9], [9, 9], [0, 1], [1, 1], [0, 1])]
    trace += [torch.tensor([0, 2])] * 4
    assert assignment.settling(trace) == (0.5, 1.5)


def test_measures_of_a_shipped_network() -> None:
    data = icnn.data.creatures("test").subset(slice(0, 300))
    measured = redundancy.measure(icnn.checkpoints.load("interpretable", 0), data)
    assert tuple(measured) == redundancy.MEASURES
    assert measured["detectors"] == pytest.approx(measured["pairs"] * measured["doubles"])
    assert measured["parts"] <= measured["pairs"] <= measured["detectors"] <= 48
    assert 0 < measured["twin"] <= 1 <= measured["categories"] <= 5
    silent = small_cnn("plain")
    nn.init.constant_(silent.backbone[-2].weight, 0)
    measured = redundancy.measure(silent, data)
    assert tuple(measured) == redundancy.MEASURES and measured["live filters"] == 0


def test_a_twin_by_hand() -> None:
    a, b = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.rand(2, 4, 4)
    maps = torch.stack([a[0], 2 * a[0] + 1, b.mean() * a[1] ** 3], 1)
    twins = redundancy.twin_correlation(maps)
    assert twins[:2].tolist() == pytest.approx([1, 1], abs=1e-5) and twins[2] < 0.9


def test_auroc_by_hand() -> None:
    high, low = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 1.0, 0.0])
    wins = 3 + 0.5 + 1  # of six pairs
    assert auroc(high, low) == pytest.approx(wins / 6)
    assert auroc(low, high) == pytest.approx(1 - wins / 6)
    assert auroc(torch.ones(3), torch.ones(4)) == 0.5


def test_ridge_against_the_normal_equations() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(12, 4, generator=generator, dtype=torch.float64)
    y = torch.where(torch.arange(12) < 3, 1.0, -1.0).double()
    centred, target = x - x.mean(0), y - y.mean()
    left = centred.T @ centred + 0.3 * 12 * torch.eye(4).double()
    wanted = torch.linalg.solve(left, centred.T @ target)
    assert (transfer.ridge(x, y, 0.3) - wanted).abs().max() <= 1e-12


def test_few_shots_find_what_is_there_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(700, 6, generator=generator).double()
    labels = torch.arange(500) % 5
    score = transfer.few_shots(noise[:500], labels, noise[500:600] + 3, 5)
    assert score(noise[:200], noise[600:] + 3, 0.1) > 0.95
    blind = transfer.few_shots(noise[:500], labels, noise[500:600], 5)
    assert 0.4 < blind(noise[:200], noise[600:], 0.1) < 0.6


def test_a_readout_by_hand() -> None:
    images = icnn.data.creatures("test").floats(slice(0, 3))
    plain, masked = (icnn.checkpoints.load(name, 0) for name in ("plain", "mask only"))
    peaks = icnn.predict(plain.maps, images).amax((2, 3)).double()
    assert transfer.pooled(plain, images, "max").equal(peaks)
    own = transfer.pooled(masked, images)  # its head masks already
    assert (transfer.pooled(masked, images, "masked") - own).abs().max() < 1e-6
    assert (transfer.pooled(plain, images, "masked") < transfer.pooled(plain, images)).any()


@pytest.mark.parametrize("shift", familiarity.SHIFTS)
def test_unfamiliar_pictures(shift) -> None:
    images = familiarity.unfamiliar(shift)
    assert images.shape == (400, 3, 64, 64) and images.min() >= 0 and images.max() <= 1
    assert images.equal(familiarity.unfamiliar(shift))


def test_an_unknown_kind_of_picture() -> None:
    with pytest.raises(ValueError, match="shift must be one of held-out"):
        familiarity.unfamiliar("sketches")


def test_familiarity_scores() -> None:
    train = icnn.data.creatures("train").subset(slice(0, 500))
    model = icnn.checkpoints.load("interpretable", 0)
    judge = familiarity.Familiarity(model, train)
    known = judge.scores(train.floats(slice(0, 100)))
    assert known["pattern"].max() == 0  # each of them was seen
    assert (judge.scores(familiarity.unfamiliar("empty"))["pattern"] <= 0).all()
    assert (known["template"] > 0).all()  # the negative template never wins
    logits = icnn.predict(model, train.floats(slice(0, 100)))
    assert (known["energy"] - logits.exp().sum(1).log()).abs().max() <= 1e-4
    assert known["max softmax"].equal(logits.softmax(1).max(1).values)
    assert known["arrangement"].max() <= 0
    assert (known["neighbour"] - 1).abs().max() <= 1e-9  # each is its own
    assert (judge.scores(familiarity.unfamiliar("empty"))["neighbour"] < 1).all()
    features = model.head.layer(icnn.predict(model.maps, train.floats())).mean((2, 3)).double()
    features = (features - features.mean(0)) / (features.std(0) + 1e-9)
    means = torch.stack([features[train.labels == k].mean(0) for k in range(5)])
    off = features - means[train.labels]
    inverse = (off.T @ off / 499 + 1e-3 * torch.eye(48).double()).inverse()
    apart = features[:100, None] - means
    squares = torch.einsum("nkc,cd,nkd->nk", apart, inverse, apart)
    assert (known["Mahalanobis"] + squares.amin(1).sqrt()).abs().max() <= 1e-6


def test_mahalanobis_against_a_direct_computation() -> None:
    points = 64 * torch.rand(50, 3, 2, generator=torch.Generator().manual_seed(0))
    distances = familiarity._distances(points)
    assert distances[7, 1].item() == pytest.approx((points[7, 0] - points[7, 2]).norm().item())
    mean, inverse = familiarity._gaussian(distances)
    covariance = (distances - mean).T @ (distances - mean) / 49 + torch.eye(3).double()
    assert (inverse @ covariance - torch.eye(3).double()).abs().max() <= 1e-10


def test_attributions_and_their_sums() -> None:
    model, images = (
        icnn.checkpoints.load("interpretable", 0),
        familiarity.unfamiliar("held-out")[:4],
    )
    scores = icnn.predict(model, images)
    predicted = scores.argmax(1)
    worth = faithfulness.attributions(model, images, predicted)
    assert tuple(worth) == faithfulness.ORDERS
    assert all(w.shape == (4, 16, 16) for w in worth.values())
    parts = worth["parts"].sum((1, 2)) + model.head.classifier.bias.detach()[predicted]
    assert (parts - scores.amax(1)).abs().max() <= 1e-5
    assert worth["Grad-CAM"].min() >= 0
    assert worth["centre first"][0].argmax() in (7 * 16 + 7, 7 * 16 + 8, 8 * 16 + 7, 8 * 16 + 8)
    sums = faithfulness.squares(torch.ones(1, 64, 64))
    assert sums.equal(torch.full((1, 16, 16), 16.0))


def test_erasing_a_part_changes_its_pixels_only() -> None:
    data = icnn.data.creatures("test").subset(slice(0, 8))
    which, part, without = faithfulness.erased(data)
    inside = data.part_masks()[which, part][:, None].expand_as(without)
    assert without[~inside].equal(data.floats()[which][~inside])
    assert (without != data.floats()[which]).flatten(1).any(1).all()
    assert data.part_masks().sum((2, 3))[which, part].min() >= 8


def test_claims_of_an_erasure() -> None:
    data = icnn.data.creatures("test").subset(slice(0, 8))
    known = icnn.data.creatures("validation").subset(slice(0, 300))
    model = icnn.checkpoints.load("category term", 0)
    names = faithfulness.named_filters(model, known)
    found = faithfulness.erasure_claims(model, data, known)
    claims = found.claims | faithfulness.claims_by_place(model, data)
    assert all(claim.shape == found.loss.shape for claim in claims.values())
    head = data.parts.index("head")
    predicted = icnn.predict(model, data.floats()).argmax(1)
    filters = icnn.explain.contributions(model, data.floats()).filters[0, predicted[0]]
    row = (data.part_masks()[0].sum((1, 2)) >= 8)[:head].sum()
    assert found.cell[row] == predicted[0] * len(data.parts) + head
    by_hand = filters[names == head].sum().item()
    assert claims["parts, by name"][row].item() == pytest.approx(by_hand, abs=1e-4)
    assert claims["area"][row] == pytest.approx(data.part_masks()[0, head].sum().item() / 16)
    seen = icnn.predict(model, known.floats()).argmax(1) == predicted[0]
    elsewhere = icnn.explain.contributions(model, known.floats()).filters[seen, predicted[0]]
    mean = elsewhere[:, names == head].sum(1).mean().item()
    assert claims["table of names"][row] == pytest.approx(mean, abs=1e-4)
    for cell in found.cell.unique():  # the table never looks at the picture
        assert len(claims["table of names"][found.cell == cell].unique()) == 1


def erasure(loss: list[float], cell: list[int], **claims: list[float]) -> faithfulness.Erasure:
    picture = torch.arange(len(loss)) // 2
    named = {name: torch.tensor(claim) for name, claim in claims.items()}
    return faithfulness.Erasure(picture, torch.tensor(cell), torch.tensor(loss), named)


def test_agreement_by_hand() -> None:
    found = erasure([3.0, 1.0, 0.0, 2.0], [0, 1, 0, 1])
    assert faithfulness.agreement(2 * found.loss + 1, found) == pytest.approx((1, 1, 1))
    assert faithfulness.agreement(torch.tensor([3.0, 1.0, 2.0, 0.0]), found)[1] == 0.5
    # Right for every cell, wrong for every picture; and a table, which says nothing of pictures.
    found = erasure([11.0, 1.0, 12.0, 2.0], [0, 1, 0, 1])
    total, _, within = faithfulness.agreement(torch.tensor([12.0, 2.0, 11.0, 1.0]), found)
    assert total > 0.9 and within == pytest.approx(-1)
    total, _, within = faithfulness.agreement(torch.tensor([11.5, 1.5, 11.5, 1.5]), found)
    assert total > 0.9 and within != within


def test_names_that_equal_their_control_gain_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    seeds = []
    for _ in range(3):
        loss, noise = torch.randn(2, 80, generator=generator)
        claims = {"parts, by name": loss + 0.1 * noise, "table of names": loss + 0.1 * noise}
        claims |= {"names, shuffled": noise, "area": -loss}
        picture = torch.arange(80) // 2
        seeds.append(faithfulness.Erasure(picture, torch.arange(80) % 4, loss, claims))
    rows = faithfulness.name_intervals(seeds, 40)
    assert rows["table of names"] == pytest.approx((0, 0, 0), abs=1e-9)
    for control in ("names, shuffled", "area", "within: names, shuffled"):
        mean, low, high = rows[control]
        assert 0 < low < mean < high


def test_what_is_left_of_a_filter() -> None:
    left = torch.tensor([[0.2, 0.8, 1.0], [0.5, 0.9, 0.7], [0.1, 0.1, 0.1]])
    names = torch.tensor([0, 2, -1])  # the last filter has no name
    named, another, first = faithfulness.silence(left, names)
    assert (named, another, first) == pytest.approx((0.45, 0.8, 0.5))
    data = icnn.data.creatures("test").subset(slice(0, 12))
    known = icnn.data.creatures("validation").subset(slice(0, 100))
    left = faithfulness.left_without(icnn.checkpoints.load("mask only", 0), data, known)
    assert left.shape == (48, len(data.parts)) and left[~left.isnan()].min() >= 0
    ears = data.parts.index("ear")
    assert left[:, ears].nanmean() < left[:, data.parts.index("face")].nanmean()
