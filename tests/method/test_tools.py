"""The layer in the hands of PyTorch's tools: averages, checkpoints, graphs, half precision."""

from __future__ import annotations

import copy
import inspect
import pickle
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.optim import swa_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

import icnn

LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def some_images(seed: int = 0, images: int = 6) -> Tensor:
    return torch.randn(images, 2, 6, 6, generator=torch.Generator().manual_seed(seed))


class Network(nn.Module):
    """A conv layer, ReLU and an interpretable layer with both losses, a linear head."""

    def __init__(self, **options) -> None:
        super().__init__()
        torch.manual_seed(0)
        options = {"weight": 1.0, "category_weight": 0.5, "n_categories": 3} | options
        self.features = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU())
        self.layer = icnn.InterpretableLayer(4, 6, **options)
        self.head = nn.Linear(4, 3)
        self.around = lambda part, images: part(images)

    def part(self, images: Tensor) -> Tensor:
        return self.layer(self.features(images))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.around(self.part, images).mean((2, 3)))


def step(model: nn.Module, seed: int = 0) -> None:
    """Forward and backward of a batch; the gradients stay."""
    loss = nn.functional.cross_entropy(model(some_images(seed).requires_grad_()), LABELS)
    (loss + icnn.filter_losses(model, LABELS)).backward()


def assert_same(one: nn.Module, other: nn.Module) -> None:
    """Gradients and what the layers remember."""
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=name)
    for (name, a), b in zip(one.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


# --- activation checkpointing --------------------------------------------------------------------


def checkpointed(reentrant: bool, **options) -> Network:
    model = Network(**options)
    model.around = partial(checkpoint, use_reentrant=reentrant)
    return model


def test_under_checkpointing_gradients_are_the_same_and_a_batch_counts_once() -> None:
    plain, other = Network(memory=6), checkpointed(False, memory=6)
    for seed in range(3):
        step(plain, seed), step(other, seed)
        assert int(other.layer.batches) == seed + 1
    assert_same(other, plain)


def test_a_filter_loss_without_its_gradient_is_an_error() -> None:
    model = checkpointed(True)
    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        step(model)
    with torch.no_grad():  # a number is asked for, and no gradient
        assert icnn.filter_losses(model, LABELS).isfinite()
        model(some_images())
    with pytest.raises(RuntimeError, match="no gradient"):
        icnn.filter_losses(model, LABELS)
    frozen = Network().requires_grad_(False)  # here no gradient is expected
    frozen(some_images())
    assert not icnn.filter_losses(frozen, LABELS).requires_grad


def test_the_mask_alone_works_under_either_kind_of_checkpointing() -> None:
    plain, other = (
        kind(weight=0.0, category_weight=0.0) for kind in (Network, partial(checkpointed, True))
    )
    for seed in range(2):
        step(plain, seed), step(other, seed)
    assert_same(other, plain)


# --- averages, copies, processes -----------------------------------------------------------------


SWA, EMA = swa_utils.get_swa_multi_avg_fn, swa_utils.get_ema_multi_avg_fn


# Buffers in SWA fail in torch already for the counter of a batch normalisation.
@pytest.mark.parametrize("average, use_buffers", [(SWA, False), (EMA, False), (EMA, True)])
def test_weights_can_be_averaged(average, use_buffers) -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), icnn.InterpretableLayer(4, 6))
    averaged = swa_utils.AveragedModel(model, multi_avg_fn=average(), use_buffers=use_buffers)
    for seed in range(3):
        model(some_images(seed))
        icnn.filter_losses(model, LABELS + seed)
        averaged.update_parameters(model)
    *_, layer = averaged.module
    assert (layer.target_category >= 0).all()
    with torch.no_grad():
        averaged.module[1].bias.fill_(9.0)
    swa_utils.update_bn([some_images(seed) for seed in range(40)], averaged)
    assert (layer.peak > 9).all()  # the statistics of the averaged weights
    with pytest.raises(RuntimeError, match="no gradient"):
        icnn.filter_losses(averaged)


def test_buffers_keep_their_shapes_and_their_place() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), icnn.InterpretableLayer(4, 6))
    before = {name: (buffer.shape, id(buffer)) for name, buffer in model.named_buffers()}
    for seed in range(2):
        model(some_images(seed))
        icnn.filter_losses(model, 3 * LABELS + seed)
    assert before == {name: (buffer.shape, id(buffer)) for name, buffer in model.named_buffers()}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_in_the_middle_of_a_training_goes_on_alike(copied) -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 4, 1), nn.ReLU(), icnn.InterpretableLayer(4, 6), nn.Flatten()
    )
    step(model)
    model(some_images(1))  # with a graph
    twin = copied(model)
    for one in (model, twin):
        one.zero_grad(set_to_none=True)
        step(one, 2)
    assert_same(twin, model)


def test_transforms_that_cannot_keep_the_state_are_an_error() -> None:
    layer, maps = icnn.InterpretableLayer(4, 6), torch.rand(2, 3, 4, 6, 6)
    for transform in (torch.vmap(layer), torch.func.grad(lambda x: layer(x[0]).sum())):
        with pytest.raises(RuntimeError, match=r"in-?place"):
            transform(maps)
    assert not layer.batches and not layer.peak.any()
    assert torch.vmap(layer.eval())(maps).equal(torch.stack([layer(x) for x in maps]))


def test_functional_calls_move_the_state_they_are_given() -> None:
    model, plain = Network(), Network()
    step(plain)
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    torch.func.functional_call(model, state, some_images())
    assert state["layer.peak"].equal(plain.layer.peak)
    assert not model.layer.peak.any()


# --- graphs --------------------------------------------------------------------------------------


def networks() -> list[nn.Module]:
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3, 8, 1), nn.ReLU())
    surgery = icnn.make_interpretable(backbone, 3, cut="1", image_size=64)
    return [icnn.small_cnn("category term", n_categories=3), surgery]


@pytest.mark.parametrize("which", [0, 1])
def test_graphs_of_torch_fx_train_as_the_network_does(which) -> None:
    model, images = networks()[which], torch.rand(6, 3, 64, 64)
    graph = torch.fx.symbolic_trace(copy.deepcopy(model))
    for one in (model, graph):
        loss = nn.functional.cross_entropy(one.train()(images), LABELS)
        (loss + icnn.filter_losses(one, LABELS)).backward()
    assert_same(graph, model)


@pytest.mark.parametrize("which", [0, 1])
def test_features_can_be_extracted_by_the_name_of_the_layer(which) -> None:
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    model, images = networks()[which].eval(), torch.rand(2, 3, 64, 64)
    (name,) = (name for name in get_graph_node_names(model)[1] if name.endswith("layer"))
    (masked,) = create_feature_extractor(model, [name])(images).values()
    assert masked.shape[0] == 2 and (masked == 0).any()
    scores = model(images)
    seen = []
    model.get_submodule(name).register_forward_hook(lambda *args: seen.append(args[-1]))
    assert model(images).equal(scores) and masked.equal(seen[0])


def test_compiled_and_checkpointed() -> None:
    plain, other = Network(), checkpointed(False)
    for seed in range(2):
        step(plain, seed), step(torch.compile(other, backend="aot_eager"), seed)
    assert_same(other, plain)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which", [0, 1])
def test_a_network_can_be_traced(which) -> None:
    model, images = networks()[which].eval(), torch.rand(2, 3, 64, 64)
    traced = torch.jit.trace(model, images)
    more = torch.rand(5, 3, 64, 64)
    torch.testing.assert_close(traced(more), model(more))


def test_every_member_can_be_looked_at() -> None:
    names = dict(inspect.getmembers(icnn.InterpretableLayer(4, 6)))
    assert names["target_category"].tolist() == [-1] * 4


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_export_with_any_number_of_images(training, strict) -> None:
    model, other = Network().train(training), Network().train(training)
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(model, (some_images(),), dynamic_shapes=(batch,), strict=strict)
    assert int(model.layer.batches) == 0 and not model.layer.peak.any()
    exported = program.module()
    for images in (some_images(1), some_images(2, images=9)):
        torch.testing.assert_close(exported(images), other(images))
    peaks = [value for name, value in exported.state_dict().items() if name.endswith("peak")]
    for peak in peaks:
        torch.testing.assert_close(peak, other.layer.peak)
    assert peaks or not training
    with pytest.raises(RuntimeError, match="forward pass"):
        icnn.filter_losses(model)


# --- devices and precision -----------------------------------------------------------------------


class Crossings(TorchDispatchMode):
    """Writes down which operations take a tensor from one device to another or read it."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, result)) if isinstance(x, Tensor)]
        moved = "copy" in str(function) and len({x.device for x in tensors}) > 1
        if moved or "local_scalar" in str(function):
            self.names.append(str(function))
        return result


def test_a_training_step_neither_reads_from_nor_writes_to_the_gpu() -> None:
    """So that it can be captured as a CUDA graph; on tensors that only claim to be on a GPU."""
    with FakeTensorMode():
        layer = icnn.InterpretableLayer(4, 6, category_weight=0.1, n_categories=3).to("cuda")
        x = torch.empty(6, 4, 6, 6, device="cuda", requires_grad=True)
        labels = torch.empty(6, dtype=torch.long, device="cuda")
        with Crossings() as crossings:
            for _ in range(2):
                layer(x), layer.losses(labels)
    assert not crossings.names


def test_labels_must_be_where_the_maps_are() -> None:
    layer = icnn.InterpretableLayer(4, 6).to("meta").train()
    layer(torch.empty(6, 4, 6, 6, device="meta"))
    with pytest.raises(ValueError, match=r"^labels must be where the batch is, on meta, got cpu"):
        layer.losses(LABELS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_layer_in_half_precision(dtype) -> None:
    layer = icnn.InterpretableLayer(3, 5, category_weight=0.1).to(dtype).train()
    x = torch.zeros(300, 3, 5, 5, dtype=dtype)
    x[:, 0, 2, 2], x[:, 1, 2, 3] = 1000.0, 1e-4  # the sum of 300 is beyond float16
    x.requires_grad_()
    out = layer(x)
    assert out.dtype == dtype and layer.scale.dtype == torch.float32
    assert layer.scale.tolist() == pytest.approx([1000, 100 / 3, 100 / 3], rel=0.01)
    (layer.losses(torch.arange(300) % 3) + out.float().sum()).backward()
    assert x.grad.isfinite().all()
    silent = icnn.InterpretableLayer(3, 5).to(dtype).train()
    silent(torch.zeros(2, 3, 5, 5, dtype=dtype))
    assert (silent.scale > 0).all()
    assert silent.losses().isfinite()


# --- derivatives ---------------------------------------------------------------------------------


def test_second_derivatives_are_an_error() -> None:
    x = torch.rand(6, 4, 6, 6, requires_grad=True)
    (slope,) = torch.autograd.grad(icnn.filter_loss(x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="filter_loss has no second derivative"):
        slope.square().sum().backward()
    with pytest.raises(RuntimeError, match="functorch transforms"):
        torch.func.hessian(icnn.filter_loss)(x.detach())
