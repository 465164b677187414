"""Pictures drawn again without a thing, and which explanation names what matters there."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

import icnn
from icnn.course.zoo.scene import draw, draw_again
from icnn.data import PartDataset
from icnn.data.shipped import PARTS
from icnn.experiments.rethink import truth
from icnn.network import InterpretableCNN, MeanClassifier, PartHead

N = 10


@pytest.fixture(scope="module")
def drawn() -> truth.Drawings:
    images = [draw_again("test", N, without=one) for one in (None, *PARTS, 0, 1)]
    return truth.Drawings(torch.from_numpy(images[0]), torch.from_numpy(np.stack(images[1:])))


@pytest.fixture(scope="module")
def masks() -> Tensor:
    return icnn.data.creatures("test").subset(slice(0, N)).part_masks()


def test_drawn_again_a_picture_is_the_shipped_one(drawn) -> None:
    shipped = icnn.data.creatures("test").images[:N].int()
    assert (drawn.whole.int() - shipped).abs().max() <= 1  # machines round in other ways


def test_without_a_part_only_its_pixels_change(drawn, masks) -> None:
    """And the outline, which reaches up to four pixels beyond them, at the tip of an ear."""
    changed = (drawn.without != drawn.whole).any(2)
    for k in range(len(PARTS)):
        near = max_pool2d(masks[:, k, None].float(), 9, 1, 4)[:, 0] > 0
        assert not (changed[k] & ~near).any()
        assert changed[k][masks[:, k]].float().mean() > 0.9 or not masks[:, k].any()
    birds = changed[PARTS.index("wing")].flatten(1).any(1)
    assert birds.tolist() == [i % 5 == 2 for i in range(N)]


@pytest.mark.parametrize("thing", ["haed", 9, -1])
def test_a_thing_that_no_picture_has_cannot_be_left_out(thing) -> None:
    with pytest.raises(ValueError, match=f"without must be one of .* or below 9, got {thing!r}"):
        draw_again("test", 1, without=thing)


def test_without_a_loose_shape_the_creature_stays(drawn, masks) -> None:
    changed = (drawn.without[len(PARTS) :] != drawn.whole).any(2)
    assert changed.any() and not (changed & masks.any(1)).any()


def test_before_another_background_the_creature_stays() -> None:
    for index in range(5):
        image, part_ids, _ = draw("test", index)
        moved, same_ids, _ = draw("test", index, moved=True)
        outside = torch.from_numpy(part_ids == 0)
        edge = (max_pool2d(outside[None].float(), 3, 1, 1)[0] > 0).numpy()
        assert (part_ids == same_ids).all() and (image == moved).all(0)[~edge].all()
        assert (image != moved).any(0)[outside].mean() > 0.8


def test_where_the_truth_is_known_every_explanation_finds_it() -> None:
    """A network that looks for red and, a third as much, for green; heads are red, ears green.

    Ears are larger. Two pixels in a row are the part of a unit, and what is not lit is grey. Before
    the other background all is half as bright. Without its head it is no animal any more.
    """
    whole = torch.full((N, 3, 64, 64), 128, dtype=torch.uint8)
    without = whole.repeat(len(PARTS) + 1, 1, 1, 1, 1)
    draws, landmarks = np.random.default_rng(0), torch.full((N, len(PARTS), 2), torch.nan)
    for i in range(N):
        for k, side in ((0, 12), (1, 16)):
            row, column = 4 * draws.integers(0, 3) + 32 * k, 4 * draws.integers(0, 12)
            square = slice(row, row + side), slice(column, column + side)
            whole[i, k][square] = 228
            for other in range(len(without)):
                if other != k:
                    without[other, i, k][square] = 228
            landmarks[i, k] = torch.tensor([row, column]) + side / 2
    without[-1, :, 2, 0, : truth.LEAST - 1] += 1  # too few pixels for a thing
    known = PartDataset(
        whole, torch.zeros(N).long(), landmarks, whole[:, 0], ("animal", "other"), PARTS
    )
    conv = nn.Conv2d(3, 3, 4, stride=4, groups=3)
    nn.init.constant_(conv.weight, 1 / 16)
    nn.init.constant_(conv.bias, -128 / 255)
    model = InterpretableCNN(
        nn.Sequential(conv, nn.ReLU()), PartHead(nn.Identity(), nn.Identity(), MeanClassifier(3, 2))
    ).eval()
    with torch.no_grad():
        model.head.classifier.weight.copy_(torch.tensor([[3.0, 1, 0], [0, 0, 0]]))
        model.head.classifier.bias.copy_(torch.tensor([0, 0.25]))
    drawn = truth.Drawings(whole, without)
    moved = truth.Drawings(*((x.int() + 128).div(2).byte() for x in (whole, without[:-1])))
    judged = truth.judge(model, drawn, moved, known)
    true = [w * side**2 * 100 / 255 * 8 / 64**2 for w, side in ((3, 12), (1, 16))]
    assert judged.there.sum(0).tolist() == [N, N, 0, 0, 0, 0, 0, 0]
    assert torch.allclose(judged.loss[:, :2], torch.tensor(true).expand(N, -1), atol=1e-5)
    assert judged.loss[:, 2:].abs().max() < 1e-6
    assert judged.decisive.sum(0).tolist() == [N, 0, 0, 0, 0, 0, 0, 0]
    assert torch.allclose(judged.claims["truth, moved"], judged.loss / 2, atol=1e-5)
    assert (judged.said == 0).all() and judged.second[0].abs().max() < 1e-6
    for method in truth.EXPLANATIONS:
        assert judged.second[1][method].abs().max() < 1e-6, method
        claim, there = judged.claims[method][:, :7], judged.there[:, :7]
        assert truth.value(truth.first(claim, judged.loss[:, :7], there)) == 1, method
        if method != "occlusion":  # whose squares overlap
            assert torch.allclose(claim[:, :2], judged.loss[:, :2], rtol=0.02), method
    area = judged.claims["area"][:, :7]
    assert truth.value(truth.first(area, judged.loss[:, :7], judged.there[:, :7])) == 0


def random_case(seed: int = 0) -> tuple[Tensor, ...]:
    """Claims with ties, losses, which are decisive, and which are there; of 6 pictures."""
    generator = torch.Generator().manual_seed(seed)
    claim = torch.randint(4, (6, 5), generator=generator).float()
    loss, chance = torch.randn(6, 5, generator=generator), torch.rand(6, 5, generator=generator)
    return claim, loss, loss > 0.3, (chance < 0.8) | (torch.arange(5) < 2)


def test_the_tallies_by_hand() -> None:
    claim, loss, decisive, there = random_case()
    hits, right, total = [], 0.0, 0
    called, let = [], []
    for i in range(6):
        things = [j for j in range(5) if there[i, j]]
        best = max(things, key=lambda j: loss[i, j])
        top = [j for j in things if claim[i, j] == max(claim[i, k] for k in things)]
        hits.append((best in top) / len(top))
        for a, b in combinations(things, 2):
            more = (claim[i, a] - claim[i, b]) * (loss[i, a] - loss[i, b])
            right, total = right + (0.5 if more == 0 else float(more > 0)), total + 1
        called += [bool(claim[i, j] >= 2) for j in things if decisive[i, j]]
        let += [bool(claim[i, j] < 2) for j in things if not decisive[i, j]]
    assert float(truth.value(truth.first(claim, loss, there))) == pytest.approx(np.mean(hits))
    assert float(truth.value(truth.pairs(claim, loss, there))) == pytest.approx(right / total)
    balanced = (np.mean(called) + np.mean(let)) / 2
    named = truth.found(claim, 2.0, decisive, there)
    assert float(truth.value(named)) == pytest.approx(balanced)
    by_limit = {x: float(truth.value(truth.found(claim, x, decisive, there))) for x in range(4)}
    best = truth.threshold(claim, decisive, there)
    assert by_limit[int(best)] == max(by_limit.values())


def test_another_picture_is_of_the_same_answer() -> None:
    assert truth.another(torch.tensor([0, 1, 0, 2, 1, 0])).tolist() == [2, 4, 5, 3, 1, 0]


def test_the_share_of_loose_shapes_by_hand() -> None:
    claim = torch.tensor([[1.0, -2, 0, 0, 0, 0, 0, 3, -2], [4, 0, 0, 0, 0, 0, 0, 9, 0]])
    there = torch.ones_like(claim).bool()
    there[1, 7] = False
    assert float(truth.value(truth.loose(claim, there))) == pytest.approx(5 / 12)


def judged(seed: int) -> truth.Judged:
    generator = torch.Generator().manual_seed(seed)
    loss = torch.randn(40, 16, generator=generator)
    noise, second = torch.randn(2, 40, 16, generator=generator)
    claims = {name: noise for name in truth.METHODS} | {"occlusion": loss + 0.1 * noise}
    of_second = second, claims | {"Grad-CAM": second}
    return truth.Judged(torch.arange(40) % 5, loss < 9, loss > 1, loss, claims, of_second)


def test_an_explanation_of_this_picture_gains_over_every_control() -> None:
    seeds = [truth.tallies(judged(seed), judged(seed + 3)) for seed in range(3)]
    rows = {tuple(row[:3]): row[3:] for row in truth.rows(seeds)}
    for measure, control in product(("first", "pairs", "decisive"), ("area", "random")):
        for other in (control, f"occlusion, {truth.ANOTHER}"):
            *each, mean, low, high = rows["occlusion", measure, other]
            assert 0.2 < low < mean < high and mean == pytest.approx(np.mean(each))
            narrow = icnn.measure.seed_interval(torch.tensor(each))
            assert low <= narrow.low + 1e-9 and high >= narrow.high - 1e-9
        _, _, _, mean, low, high = rows["Grad-CAM", measure, control]
        assert mean == low == high == 0
    assert rows["Grad-CAM", "second", ""][3] == 1
    assert rows["Grad-CAM", "second", f"Grad-CAM, {truth.SAME}"][3] == pytest.approx(0.5, abs=0.1)
    assert rows["occlusion", "second", f"occlusion, {truth.SAME}"][3] == 0


def test_the_table_has_every_method_with_its_controls() -> None:
    table = icnn.tables.read("rethink", "truth.csv")
    keys = [tuple(row[c] for c in ("network", "method", "measure", "minus")) for row in table]
    assert len(set(keys)) == len(keys)
    for network, method in product(icnn.network.VARIANTS, truth.METHODS):
        for measure, control in product(
            ("first", "pairs", "decisive"), ("", f"{method}, {truth.ANOTHER}", "area", "random")
        ):
            assert control == method or (network, method, measure, control) in keys
        if method in truth.EXPLANATIONS:
            assert (network, method, "loose shapes", "truth") in keys
            assert (network, method, "second", f"{method}, {truth.SAME}") in keys


def test_every_interval_of_the_table_is_lesson_7_s() -> None:
    """Its middle is the mean over seeds, and it is no narrower than three seeds alone make it."""
    for row in icnn.tables.read("rethink", "truth.csv"):
        seeds = torch.tensor([float(row[f"seed {seed}"]) for seed in range(3)])
        mean, low, high = (float(row[column]) for column in ("mean", "low", "high"))
        narrow = icnn.measure.seed_interval(seeds)
        assert mean == pytest.approx(float(seeds.mean()), abs=2e-4)
        assert (low + high) / 2 == pytest.approx(mean, abs=2e-4)
        assert low <= narrow.low + 3e-4 and high >= narrow.high - 3e-4


def test_chance_is_chance() -> None:
    for row in icnn.tables.read("rethink", "truth.csv"):
        if (row["method"], row["minus"]) == ("random", ""):
            wanted = {"first": 0.16, "pairs": 0.5, "decisive": 0.5}[row["measure"]]
            assert float(row["mean"]) == pytest.approx(wanted, abs=0.01)
