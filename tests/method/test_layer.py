"""The interpretable layer: what it does forward and backward, and what it remembers."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

import icnn
from icnn.layer import MOMENTUM, SCALE_FLOOR


def some_maps(images: int = 6, filters: int = 3, n: int = 5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, filters, n, n, generator=generator).relu()


def test_it_multiplies_with_the_mask_and_has_no_parameters() -> None:
    layer, x = icnn.InterpretableLayer(3, 5, beta=2.0), some_maps()
    for mode in (layer.train(), layer.eval()):
        assert mode(x).equal(x * icnn.part_mask(x, beta=2.0))
    assert not list(layer.parameters())


def test_without_the_mask_it_passes_maps_on() -> None:
    x = some_maps()
    assert icnn.InterpretableLayer(3, 5, mask=False)(x).equal(x)


def test_the_gradient_is_that_of_a_constant_mask() -> None:
    x = some_maps().requires_grad_()
    icnn.InterpretableLayer(3, 5).eval()(x).sum().backward()
    assert x.grad.equal(icnn.part_mask(x))


def test_peaks_are_running_means_in_training_only() -> None:
    layer, first, second = icnn.InterpretableLayer(3, 5), some_maps(seed=1), some_maps(seed=2)
    layer.train()(first)
    mean = first.amax((2, 3)).mean(0)
    assert layer.peak.allclose(mean)
    layer(second)
    wanted = (1 - MOMENTUM) * mean + MOMENTUM * second.amax((2, 3)).mean(0)
    assert layer.peak.allclose(wanted)
    layer.eval()(first)
    assert layer.peak.allclose(wanted) and int(layer.batches) == 2


def test_the_scale_of_a_dead_filter_has_a_floor() -> None:
    layer, x = icnn.InterpretableLayer(3, 5), some_maps()
    x[:, 1] = 0
    layer.train()(x)
    assert layer.scale[1] == SCALE_FLOOR * layer.peak.mean()
    assert layer.scale[[0, 2]].equal(layer.peak[[0, 2]])
    assert layer.losses().isfinite()
    layer.train()(torch.zeros_like(x))
    assert layer.losses().isfinite()


@pytest.mark.parametrize("weight, category_weight", [(0.05, 0.0), (0.0, 0.3), (0.05, 0.3)])
def test_losses_are_the_weighted_terms(weight, category_weight) -> None:
    layer = icnn.InterpretableLayer(3, 5, weight=weight, category_weight=category_weight)
    x, labels = some_maps(), torch.tensor([0, 1, 2, 0, 1, 2])
    layer.train()(x)
    total = layer.losses(labels)
    options = {"sharpness": 2.0, "scale": layer.scale}
    target = icnn.assign_categories(x, labels, 3)
    assert layer.target_category.equal(target)
    wanted = weight * icnn.filter_loss(x, **options)
    wanted += category_weight * icnn.category_loss(x, labels[:, None] == target, **options)
    assert float(total) == pytest.approx(float(wanted), rel=1e-6)


def test_the_target_category_follows_the_images() -> None:
    layer = icnn.InterpretableLayer(2, 4).train()
    labels = torch.tensor([0, 0, 1, 1])
    x = torch.zeros(4, 2, 4, 4)
    x[:2, 0], x[2:, 1] = 1.0, 1.0
    layer(x)
    layer.losses(labels)
    assert layer.target_category.tolist() == [0, 1]
    before = layer.category_means.clone()
    layer(x[:2])
    layer.losses(labels[:2])  # no image of category 1: what is known about it stays
    assert layer.category_means[:, 1].equal(before[:, 1])
    for _ in range(30):  # the filters change their minds
        layer(x.flip(1))
        layer.losses(labels)
    assert layer.target_category.tolist() == [1, 0]
    layer(5 * x.flip(1))
    layer.losses(labels + 1)  # a third category turns up
    assert layer.target_category.tolist() == [2, 0]


def test_losses_again_change_nothing() -> None:
    layer = icnn.InterpretableLayer(3, 5, category_weight=0.5).train()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    for seed in range(2):
        layer(some_maps(seed=seed))
        first = layer.losses(labels)
        means = layer.category_means.clone()
        assert layer.losses(labels).equal(first) and layer.category_means.equal(means)


def test_only_the_last_forward_counts() -> None:
    layer = icnn.InterpretableLayer(3, 5, mask=False).train()
    other = copy.deepcopy(layer)
    for seed in range(2):
        layer(some_maps(seed=seed)), other(some_maps(seed=seed))
        other.losses()
    assert layer.losses().equal(other.losses())
    layer.eval()(some_maps())
    for mode in (layer, layer.train()):
        with pytest.raises(RuntimeError, match="forward pass in training mode"):
            mode.losses()


@pytest.mark.parametrize("mask", [False, True])
def test_what_follows_may_work_in_place(mask) -> None:
    layer, x = icnn.InterpretableLayer(3, 5, mask=mask).train(), some_maps()
    layer(x)
    wanted = layer.losses()
    nn.Sequential(layer, nn.Threshold(0.9, 0.0, inplace=True))(x)
    assert layer.losses().equal(wanted)


def test_the_memory_outlives_an_evaluation() -> None:
    layers = [icnn.InterpretableLayer(3, 5, memory=6).train() for _ in range(2)]
    for seed in range(3):
        for layer in layers:
            layer(some_maps(seed=seed))
        if seed < 2:
            layers[0].eval()(some_maps(seed=9))
            layers[0].train()
    assert layers[0].losses().equal(layers[1].losses())


@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 1, 3], [0, 1, 2, 0, 1, -1]])
def test_labels_beyond_the_categories(labels) -> None:
    layer = icnn.InterpretableLayer(3, 5, n_categories=3).train()
    layer(some_maps())
    with pytest.raises(ValueError, match="labels must be"):
        layer.losses(torch.tensor(labels))
    assert not layer.category_means.any()


def test_the_state_is_saved_and_loaded() -> None:
    layer = icnn.InterpretableLayer(3, 5).train()
    layer(some_maps())
    layer.losses(torch.tensor([0, 3, 1, 2, 0, 1]))
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    other = icnn.InterpretableLayer(3, 5)
    other.load_state_dict(state)
    for name in ("peak", "batches", "category_means", "scale", "target_category"):
        assert getattr(other, name).equal(getattr(layer, name)), name
    few = {**state, "category_means": state["category_means"][:, :4]}
    icnn.InterpretableLayer(3, 5, n_categories=4).load_state_dict(few)
    other = icnn.InterpretableLayer(3, 5, n_categories=6)
    other.load_state_dict(few)
    assert other.target_category.equal(layer.target_category)
    with pytest.raises(RuntimeError, match="category_means"):
        icnn.InterpretableLayer(3, 5, n_categories=3).load_state_dict(few)


def test_it_can_be_copied_after_a_training_step() -> None:
    layer = icnn.InterpretableLayer(3, 5).train()
    layer(some_maps().requires_grad_())
    twin = copy.deepcopy(layer)
    assert twin.peak.equal(layer.peak)
    with pytest.raises(RuntimeError, match="training mode"):
        twin.losses()


def test_losses_of_a_model_add_up() -> None:
    model = nn.Sequential(icnn.InterpretableLayer(3, 5), icnn.InterpretableLayer(3, 5)).train()
    model(some_maps())
    total = icnn.filter_losses(model)
    assert float(total) == pytest.approx(sum(float(layer.losses()) for layer in model))
    assert float(icnn.filter_losses(nn.Linear(2, 2))) == 0


def test_what_is_missing_is_said() -> None:
    layer = icnn.InterpretableLayer(3, 5, category_weight=0.1)
    with pytest.raises(RuntimeError, match="forward pass in training mode"):
        icnn.filter_losses(layer)
    assert layer.target_category.tolist() == [-1, -1, -1]
    layer.train()(some_maps())
    with pytest.raises(ValueError, match="labels must be given"):
        icnn.filter_losses(layer)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_maps_of_another_precision(dtype) -> None:
    layer = icnn.InterpretableLayer(3, 5, category_weight=0.1).train()
    x = some_maps().to(dtype).requires_grad_()
    out = layer(x)
    total = layer.losses(torch.tensor([0, 1, 2, 0, 1, 2]))
    assert out.dtype == dtype and layer.peak.dtype == torch.float32
    (total + out.float().sum()).backward()
    assert x.grad.dtype == dtype and x.grad.isfinite().all()


def test_assign_categories_by_hand() -> None:
    x, labels = some_maps(9, 4), torch.arange(9) % 3
    chosen = icnn.assign_categories(x, labels, 5)
    for f in range(4):
        means = [float(x[labels == c, f].mean()) for c in range(3)]
        assert int(chosen[f]) == means.index(max(means))
    assert icnn.assign_categories(torch.zeros(2, 1, 2, 2), torch.tensor([1, 2]), 4).item() == 1


def test_a_compiled_model_gives_the_same_losses_and_gradients() -> None:
    """With the backend that needs no C++ compiler; the layer keeps its maps inside the graph."""
    images, labels = torch.rand(6, 3, 64, 64), torch.tensor([0, 1, 2, 0, 1, 2])
    results = []
    for compiled in (False, True):
        model = icnn.small_cnn("category term", n_categories=3).train()
        call = torch.compile(model, backend="aot_eager") if compiled else model
        loss = torch.nn.functional.cross_entropy(call(images), labels)
        (loss + icnn.filter_losses(call, labels)).backward()
        results.append([p.grad for p in model.parameters()] + [model.head.layer.peak])
    for plain, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, plain)


def test_remembered_images_give_a_small_batch_the_statistics_of_a_large_one() -> None:
    """Four batches of 3 with a memory of 9: the last one's gradient is that of a batch of 12."""
    torch.manual_seed(0)
    maps = torch.rand(12, 5, 6, 6, dtype=torch.float64)
    scale = torch.full((5,), 0.9, dtype=torch.float64)
    layer = icnn.InterpretableLayer(5, 6, weight=1.0, memory=9).train()
    for batch in maps.split(3):
        x = batch.clone().requires_grad_()
        layer(x)
        layer.peak.copy_(scale)
        value = layer.losses()
        (gradient,) = torch.autograd.grad(value, x)
    whole = maps.flip(0).clone().requires_grad_()  # any order
    wanted = icnn.filter_loss(whole, sharpness=2.0, scale=scale.float())
    (all_gradients,) = torch.autograd.grad(wanted, whole)
    torch.testing.assert_close(value, wanted)
    # Accumulating four batches divides each one's loss by 4.
    torch.testing.assert_close(gradient / 4, all_gradients[:3].flip(0))


def test_the_memory_forgets_what_is_older_and_is_not_saved() -> None:
    layer = icnn.InterpretableLayer(2, 4, memory=5).train()
    for number in range(4):
        layer(torch.full((3, 2, 4, 4), float(number)))
    assert layer._earlier[:, 0, 0, 0].tolist() == [2, 2, 2, 1, 1]
    assert copy.deepcopy(layer)._earlier is None
    assert layer.state_dict().keys() == icnn.InterpretableLayer(2, 4).state_dict().keys()
