"""The released layer against hand-computed values and against the release's formulas in loops."""

from __future__ import annotations

from math import exp, log, sqrt

import pytest
import torch

import icnn
from icnn.experiments import released
from icnn.network import SmallCNN

SPOT = torch.tensor([[0.0, 0, 0], [0, 2, 0], [0, 0, 2]], dtype=torch.float64)
LABELS = torch.tensor([0, 1, 0, 1, 1, 0])


def some_maps(images=6, filters=4, n=5, seed=0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(images, filters, n, n, generator=generator, dtype=torch.float64)
    return 3 * x.clamp_min(0)


def matlab_mu(x: list[list[float]]) -> tuple[int, int]:
    """getMu.m for one map, with positions from 1."""
    n, total = len(x), max(sum(map(sum, x)), 1e-9)
    row = sum((i + 1) * x[i][j] for i in range(n) for j in range(n)) / total
    column = sum((j + 1) * x[i][j] for i in range(n) for j in range(n)) / total
    return max(int(row + 0.5), 1), max(int(column + 0.5), 1)


def matlab_mask(mu: tuple[int, int], beta: float, n: int) -> list[list[float]]:
    """getMask.m for one map."""
    place = [-1 + 2 * i / (n - 1) for i in range(n)]
    row, column = place[mu[0] - 1], place[mu[1] - 1]
    return [[max(1 - beta * (abs(r - row) + abs(c - column)), -1) for c in place] for r in place]


def matlab_push(x: torch.Tensor, beta: list[float], is_target: torch.Tensor, share: float | None):
    """The part of our_vl_simplenn.m that changes dzdx, without its constant, in loops."""
    images, filters, n, _ = x.shape
    maps = x.tolist()
    masks = [
        [matlab_mask(matlab_mu(maps[b][d]), beta[d], n) for d in range(filters)]
        for b in range(images)
    ]

    def mean(b, d, mask=None):
        values = maps[b][d]
        units = [(i, j) for i in range(n) for j in range(n)]
        return sum(values[i][j] * (mask[i][j] if mask else 1) for i, j in units) / n**2

    push = torch.zeros_like(x)
    for d in range(filters):
        turned = [mean(b, d, masks[images - 1 - b][filters - 1 - d]) for b in range(images)]
        log_z = 0.5 * log(sum(exp(s / 0.5) for s in turned) / images)
        log_z_negative = 0.5 * log(sum(exp(-mean(b, d) / 0.5) for b in range(images)) / images)
        for kind in (True, False):
            chosen = [b for b in range(images) if bool(is_target[b, d]) == kind]
            fits = [mean(b, d, masks[b][d]) if kind else -mean(b, d) for b in chosen]
            z = log_z if kind else log_z_negative
            strength = [exp(s / 0.5) * (s - z + 0.5) for s in fits]
            weight = 1 if share is None else 0.5 / (share if kind else 1 - share)
            for b, value in zip(chosen, strength, strict=True):
                factor = weight * value / (sum(strength) / len(strength))
                shape = torch.tensor(masks[b][d] if kind else [[-1.0] * n] * n, dtype=x.dtype)
                push[b, d] -= factor * shape
    return push


def test_position_and_spread_by_hand() -> None:
    x = torch.stack([SPOT, torch.zeros(3, 3).double(), torch.eye(3).double()])[None]
    where = released.mean_position(x)
    # (1·2 + 2·2)/4 = 1.5, up to 2; a silent map's is the first unit; the middle of the diagonal
    assert where.tolist() == [[[2, 2], [0, 0], [1, 1]]]
    # two units at distance² 2, two at 0: √(4/4); nothing; two of three units at distance² 2
    assert released.activation_spread(x, where)[0].tolist() == pytest.approx([1, 0, sqrt(4 / 3)])


def test_template_by_hand() -> None:
    where = torch.tensor([[[2, 2], [1, 1]]])
    first, second = released.released_template(where, torch.tensor([0.5, 2.0]), 3)[0]
    assert first.tolist() == [[-1, -0.5, 0], [-0.5, 0, 0.5], [0, 0.5, 1]]
    assert second.tolist() == [[-1, -1, -1], [-1, 1, -1], [-1, -1, -1]]


def test_push_on_one_image_by_hand() -> None:
    """With one image of each kind the multiplier is 1: only the shapes are left."""
    x = torch.stack([SPOT, 5 * SPOT])[:, None]
    template = released.released_template(released.mean_position(x), torch.tensor([0.5]), 3)
    is_target = torch.tensor([[True], [False]])
    push = released.released_gradient(x, template.double(), is_target)
    assert push[0, 0].tolist() == (-template[0, 0]).tolist()
    assert push[1, 0].tolist() == [[1, 1, 1]] * 3
    balanced = released.released_gradient(x, template.double(), is_target, share=0.2)
    assert balanced[:, 0, 2, 2].tolist() == [-2.5, 0.625]


@pytest.mark.parametrize("share", [None, 0.2])
def test_push_against_the_released_formulas(share) -> None:
    x, beta = some_maps(), [2.0, 1.5, 3.0, 2.5]
    is_target = LABELS[:, None] == torch.tensor([0, 1, 1, 0])
    where = released.mean_position(x)
    for b in range(len(x)):
        for d in range(4):
            assert [v + 1 for v in where[b, d].tolist()] == list(matlab_mu(x[b, d].tolist()))
    template = released.released_template(where, torch.tensor(beta).double(), 5)
    push = released.released_gradient(x, template, is_target, share=share)
    assert (push - matlab_push(x, beta, is_target, share)).abs().max() <= 1e-12


def test_the_multipliers_have_mean_1_whatever_the_activations() -> None:
    for scale in (1e-3, 1.0, 1e3):
        x = scale * some_maps()
        template = released.released_template(
            released.mean_position(x), torch.full((4,), 2.0).double(), 5
        )
        is_target = (LABELS == 0)[:, None].expand(6, 4)
        push = released.released_gradient(x, template, is_target)
        assert push.isfinite().all()
        assert (push[LABELS == 1, :, 0, 0].mean(0) - 1).abs().max() <= 1e-12


def make_layer(**options) -> released.ReleasedLayer:
    return (
        released.ReleasedLayer(4, 5, steps_per_epoch=2, n_categories=2, **options).double().train()
    )


def test_forward_is_the_map_times_the_positive_part() -> None:
    x, layer = some_maps(), make_layer()
    template = released.released_template(released.mean_position(x), layer.beta, 5)
    assert layer(x).equal((x * template).clamp_min(0))
    assert layer.eval()(x).equal((x * template).clamp_min(0))


def test_the_gradient_of_losses_is_the_push_over_the_batch() -> None:
    layer = make_layer(weight=0.5)
    layer(some_maps(seed=1))
    layer.losses(LABELS)  # the first batch: means, and β
    category, beta = layer.target_category.clone(), layer.beta.tolist()
    x = some_maps().requires_grad_()
    layer(x)
    layer.losses(LABELS).backward()
    is_target = LABELS[:, None] == category
    wanted = 0.5 / 6 * matlab_push(x.detach(), beta, is_target, 0.5)
    assert (x.grad - wanted).abs().max() <= 1e-12
    y = some_maps(seed=2).requires_grad_()  # the third batch belongs to the second epoch
    category, beta = layer.target_category.clone(), layer.beta.tolist()
    layer(y)
    layer.losses(LABELS).backward()
    is_target = LABELS[:, None] == category
    wanted = 0.5 / 2 / 6 * matlab_push(y.detach(), beta, is_target, 0.5)
    assert layer.epoch == 2
    assert (y.grad - wanted).abs().max() <= 1e-12


def test_in_the_first_batch_every_image_is_a_target() -> None:
    x, layer = some_maps().requires_grad_(), make_layer(weight=1.0)
    layer(x)
    layer.losses(LABELS).backward()
    wanted = matlab_push(x.detach(), [2.0] * 4, torch.ones(6, 4).bool(), None) / 6
    assert (x.grad - wanted).abs().max() <= 1e-12


def test_beta_moves_towards_three_over_the_spread() -> None:
    x, layer = some_maps(), make_layer()
    layer(x)
    layer.losses(LABELS)
    where = released.mean_position(x)
    template = released.released_template(where, torch.full((4,), 2.0).double(), 5)
    fits = (x * template).mean((2, 3))
    spread = (fits * released.activation_spread(x, where)).sum(0) / fits.sum(0)
    wanted = [min(max(3 / s, 1.5), 3.0) for s in spread.tolist()]
    assert len(set(wanted)) > 1
    assert layer.beta.tolist() == pytest.approx([2 + 0.015625 * (w - 2) for w in wanted])
    silent = make_layer()
    silent(torch.zeros(6, 4, 5, 5).double())
    silent.losses(LABELS)
    assert silent.beta.tolist() == pytest.approx([2 + 0.015625] * 4)


def test_a_filter_belongs_to_the_category_of_its_highest_peaks() -> None:
    x = torch.zeros(2, 1, 5, 5).double()
    x[0, 0], x[1, 0, 2, 2] = 1, 9  # much activation, or a high peak
    layer = released.ReleasedLayer(1, 5, steps_per_epoch=1).double().train()
    layer(x)
    layer.losses(torch.tensor([0, 1]))
    assert layer.target_category.tolist() == [1]
    assert icnn.assign_categories(x, torch.tensor([0, 1]), 2).tolist() == [0]


def test_it_trains_in_a_network_and_survives_saving() -> None:
    model = SmallCNN(5, released.ReleasedLayer(48, 16, steps_per_epoch=3)).train()
    images, labels = torch.rand(6, 3, 64, 64), torch.arange(6) % 5
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    (loss + icnn.filter_losses(model, labels)).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    again = SmallCNN(5, released.ReleasedLayer(48, 16, steps_per_epoch=3))
    again.load_state_dict(model.state_dict())
    assert again.head.layer.beta.equal(model.head.layer.beta)
    assert again.eval()(images).equal(model.eval()(images))


X, WHERE = some_maps(), released.mean_position(some_maps())
TEMPLATE, TARGET = torch.ones_like(X), torch.ones(6, 4, dtype=torch.bool)
BETA = torch.full((4,), 2.0)


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (released.mean_position, (X.long(),), "x"),
        (released.mean_position, (X[0],), "x"),
        (released.activation_spread, (X[..., :3], WHERE), "x"),
        (released.activation_spread, (X, WHERE[:2]), "where"),
        (released.released_template, (WHERE, BETA, 0), "n"),
        (released.released_template, (WHERE, BETA.long(), 5), "beta"),
        (released.released_template, (WHERE, BETA[:3], 5), "where"),
        (released.released_gradient, (X / 0, TEMPLATE, TARGET), "x"),
        (released.released_gradient, (X, TEMPLATE[:2], TARGET), "template"),
        (released.released_gradient, (X, TEMPLATE, TARGET[:2]), "is_target"),
        (released.released_gradient, (X, TEMPLATE, TARGET.long()), "is_target"),
    ],
)
def test_bad_input_is_named(function, arguments, name) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{name} must"):
        function(*arguments)


def test_losses_need_a_forward_pass_and_labels() -> None:
    layer = make_layer()
    with pytest.raises(RuntimeError, match="forward pass"):
        layer.losses(LABELS)
    layer(some_maps())
    with pytest.raises(ValueError, match="labels must be given"):
        layer.losses()
    with pytest.raises(ValueError, match=r"labels must have shape \(6,\)"):
        layer.losses(LABELS[:2])
    with pytest.raises(ValueError, match="steps_per_epoch must be an int from 1"):
        released.ReleasedLayer(4, 5, steps_per_epoch=0)
