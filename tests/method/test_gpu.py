"""On a graphics card: the kernels, and the promises that a CPU keeps by itself.

Without a card the kernels run in Triton's interpreter, where there is Triton.
"""

from __future__ import annotations

import copy
import importlib.util
import os
import subprocess
import sys

import pytest
import torch
from test_loss import some_maps, value_and_gradient
from torch import nn

import icnn
from icnn import _device

needs_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CARD = torch.device("cuda")

SHAPES = [  # images, filters, side, beta
    (1, 3, 5, 4.0),
    (33, 5, 13, 4.0),
    (64, 3, 28, 4.0),
    (200, 4, 14, 7.3),
    (1025, 2, 7, 4.0),  # too many images for the kernels
    (8, 2, 40, 4.0),
    (3, 2, 1, 4.0),
]

INTERPRETED = """
import contextlib, torch
torch.cuda.device = lambda device: contextlib.nullcontext()
from icnn import _kernels, filter_loss, loss, part_mask
torch.manual_seed(0)
for images, filters, n, beta in (5, 3, 6, 4.0), (20, 2, 9, 3.3), (1, 1, 1, 4.0), (3, 1, 20, 4.0):
    for form in torch.contiguous_format, torch.channels_last:
        x = torch.randn(images, filters, n, n).relu().to(memory_format=form)
        options = {"sharpness": 2.0, "scale": x.amax((0, 2, 3)).clamp_min(0.1), "beta": beta}
        wide = x.double().requires_grad_()
        wanted = filter_loss(wide, **options)
        wanted.backward()
        loss.kernels = lambda x: _kernels
        assert loss.path(x) == "kernels"
        value = filter_loss(x.requires_grad_(), **options)
        alone = filter_loss(x.detach(), **options)
        value.backward()
        loss.kernels = lambda x: None
        assert value == alone and x.grad.stride() == x.stride()
        assert abs(value - wanted) <= 1e-6 + 1e-5 * abs(wanted)
        assert (x.grad - wide.grad).abs().max() <= 5e-5 * wide.grad.abs().max() + 1e-9
        x, gain = x.detach(), torch.ones(filters)
        one, two = (s.clone() for s in [torch.randn(images, filters, n * n + 1)] * 2)
        whole = _kernels.slope_(one, gain, n * n + 1, True, False)
        assert whole == _kernels.slope_(two, gain, n * n + 1, True, True)
        halves = two.view(torch.bfloat16).view(*one.shape, 2).float().sum(-1)
        assert ((halves - one).abs() <= one.abs() / 2**15).all()
        mask, peak = _kernels.masks(x, beta)
        assert (mask - part_mask(x, beta=beta)).abs().max() <= 1e-6
        assert (peak == x.amax((2, 3))).all() and mask.stride() == x.stride()
labels, known = torch.arange(18)[::2] % 7, torch.rand(70, 100) * (torch.rand(70, 100) < 0.5)
activation, means = torch.rand(9, 70), known.clone()
_kernels.follow_(means, activation, labels, 0.1)
for k in range(100):
    if (labels == k).any():
        mean = activation[labels == k].mean(0)
        known[:, k] = torch.where(known[:, k] == 0, mean, known[:, k].lerp(mean, 0.1))
assert (means - known).abs().max() <= 1e-6
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs Triton")
@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernels run on the card itself")
def test_the_kernels_in_the_interpreter() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", INTERPRETED], check=True, env=environment)


@pytest.mark.parametrize("images, filters, n, beta", SHAPES)
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
@needs_card
def test_the_loss_is_that_of_the_cpu(images, filters, n, beta, form) -> None:
    x = some_maps(images, filters, n)
    options = {"sharpness": 2.0, "scale": x.amax((0, 2, 3)).clamp_min(0.1), "beta": beta}
    wanted, wanted_gradient = value_and_gradient(icnn.filter_loss, x, **options)
    options["scale"] = options["scale"].to(CARD)
    near = x.float().to(CARD).to(memory_format=form)
    value, gradient = value_and_gradient(icnn.filter_loss, near, **options)
    assert abs(value.cpu() - wanted) <= 1e-6
    size = wanted_gradient.abs().max() + 1e-12
    assert (gradient.cpu() - wanted_gradient).abs().max() <= 1e-5 * size


@pytest.mark.parametrize("images, filters, n, beta", SHAPES)
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
@needs_card
def test_the_loss_of_bfloat16_is_rounded_once(images, filters, n, beta, form) -> None:
    """However it is multiplied: a gradient is off by half a unit of its last place."""
    x = some_maps(images, filters, n).bfloat16()
    options = {"sharpness": 2.0, "scale": x.float().amax((0, 2, 3)).clamp_min(0.1), "beta": beta}
    wanted, wanted_gradient = value_and_gradient(icnn.filter_loss, x.double(), **options)
    options["scale"] = options["scale"].to(CARD)
    near = x.to(CARD).to(memory_format=form)
    value, gradient = value_and_gradient(icnn.filter_loss, near, **options)
    assert abs(value.cpu() - wanted) <= 1e-6
    assert gradient.is_contiguous(memory_format=form)
    allowed = wanted_gradient.abs() / 2**8 + 5e-5 * wanted_gradient.abs().max() + 1e-16
    assert ((gradient.cpu().double() - wanted_gradient).abs() <= allowed).all()


@needs_card
def test_the_path_is_told() -> None:
    x = torch.rand(4, 3, 8, 8, device=CARD)
    assert icnn.loss.path(x) == "kernels"
    assert icnn.loss.path(x.double()) == icnn.loss.path(x.cpu()) == "plain"
    assert icnn.loss.path(x.repeat(257, 1, 1, 1)) == "plain"


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_card)])
@pytest.mark.parametrize("plain", [False, True])
def test_products_are_exact_whatever_the_caller_allows(
    monkeypatch, precision, device, plain
) -> None:
    """The loss, the category term and what they are differentiated by."""
    if plain:
        monkeypatch.setattr(icnn.loss, "kernels", lambda x: None)
    x = some_maps(16, 24, 14).to(device)
    options = {"sharpness": 2.0, "scale": x.amax((0, 2, 3))}
    is_target = torch.rand(16, 24, device=device) < 0.3

    def category(x, **options):
        return icnn.category_loss(x, is_target, **options)

    for loss in (icnn.filter_loss, category):
        wanted, wanted_gradient = value_and_gradient(loss, x, **options)
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(precision)
        try:
            value, gradient = value_and_gradient(loss, x.float(), **options)
            assert torch.get_float32_matmul_precision() == precision
        finally:
            torch.set_float32_matmul_precision(before)
        assert abs(value - wanted) <= 1e-6 * (1 + abs(wanted))
        assert (gradient - wanted_gradient).abs().max() <= 1e-5 * wanted_gradient.abs().max()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_card)])
def test_the_gradient_of_half_precision_is_rounded_after_the_loss_scale(device) -> None:
    x, scaling = some_maps(64, 4, 28).half().to(device), 65536
    options = {"sharpness": 2.0, "scale": x.float().amax((0, 2, 3))}
    _, wanted = value_and_gradient(icnn.filter_loss, x.double(), **options)
    half = x.clone().requires_grad_()
    (scaling * icnn.filter_loss(half, **options)).backward()
    error = (half.grad.double() / scaling - wanted).norm() / wanted.norm()
    assert error <= 2**-11  # once rounded to eleven bits


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("n", [1, 3, 7, 14, 28, 70])
@needs_card
def test_the_mask_and_its_gradient_are_those_of_the_cpu(n, form, dtype) -> None:
    """Whole numbers from 0 to 2 have many ties."""
    x = torch.randint(0, 3, (4, 9, n, n)).to(dtype)
    layer = icnn.InterpretableLayer(9, n)
    upstream = torch.rand_like(x)
    near, results = x.to(CARD).to(memory_format=form), []
    for maps, module in ((x, layer), (near, copy.deepcopy(layer).to(CARD))):
        maps = maps.clone().requires_grad_()
        (module(maps) * upstream.to(maps.device)).sum().backward()
        results.append((module(maps.detach()), maps.grad, module.peak))
    for wanted, got in zip(*results, strict=True):
        torch.testing.assert_close(got.cpu(), wanted, atol=2e-2, rtol=2e-2)
        if dtype in (torch.float32, torch.float64):
            torch.testing.assert_close(got.cpu(), wanted)


@needs_card
def test_a_second_derivative_goes_through_the_mask() -> None:
    x = some_maps(2, 3, 6).float().to(CARD).requires_grad_()
    masked = icnn.InterpretableLayer(3, 6).to(CARD)(x)
    (gradient,) = torch.autograd.grad((masked**2).sum(), x, create_graph=True)
    gradient.sum().backward()
    torch.testing.assert_close(x.grad, 2 * icnn.part_mask(x.detach()) ** 2)


def step_of(model: nn.Module, images, labels):
    """A training step as a function."""

    def step() -> None:
        model.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(images), labels)
        (loss + icnn.filter_losses(model, labels)).backward()

    return step


@pytest.mark.parametrize("variant", ["interpretable", "category term", "alexnet"])
@needs_card
def test_a_step_in_a_cuda_graph_gives_the_same_numbers(variant) -> None:
    if variant == "alexnet":
        model = icnn.make_interpretable(variant, 5, weights=None, image_size=127)
    else:
        model = icnn.small_cnn(variant)
    model, side = model.to(CARD).train(), 127 if variant == "alexnet" else 64
    images, labels = torch.rand(16, 3, side, side, device=CARD), torch.arange(16, device=CARD) % 5
    step = step_of(model, images, labels)
    step()
    model.eval()(images)  # lets go of that step's graph, which belongs to another stream
    model.train()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    model.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        step()
    captured = [p.grad for p in model.parameters()]
    images.copy_(torch.rand_like(images))
    start = {name: value.clone() for name, value in model.state_dict().items()}
    graph.replay()
    replayed = [g.clone() for g in captured], copy.deepcopy(model.state_dict())
    model.load_state_dict(start)
    step()
    torch.testing.assert_close(replayed[0], [p.grad for p in model.parameters()])
    torch.testing.assert_close(replayed[1], model.state_dict())


class SomeImages:
    """What `fit` needs, from random numbers."""

    def __init__(self, count: int = 96) -> None:
        generator = torch.Generator("cpu").manual_seed(0)
        self.images = torch.rand(count, 3, 64, 64, generator=generator, device="cpu")
        self.labels = torch.arange(count, device="cpu") % 5

    def __len__(self) -> int:
        return len(self.labels)

    def floats(self, index) -> torch.Tensor:
        return self.images[index]


@needs_card
def test_fit_is_deterministic_for_a_seed() -> None:
    data, weights = SomeImages(640), []
    for _ in range(2):
        model = nn.Sequential(nn.Dropout2d(0.1), icnn.small_cnn("category term")).to(CARD)
        icnn.fit(model, data, data, epochs=2, seed=3, progress=False)
        weights.append([p.detach() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_card)])
def test_the_callers_random_numbers_go_on(device) -> None:
    data, cards = SomeImages(), device == "cuda"

    def states() -> list[torch.Tensor]:
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if cards else [])]

    before = states()
    model = icnn.small_cnn().to(device)
    icnn.fit(model, data, data, epochs=1, progress=False)
    with torch.device(device):
        icnn.small_cnn()
        icnn.ablation.build("max: plain")
    assert all(torch.equal(a, b) for a, b in zip(before, states(), strict=True))


def test_seeded_reaches_no_card_that_is_not_meant(monkeypatch) -> None:
    """Not even one that CUDA would start later: torch keeps the seed for it."""
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    with _device.seeded(1):
        first = torch.rand(3)
    with _device.seeded(1):
        assert torch.equal(torch.rand(3), first)
    assert not seeded


@pytest.mark.parametrize("device", ["meta", pytest.param("cuda", marks=needs_card)])
def test_another_default_device_changes_nothing(device) -> None:
    """What is made on the way belongs beside the arguments; on the meta device it has no values."""
    data, model = SomeImages(), icnn.small_cnn("category term")
    landmarks = 64 * torch.rand(20, 3, 2)
    maps, places = torch.rand(20, 4, 6, 6), 64 * torch.rand(20, 4, 2)
    scores = maps.amax((2, 3))

    def answers() -> list:
        history = icnn.fit(copy.deepcopy(model), data, data, epochs=1, seed=1, progress=False)
        control = icnn.constant_control(landmarks, 64)
        tracking = icnn.best_part_tracking(places, scores, landmarks)
        return [
            torch.tensor(history.loss, device="cpu"),
            torch.tensor(control.best, device="cpu"),
            icnn.location_instability(places, scores, landmarks, 64),
            tracking.tracking,
            icnn.filter_loss(maps),
            icnn.part_mask(maps),
            icnn.peaks(maps)[0],
            icnn.assign_categories(maps, torch.arange(20, device="cpu") % 3, 3),
        ]

    wanted = answers()
    with torch.device(device):
        found = answers()
    torch.testing.assert_close(found, wanted, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
@needs_card
def test_the_running_means_are_those_of_the_cpu(dtype) -> None:
    far = icnn.InterpretableLayer(70, 6, n_categories=9).train()
    near = copy.deepcopy(far).to(CARD)
    for images in (33, 5, 1):
        x, labels = torch.rand(images, 70, 6, 6), torch.randint(7, (2 * images,)).to(dtype)[::2]
        for layer in (far, near):
            layer(x.to(layer.peak.device))
            icnn.filter_losses(layer, labels.to(layer.peak.device))
        torch.testing.assert_close(near.category_means.cpu(), far.category_means)
        torch.testing.assert_close(near.peak.cpu(), far.peak)


@needs_card
def test_a_label_that_is_too_large_is_an_error_on_the_card() -> None:
    code = (
        "import torch, icnn\n"
        "layer = icnn.InterpretableLayer(2, 6, n_categories=3).to('cuda')\n"
        "layer(torch.rand(4, 2, 6, 6, device='cuda'))\n"
        "icnn.filter_losses(layer, torch.arange(4, device='cuda')).item()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode and "assert" in ran.stderr


@needs_card
def test_labels_must_be_where_the_layer_is() -> None:
    model = icnn.small_cnn().to(CARD).train()
    model(torch.rand(8, 3, 64, 64, device=CARD))
    with pytest.raises(ValueError, match="labels must be where"):
        icnn.filter_losses(model, torch.arange(8) % 5)


@needs_card
def test_the_control_of_landmarks_on_the_card() -> None:
    landmarks = 64 * torch.rand(30, 3, 2)
    near, far = (icnn.constant_control(x, 64) for x in (landmarks.to(CARD), landmarks))
    assert near.best == pytest.approx(far.best) and near.centre == pytest.approx(far.centre)


@needs_card
def test_the_loss_needs_two_maps_of_memory() -> None:
    x = torch.rand(64, 256, 14, 14, device=CARD).requires_grad_()
    x.grad = torch.zeros_like(x)
    icnn.filter_loss(x).backward()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    icnn.filter_loss(x).backward()
    maps = (torch.cuda.max_memory_allocated() - before) / (4 * x.numel())
    assert maps <= 2.1  # and some numbers for each image and filter
