"""Receptive fields against gradients, discrepancy maps against loops and known answers."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2 import Normalize

import icnn
from icnn import receptive_field
from icnn.layer import InterpretableLayer
from icnn.network import small_cnn

HIGH, WIDE = 45, 52


def positive(module: nn.Module) -> nn.Module:
    """The same geometry with weights above 0 and means for maxima: every pixel seen has a slope."""
    twin = copy.deepcopy(module).eval()
    for name, layer in list(twin.named_modules()):
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if isinstance(layer, nn.MaxPool2d):
            mean = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
            owner, _, last = name.rpartition(".")
            setattr(twin.get_submodule(owner), last, mean)
    return twin


def seen(module: nn.Module, image_size: tuple[int, int], unit: tuple[int, int], channels: int):
    """First and last row and column of the pixels that change a unit."""
    image = torch.ones(1, channels, *image_size, requires_grad=True)
    module(image)[0, :, unit[0], unit[1]].sum().backward()
    pixels = (image.grad[0].sum(0) > 0).nonzero()
    return pixels.amin(0).tolist(), pixels.amax(0).tolist()


def check_unit(field, module, image_size, unit, channels=3) -> None:
    first, last = seen(module, image_size, unit, channels)
    row, col = field.pixels(torch.tensor(unit)).tolist()
    assert ((first[0] + last[0] + 1) / 2, (first[1] + last[1] + 1) / 2) == (row, col)
    assert (last[0] - first[0] + 1, last[1] - first[1] + 1) == field.size


def inside(centres: Tensor, size: int, side: int) -> list[int]:
    """The units whose whole receptive field lies in the image."""
    whole = (centres - size / 2 >= 0) & (centres + size / 2 <= side)
    return whole.nonzero()[:, 0].tolist()


def two(low: int, high: int):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def windows(draw) -> nn.Module:
    kind = draw(st.sampled_from(["conv", "same", "valid", "max", "mean"]))
    kernel, stride = draw(two(1, 4)), draw(two(1, 3))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    if kind == "conv":
        return nn.Conv2d(1, 1, kernel, stride, padding, draw(two(1, 2)))
    if kind in ("same", "valid"):
        return nn.Conv2d(1, 1, kernel, 1, kind, draw(two(1, 2)))
    ceil = draw(st.booleans())
    if kind == "mean":
        return nn.AvgPool2d(kernel, stride, padding, ceil)
    return nn.MaxPool2d(kernel, stride, padding, draw(two(1, 2)), ceil_mode=ceil)


def slopes(layer: nn.Module) -> nn.Module:
    """A pooling layer, or a conv layer, as a convolution of ones."""
    dilation = getattr(layer, "dilation", 1)
    conv = nn.Conv2d(1, 1, layer.kernel_size, layer.stride, layer.padding, dilation, bias=False)
    nn.init.ones_(conv.weight)
    return conv


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@given(st.lists(windows(), min_size=1, max_size=4))
def test_any_chain_agrees_with_its_gradients_and_its_output(chain):
    try:
        maps = nn.Sequential(*chain)(torch.zeros(1, 1, HIGH, WIDE))
    except RuntimeError:  # smaller than a kernel
        with pytest.raises(ValueError, match="image_size"):
            receptive_field.unit_centres(nn.Sequential(*chain), (HIGH, WIDE))
        return
    field = receptive_field.unit_centres(nn.Sequential(*chain), (HIGH, WIDE))
    assert (len(field.rows), len(field.cols)) == maps.shape[2:]
    rows, cols = inside(field.rows, field.size[0], HIGH), inside(field.cols, field.size[1], WIDE)
    assume(rows and cols)
    twin = nn.Sequential(*map(slopes, chain))
    # Ceil mode adds units at the end only; the twin, which has none, knows the others.
    known = twin(torch.zeros(1, 1, HIGH, WIDE)).shape[2:]
    for unit in ((rows[0], cols[-1]), (rows[-1], cols[0])):
        if unit[0] < known[0] and unit[1] < known[1]:
            check_unit(field, twin, (HIGH, WIDE), unit, channels=1)


@pytest.mark.parametrize("side", range(2, 10))
@pytest.mark.parametrize("kernel, stride, padding", [(1, 3, 0), (2, 3, 1), (3, 2, 0), (3, 2, 1)])
def test_ceil_mode_leaves_out_windows_that_start_behind_the_image(kernel, stride, padding, side):
    pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=True)
    field = receptive_field.unit_centres(pool, side)
    assert len(field.rows) == pool(torch.zeros(1, 1, side, side)).shape[-1]


def torchvision_features(name: str) -> nn.Module:
    models = pytest.importorskip("torchvision.models")
    if name == "alexnet":
        return models.alexnet().features
    if name == "vgg":
        return models.vgg.make_layers(models.vgg.cfgs["D"][:9], batch_norm=True)
    if name == "densenet":
        return models.DenseNet(4, (2, 2), 8).features
    blocks = models.resnet.BasicBlock if name == "basic" else models.resnet.Bottleneck
    return nn.Sequential(*list(models.ResNet(blocks, [1, 2, 1, 1]).children())[:-3])


@pytest.mark.parametrize(
    "name, side",
    [("alexnet", 260), ("vgg", 90), ("basic", 170), ("bottleneck", 170), ("densenet", 140)],
)
def test_torchvision_features_agree_with_their_gradients(name, side):
    module = torchvision_features(name).eval()
    field = receptive_field.unit_centres(module, side)
    with torch.no_grad():
        assert module(torch.zeros(1, 3, side, side)).shape[2:] == (len(field.rows), len(field.cols))
    units = inside(field.rows, field.size[0], side)
    check_unit(field, positive(module), (side, side), (units[0], units[-1]))


def test_known_receptive_fields():
    """Of AlexNet and VGG-16, as in Araujo, Norris and Sim, Distill 2019."""
    models = pytest.importorskip("torchvision.models")
    alexnet = receptive_field.unit_centres(models.alexnet().features, 224)
    assert (alexnet.size, alexnet.stride, len(alexnet.rows)) == ((195, 195), (32, 32), 6)
    vgg = models.vgg.make_layers(models.vgg.cfgs["D"])
    vgg = receptive_field.unit_centres(vgg, 224)
    assert (vgg.size, vgg.stride, len(vgg.rows)) == ((212, 212), (32, 32), 7)


def test_the_small_network_of_the_lessons():
    model = small_cnn("interpretable")
    field = receptive_field.unit_centres(model, 64)
    assert field.rows.tolist() == [0.5 + 4 * i for i in range(16)]
    assert field.size == (33, 33)
    check_unit(field, positive(model.backbone), (64, 64), (8, 6))
    whole = receptive_field.unit_centres(nn.Sequential(model.backbone, model.head.layer), 64)
    assert whole.size == field.size


class Residual(nn.Module):
    """Two ways that meet: a strided 3×3 convolution, and a shortcut under a name of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 2, 1)
        self.shortcut = nn.Conv2d(channels, channels, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x), inplace=True) + self.shortcut(x)


class Functional(nn.Module):
    """No layer to be seen from outside, and a tuple on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(F.pad(x, (0, 1, 0, 1)), self.weight, stride=2)  # asymmetric
        gate = x.mean((2, 3), keepdim=True).sigmoid()
        first, second = (x * gate).chunk(2, 1)
        return F.max_pool2d(torch.cat([second, first], 1), 2)[:, :, 1:]


class Lines(nn.Module):
    """Gives rows and columns at the end, where channels belong."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


@pytest.mark.parametrize(
    "module, rows, size, stride",
    [
        (nn.Sequential(Residual(3), Residual(3)), [0.5, 4.5, 8.5], 7, 4),
        (Functional(), [6.5, 10.5, 14.5], 5, 4),
        (nn.Conv2d(3, 3, 4, padding="same"), [1.0, 2.0, 3.0], 4, 1),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(8)), [4.0, 12.0, 20.0], 8, 8),
        (nn.GroupNorm(1, 3), [0.5, 1.5, 2.5], 1, 1),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_what_is_known_is_exact(module, rows, size, stride, device):
    field = receptive_field.unit_centres(module.to(device), 64)
    assert not field.measured
    assert field.rows[:3].tolist() == rows
    assert field.size == (size, size) and field.stride == (stride, stride)


def test_a_model_of_several_cuts_is_exact():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(inplace=True), nn.MaxPool2d(2), Residual(4)
    )
    model = icnn.make_interpretable(network, 2, cut=["0", "3"], image_size=64)
    field = receptive_field.unit_centres(
        nn.Sequential(Normalize((0.5,) * 3, (0.5,) * 3), model.backbone), 64
    )
    # Units of the first cut see 3 pixels every 2; the mean of 4×4 of them 9, around 3.5 + 8 i.
    # Those of the last see 13, around 1.5 + 8 i.
    assert not field.measured and field.stride == (8, 8)
    assert field.size == (13, 13) and field.rows[0] == 1.5
    whole = receptive_field.unit_centres(model, 64)
    assert whole.size == (13 + 16, 13 + 16) and whole.rows.equal(field.rows)


def close(field, rows: Tensor, size: int, stride: float) -> None:
    assert field.measured
    assert (field.rows - rows).abs().max() < 1 and abs(field.stride[0] - stride) < 0.1
    assert abs(field.size[0] - size) <= 1


def test_what_is_not_known_is_measured():
    base = nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1), nn.ReLU())
    units = torch.arange(32)
    up = nn.Sequential(*base, nn.Upsample(scale_factor=2), nn.Conv2d(6, 6, 3, padding=1))
    close(receptive_field.unit_centres(up, 64), 2 * units - 0.5, 7, 2)
    back = nn.Sequential(*base, nn.ConvTranspose2d(6, 6, 2, 2))
    close(receptive_field.unit_centres(back, 64), 2 * units - 0.5, 3, 2)
    small = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.PixelUnshuffle(2))
    close(receptive_field.unit_centres(small, 64), 4 * units[:16] + 1.5, 5, 4)


@pytest.mark.parametrize("name, side", [("alexnet", 224), ("basic", 160)])
def test_measured_and_exact_agree(name, side, monkeypatch):
    module = torchvision_features(name)
    exact = receptive_field.unit_centres(module, side)
    monkeypatch.setattr(receptive_field, "follow", lambda m, image: (m.eval()(image), None))
    measured = receptive_field.unit_centres(module, side)
    assert measured.measured and not exact.measured
    assert (measured.rows - exact.rows).abs().max() < 3
    assert (measured.cols - exact.cols).abs().max() < 3


def test_units_that_follow_no_pixels_are_an_error():
    with pytest.raises(ValueError, match="module must give maps"):
        receptive_field.unit_centres(Lines(), 24)


def test_a_part_that_is_written_in_place_is_not_guessed():
    class Frame(nn.Module):
        def forward(self, x):
            wide = x.new_zeros(*x.shape[:2], x.shape[2] + 2, x.shape[3] + 2)
            wide[:, :, 2:, 2:] = x
            return wide

    field = receptive_field.unit_centres(Frame(), 16)
    assert field.measured and (field.rows - (torch.arange(18) - 1.5)).abs().max() < 0.5


def test_pixels_takes_rows_first_keeps_the_dtype_and_any_shape():
    module = nn.Conv2d(1, 1, (3, 5), stride=(2, 4))
    field = receptive_field.unit_centres(module, (20, 30))
    positions = torch.tensor([[[1.0, 2.0], [0.0, 0.5]]], dtype=torch.float64)
    got = field.pixels(positions)
    assert got.dtype == torch.float64 and got.tolist() == [[[3.5, 10.5], [1.5, 4.5]]]
    assert field.pixels(torch.tensor([1, 2])).tolist() == [3.5, 10.5]
    assert (field.rows[1], field.cols[2]) == (3.5, 10.5)


def test_upscale_is_bilinear_with_pixel_centres():
    maps = torch.tensor([[[[0.0, 4.0], [0.0, 4.0]]]])
    got = receptive_field.upscale(maps, (2, 8))
    assert got[0, 0].tolist() == [[0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]] * 2


def slow_discrepancy(features, image, unit_filter, patch, stride):
    height, width = image.shape[1:]
    maps = features(image[None])[0, unit_filter]
    peak = max(range(maps.numel()), key=lambda i: float(maps.flatten()[i]))
    total, count = torch.zeros(2, height, width, dtype=image.dtype)
    for row in [*range(0, height - patch, stride), height - patch]:
        for col in [*range(0, width - patch, stride), width - patch]:
            covered = image.clone()
            for channel in covered:
                channel[row : row + patch, col : col + patch] = channel.mean()
            for channel, original in zip(covered, image, strict=True):
                channel[row : row + patch, col : col + patch] = original.mean()
            change = features(covered[None])[0, unit_filter].flatten()[peak] - maps.max()
            total[row : row + patch, col : col + patch] += change.abs()
            count[row : row + patch, col : col + patch] += 1
    return total / count


@torch.no_grad()
@pytest.mark.parametrize("patch, stride", [(5, 3), (4, 4), (1, 1), (12, 5)])
def test_discrepancy_map_agrees_with_a_loop(patch, stride):
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 4, 5, 2, 2), nn.ReLU(), nn.Conv2d(4, 3, 3)).double()
    image = torch.rand(3, 14, 17, dtype=torch.float64)
    got = receptive_field.discrepancy_map(features, image, 1, patch=patch, stride=stride)
    wanted = slow_discrepancy(features, image, 1, patch, stride)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)
    assert got.max() > 0


def test_a_model_is_looked_at_through_its_maps():
    model = small_cnn(seed=0).eval()
    maps = nn.Sequential(model.backbone, model.head.features)
    images = torch.rand(2, 3, 64, 64)
    for look, of in (
        (receptive_field.discrepancy_map, images[0]),
        (receptive_field.average_receptive_field, images),
    ):
        got, wanted = (look(features, of, 40, patch=16, stride=16) for features in (model, maps))
        assert got.equal(wanted) and got.max() > 0


def spot(row: int, col: int, side: int = 24) -> Tensor:
    """A black image with a white 3×3 spot."""
    image = torch.zeros(3, side, side)
    image[:, row - 1 : row + 2, col - 1 : col + 2] = 1.0
    return image


def corner_looker() -> nn.Sequential:
    """Receptive field 9×9, but the filter only uses its upper left 3×3 pixels."""
    conv = nn.Conv2d(3, 1, 9, padding=4, bias=False)
    nn.init.zeros_(conv.weight)
    nn.init.constant_(conv.weight[:, :, :3, :3].data, 1.0)
    return nn.Sequential(conv, nn.ReLU())


def test_a_discrepancy_map_shows_the_pixels_that_are_used():
    got = receptive_field.discrepancy_map(corner_looker(), spot(8, 9), 0, patch=1, stride=1)
    used = (got > 0).nonzero()
    assert used.amin(0).tolist() == [7, 8] and used.amax(0).tolist() == [9, 10]


def test_the_average_is_aligned_on_the_peak_and_takes_the_top_images():
    # The filter peaks 3 pixels right of and below the spot that it uses.
    images = torch.stack([spot(8, 9), spot(12, 6), 0.5 * spot(16, 16)])
    average = receptive_field.average_receptive_field(
        corner_looker(), images, 0, top=2, patch=1, stride=1
    )
    used = (average > 0).nonzero()
    assert average.shape == (24, 24)
    assert used.amin(0).tolist() == [12 - 4, 12 - 4] and used.amax(0).tolist() == [10, 10]
    single = receptive_field.average_receptive_field(
        corner_looker(), images[:1], 0, patch=1, stride=1
    )
    torch.testing.assert_close(average, single)  # both spots are equally bright
    fainter = receptive_field.average_receptive_field(
        corner_looker(), images, 0, top=3, patch=1, stride=1
    )
    assert fainter.max() < average.max()


@torch.no_grad()
def test_the_average_is_over_the_images_that_reach():
    torch.manual_seed(1)
    features = nn.Sequential(nn.Conv2d(3, 2, 5, 2, 1), nn.ReLU(), nn.Conv2d(2, 1, 3)).double()
    images = torch.rand(5, 3, 15, 18, dtype=torch.float64)
    found: dict[tuple[int, int], list[float]] = {}
    for image in images:
        unit = divmod(int(features(image[None]).flatten().argmax()), 6)
        row, col = (int(3.5 + 2 * u) for u in unit)  # the first centre is 1.5 + 2
        values = receptive_field.discrepancy_map(features, image, 0, patch=4).tolist()
        for r in range(15):
            for c in range(18):
                found.setdefault((8 + r - row, 9 + c - col), []).append(values[r][c])
    wanted = [
        [sum(v) / len(v) if (v := found.get((r, c))) else 0.0 for c in range(18)] for r in range(15)
    ]
    got = receptive_field.average_receptive_field(features, images, 0, patch=4)
    assert {len(values) for values in found.values()} >= {1, 5}
    torch.testing.assert_close(got, torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize(
    "call, error, name",
    [
        (lambda: receptive_field.unit_centres(None, 64), TypeError, "module"),
        (lambda: receptive_field.unit_centres(nn.Conv2d(3, 1, 3), 6.4), TypeError, "image_size"),
        (lambda: receptive_field.unit_centres(nn.Conv2d(3, 1, 3), True), TypeError, "image_size"),
        (
            lambda: receptive_field.unit_centres(nn.Conv2d(3, 1, 3), (4, 0)),
            ValueError,
            "image_size",
        ),
        (lambda: receptive_field.unit_centres(nn.Conv2d(3, 1, 3), 2), ValueError, "image_size"),
        (lambda: receptive_field.unit_centres(nn.Flatten(), 64), ValueError, "module"),
        (lambda: receptive_field.unit_centres(nn.Linear(9, 9), 64), ValueError, "module"),
        (lambda: receptive_field.upscale(torch.zeros(2, 2), 4), ValueError, "maps"),
        (lambda: receptive_field.upscale(torch.zeros(1, 1, 2, 2), 4.0), TypeError, "image_size"),
        (lambda: field().pixels([1, 2]), TypeError, "positions"),
        (lambda: field().pixels(torch.zeros(3)), ValueError, "positions"),
        (lambda: field().pixels(torch.tensor([0, 16])), ValueError, "positions"),
        (lambda: field().pixels(torch.tensor([-1, 0])), ValueError, "positions"),
        (lambda: field().pixels(torch.tensor([torch.nan, 0])), ValueError, "positions"),
        (lambda: discrepancy(image=torch.zeros(1, 3, 9, 9)), ValueError, "image"),
        (lambda: discrepancy(image=torch.zeros(3, 9, 9).long()), TypeError, "image"),
        (lambda: discrepancy(image=torch.full((3, 9, 9), torch.nan)), ValueError, "image"),
        (lambda: discrepancy(unit_filter=1), ValueError, "unit_filter"),
        (lambda: discrepancy(unit_filter=0.0), TypeError, "unit_filter"),
        (lambda: discrepancy(patch=10), ValueError, "patch"),
        (lambda: discrepancy(patch=2, stride=3), ValueError, "patch"),
        (lambda: discrepancy(stride=0), ValueError, "stride"),
        (lambda: average(images=torch.zeros(3, 9, 9)), ValueError, "images"),
        (lambda: average(images=torch.zeros(0, 3, 9, 9)), ValueError, "images"),
        (lambda: average(top=0), ValueError, "top"),
    ],
)
def test_bad_input_is_named(call, error, name):
    with pytest.raises(error, match=name):
        call()


def field():
    layer = InterpretableLayer(1, 16)
    return receptive_field.unit_centres(nn.Sequential(nn.Conv2d(3, 1, 1), layer), 16)


def discrepancy(image=None, unit_filter=0, patch=5, stride=3):
    image = torch.zeros(3, 9, 9) if image is None else image
    return receptive_field.discrepancy_map(
        corner_looker(), image, unit_filter, patch=patch, stride=stride
    )


def average(images=None, top=1):
    images = torch.zeros(2, 3, 9, 9) if images is None else images
    return receptive_field.average_receptive_field(corner_looker(), images, 0, top=top, patch=5)


class PaddedConv(nn.Conv2d):
    """A convolution that pads by itself, as networks ported from other frameworks have it."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (1, 1, 1, 1))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def test_a_surgery_on_convolutions_of_ones_own_knows_its_channels() -> None:
    network = nn.Sequential(PaddedConv(3, 6, 3, stride=2), nn.ReLU(), PaddedConv(6, 8, 3, stride=2))
    model = icnn.make_interpretable(network, 2, cut=["0", "2"], image_size=32, width=4)
    field = receptive_field.unit_centres(model, 32)
    assert not any(isinstance(m, nn.Conv2d) for m in model.backbone.modules())
    assert len(field.rows) == len(field.cols) == model.maps(torch.zeros(1, 3, 32, 32)).shape[-1]


class OwnConv(nn.Conv2d):
    """A convolution that tracing takes apart, in groups."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, groups=self.groups)


class LastFirst(nn.Module):
    """Its layers are not registered in the order in which they are called."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.second, self.first = nn.Conv2d(7, 5, 3), nn.Conv2d(channels, 7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class Bare(nn.Module):
    """A convolution that is no module, in front of one that is."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.conv = nn.Parameter(torch.randn(4, 3, 3, 3)), nn.Conv2d(4, 7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.conv2d(x, self.kernel))


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (LastFirst(3), 5),
        (LastFirst(1), 5),
        (Bare(), 5),
        (nn.Sequential(nn.Conv2d(4, 2, 3)), 3),
    ],
    ids=["colour", "grey", "bare", "four channels"],
)
def test_the_channels_are_those_that_a_network_takes(network: nn.Module, size: int) -> None:
    assert receptive_field.unit_centres(network, 32).size == (size, size)


def test_a_surgery_on_grouped_convolutions_of_ones_own_knows_its_channels() -> None:
    network = nn.Sequential(OwnConv(3, 6, 3, groups=3, bias=False), nn.Conv2d(6, 5, 3))
    model = icnn.make_interpretable(network, 2, cut="1", image_size=32, width=4)
    assert receptive_field.unit_centres(model, 32).size == (9, 9)
