"""What a unit of a feature map looks at: in theory, and as measured by covering up the image.

Taught in lesson 6; `unit_centres` is used wherever a peak becomes a point in the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from icnn._check_args import (
    COUNT,
    FUNCTION,
    IMAGE_SIZE,
    MODULE,
    SIZE,
    Array,
    check_data,
    check_dense,
    checked,
)
from icnn.layer import InterpretableLayer
from icnn.network import InterpretableCNN

Features = Callable[[Tensor], Tensor]

_WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_POINTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish),
    *(nn.Sigmoid, nn.Tanh, nn.BatchNorm2d, nn.LocalResponseNorm, nn.Dropout, nn.Dropout2d),
    *(nn.Identity, InterpretableLayer),
)
# Blocks of torchvision's ResNet and DenseNet: their longest path is all their layers in order,
# except the shortcut, which sees a part of what the longest path sees, around the same centre.
_BLOCKS = ("BasicBlock", "Bottleneck", "_DenseBlock", "_DenseLayer")
_SHORTCUT = "downsample"


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """Where the units of a feature map look, as (row, col); pixel i covers [i, i+1).

    Attributes:
        rows: (n_h,) float32, centre of each row of units, in pixels.
        cols: (n_w,) float32, centre of each column of units, in pixels.
        size: (height, width) of each unit's receptive field, in pixels.
        stride: (down, right), pixels between the centres of neighbouring units.
    """

    rows: Tensor
    cols: Tensor
    size: tuple[int, int]
    stride: tuple[int, int]

    def pixels(self, positions: Tensor) -> Tensor:
        """Positions (…, 2) in units, (row, col) → points (…, 2) in pixels; of integers, float32.

        Raises:
            TypeError: not a dense tensor of real numbers.
            ValueError: another last dimension than 2, or a position off the feature map.
        """
        check_dense(positions, "positions")
        check_data(positions, "positions")
        if positions.is_complex():
            raise TypeError(f"positions must be real numbers, got {positions.dtype}")
        if positions.ndim < 1 or positions.shape[-1] != 2:
            raise ValueError(f"positions must have shape (..., 2), got {tuple(positions.shape)}")
        first = torch.stack([self.rows[0], self.cols[0]]).to(positions.device)
        last = torch.tensor([len(self.rows) - 1, len(self.cols) - 1], device=positions.device)
        if not ((positions >= 0) & (positions <= last)).all():
            raise ValueError(f"positions must be from (0, 0) to {tuple(last.tolist())}, in units")
        pixels = first + torch.tensor(self.stride, device=positions.device) * positions
        return pixels.to(positions.dtype) if positions.is_floating_point() else pixels


@checked(module=MODULE, image_size=IMAGE_SIZE)
def unit_centres(module: nn.Module, image_size: int | tuple[int, int]) -> ReceptiveField:
    """The receptive field of every unit that a feature extractor gives for an image.

    From kernel sizes, strides, paddings and dilations alone; nothing is run. Taught in lesson 6.

    Args:
        module: a conv or pooling layer, or nested `nn.Sequential`s of these, of layers that work on
            each unit by itself (activations, batch normalisation, dropout) and of torchvision's
            ResNet and DenseNet blocks: `alexnet.features`, `vgg.features`, `densenet.features`,
            `nn.Sequential(*list(resnet.children())[:-2])`.
        image_size: side of the image, or (height, width), in pixels.

    Returns:
        ReceptiveField. Near the border it sticks out of the image where layers pad.

    Raises:
        ValueError: `module` holds a layer that is not known here, or the image is too small.
    """
    sides = height_and_width(image_size)
    if isinstance(module, InterpretableCNN):
        module = nn.Sequential(module.backbone, module.head.features)
    windows = list(_windows(module))
    (rows, high, down), (cols, wide, right) = (
        _along(axis, side, windows) for axis, side in enumerate(sides)
    )
    return ReceptiveField(rows, cols, (high, wide), (down, right))


@checked(maps=Array("N C n n", values=None), image_size=IMAGE_SIZE)
def upscale(maps: Tensor, image_size: int | tuple[int, int]) -> Tensor:
    """Maps, bilinearly scaled up to the image.

    The quick picture of where a filter fires: it spreads the units evenly over the image, which can
    differ from their true centres (`unit_centres`) by a few pixels. Values are not checked. For
    `icnn.part_interpretability` (lesson 7).

    Args:
        maps: (N, C, n, n), floating.
        image_size: side of the image, or (height, width), in pixels.

    Returns:
        (N, C, H, W), of the maps' dtype.
    """
    return nn.functional.interpolate(maps, height_and_width(image_size), mode="bilinear")


@torch.no_grad()
@checked(
    features=FUNCTION,
    image=Array("C H W"),
    unit_filter=COUNT,
    patch=SIZE,
    stride=SIZE,
)
def discrepancy_map(
    features: Features, image: Tensor, unit_filter: int, *, patch: int = 11, stride: int = 3
) -> Tensor:
    """How much a filter's peak depends on each pixel: cover up a patch, look at the change.

    A square of the image's mean colour is moved over the image. At each place the absolute change
    of the unit that had the peak is noted; a pixel gets the mean over the squares that covered it.
    Zhou et al., "Object detectors emerge in deep scene CNNs", ICLR 2015 (they fill the squares at
    random). Used in lesson 6.

    Args:
        features: images (N, 3, H, W) → maps (N, C, n, n); a module must be in eval mode.
        image: (3, H, W), floating.
        unit_filter: index of the filter.
        patch: side of the square, in pixels.
        stride: pixels between squares, at most `patch`, so that all pixels are covered.

    Returns:
        (H, W), 0 or more, dtype of the maps.

    Raises:
        ValueError: there is no such filter, or `patch` is less than `stride` or more than a side.
    """
    peak, activation = _peak(features, image, unit_filter)
    down, across = (_stripes(side, patch, stride, image.device) for side in image.shape[1:])
    colour = image.mean((1, 2), keepdim=True)
    total = activation.new_zeros(image.shape[1:])
    for stripe in down:
        squares = stripe[:, None] & across[:, None, :]
        covered = torch.where(squares[:, None], colour, image)
        change = (features(covered)[:, unit_filter].flatten(1)[:, peak] - activation).abs()
        total += torch.einsum("p,phw->hw", change, squares.to(change.dtype))
    return total / (down.sum(0)[:, None] * across.sum(0))


@checked(
    features=MODULE,
    images=Array("N C H W"),
    unit_filter=COUNT,
    top=SIZE,
    patch=SIZE,
    stride=SIZE,
)
def average_receptive_field(
    features: nn.Module,
    images: Tensor,
    unit_filter: int,
    *,
    top: int = 10,
    patch: int = 11,
    stride: int = 3,
) -> Tensor:
    """What a filter looks at around its peak: its discrepancy maps, laid over each other.

    The mean over the filter's top images, each map moved so that the peak's centre is in the
    middle. Usually much smaller than the receptive field that `unit_centres` gives. Zhou et al.,
    ICLR 2015. Taught in lesson 6.

    Args:
        features: a module that `unit_centres` knows, in eval mode.
        images: (N, 3, H, W), floating.
        unit_filter: index of the filter.
        top: on how many images, those with the highest peaks.
        patch, stride: as for `discrepancy_map`.

    Returns:
        (H, W) with the peak at (H/2, W/2), rounded up; 0 where no image reaches.
    """
    height, width = images.shape[2:]
    field = unit_centres(features, (height, width))
    found = [_peak(features, image, unit_filter) for image in images]
    best = torch.tensor([float(score) for _, score in found]).argsort(descending=True, stable=True)
    total = images.new_zeros(2 * height, 2 * width)
    count = torch.zeros_like(total)
    for i in best[:top].tolist():
        unit = torch.tensor(divmod(found[i][0], len(field.cols)))
        row, col = field.pixels(unit).long().tolist()
        here = slice(height - row, 2 * height - row), slice(width - col, 2 * width - col)
        total[here] += discrepancy_map(features, images[i], unit_filter, patch=patch, stride=stride)
        count[here] += 1
    middle = slice(height // 2, height // 2 + height), slice(width // 2, width // 2 + width)
    return total[middle] / count[middle].clamp_min(1)


def height_and_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """An image size, one int or two, as two."""
    return (image_size, image_size) if isinstance(image_size, int) else image_size


def _windows(module: nn.Module) -> Iterator[nn.Module]:
    """The layers along the longest path that move or widen receptive fields, in order."""
    if isinstance(module, _WINDOWS):
        yield module
    elif isinstance(module, nn.Sequential) or type(module).__name__ in _BLOCKS:
        for name, child in module.named_children():
            if name != _SHORTCUT:
                yield from _windows(child)
    elif not isinstance(module, _POINTWISE):
        raise ValueError(
            "module must be a chain of conv, pooling and pointwise layers, or ResNet or DenseNet "
            f"blocks; it holds a {type(module).__name__}"
        )


def _along(axis: int, side: int, windows: list[nn.Module]) -> tuple[Tensor, int, int]:
    """Along rows (0) or columns (1): the units' centres, their receptive field, their stride."""
    first, size, stride, units = 0.5, 1, 1, side
    for layer in windows:
        reach = _at(layer, "dilation", axis) * (_at(layer, "kernel_size", axis) - 1)
        step, padding = _at(layer, "stride", axis), _padding(layer, axis)
        room = units + sum(padding) - reach - 1
        ceil = getattr(layer, "ceil_mode", False)
        after = (-(-room // step) if ceil else room // step) + 1
        # A window that would start behind the image and its first padding is left out.
        units = after - 1 if ceil and (after - 1) * step >= units + padding[0] else after
        if units < 1:
            raise ValueError(f"image_size: {side} pixels are too few for the layers of module")
        first += (reach / 2 - padding[0]) * stride
        size += reach * stride
        stride *= step
    return first + stride * torch.arange(units, dtype=torch.float32), size, stride


def _padding(layer: nn.Module, axis: int) -> tuple[int, int]:
    """Padding before and after."""
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":
        total = _at(layer, "dilation", axis) * (_at(layer, "kernel_size", axis) - 1)
        return total // 2, total - total // 2
    return _at(layer, "padding", axis), _at(layer, "padding", axis)


def _at(layer: nn.Module, name: str, axis: int) -> int:
    """A geometry setting along one axis; average pooling has no dilation."""
    value = getattr(layer, name, 1)
    return value[axis] if isinstance(value, tuple) else value


def _peak(features: Features, image: Tensor, unit_filter: int) -> tuple[int, Tensor]:
    """Row-major index of a filter's strongest unit, and its activation."""
    if isinstance(features, InterpretableCNN):
        features = features.maps
    try:
        with torch.no_grad():
            maps = features(image[None])[0]
    except RuntimeError as error:
        text = f"features cannot take an image {tuple(image.shape)} of {image.dtype}: {error}"
        raise ValueError(text) from error
    if unit_filter >= len(maps):
        raise ValueError(f"unit_filter must be from 0 to {len(maps) - 1}, got {unit_filter}")
    activation, where = maps[unit_filter].flatten().max(0)
    return int(where), activation


def _stripes(side: int, patch: int, stride: int, device: torch.device) -> Tensor:
    """Stripes of width `patch` every `stride` pixels, and one at the end: (P, side) bool."""
    if not stride <= patch <= side:
        raise ValueError(
            f"patch must be at least stride = {stride} and at most the image's side of {side} "
            f"pixels, got {patch}"
        )
    starts = torch.tensor([*range(0, side - patch, stride), side - patch], device=device)
    offset = torch.arange(side, device=device) - starts[:, None]
    return (offset >= 0) & (offset < patch)
