"""What a unit of a feature map looks at: in theory, and as measured by covering up the image.

Taught in lesson 6; `unit_centres` is used wherever a peak becomes a point in the image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from icnn._check_args import FUNCTION, MODULE, Array, blaming, check_data, check_dense, checked
from icnn._looking import black_image, follow, measure
from icnn.network import InterpretableCNN

Features = Callable[[Tensor], Tensor]
ImageSize = int | tuple[int, int]


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """Where the units of a feature map look, as (row, col); pixel i covers [i, i+1).

    Attributes:
        rows, cols: (n_h,) and (n_w,) float32, centres of the rows and columns of units, in pixels.
        size: (height, width) of each unit's receptive field, in pixels.
        stride: (down, right), pixels between the centres of neighbouring units.
        measured: whether this was measured from gradients, with a `stride` that is no whole number;
            all is exact otherwise.
    """

    rows: Tensor
    cols: Tensor
    size: tuple[int, int]
    stride: tuple[float, float]
    measured: bool = False

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


@checked(module=MODULE)
def unit_centres(module: nn.Module, image_size: ImageSize) -> ReceptiveField:
    """The receptive field of every unit that a feature extractor gives for an image.

    Exact where one image runs through known operations: each convolution, pooling, padding or
    cropping tells which pixels its units see; where branches meet, the union. What all units share
    (a global mean, and a gate made of it) has no place and is left out, and so is a mask. Where one
    is not known (upsampling, attention, channels last), measured from gradients, with random
    weights. Taught in lesson 6.

    Args:
        module: an `InterpretableCNN`, whose `maps` are meant, or any module that gives maps
            (N, C, n_h, n_w) for images.
        image_size: side of the image, or (height, width), in pixels.

    Returns:
        ReceptiveField; `.measured` says which of the two it is. Near the border it sticks out of
        the image where layers pad.

    Raises:
        ValueError: `module` fails on such an image or gives no maps.
    """
    height, width = height_and_width(image_size)
    if isinstance(module, InterpretableCNN):
        module = nn.Sequential(module.backbone, module.head.features)
    image = black_image(module, height, width)
    fails = f"module fails on a {image.dtype} image {tuple(image.shape)}, of image_size"
    with blaming(fails, RuntimeError, TypeError, IndexError):
        maps, spans = follow(module, image)
        if not isinstance(maps, Tensor) or maps.ndim != 4:
            got = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
            raise ValueError(f"module must give maps (N, C, n_h, n_w), got {got}")
        (down, right) = spans or measure(module, image)
    rows, cols = (
        (span.start + span.stop) / 2 + span.stride * torch.arange(n, dtype=torch.float32)
        for span, n in zip((down, right), maps.shape[2:], strict=True)
    )
    size = round(down.stop - down.start), round(right.stop - right.start)
    return ReceptiveField(rows, cols, size, (down.stride, right.stride), measured=not spans)


@checked(maps=Array("N C n n", values=None))
def upscale(maps: Tensor, image_size: ImageSize) -> Tensor:
    """Maps (N, C, n, n), bilinearly scaled up to the image's pixels: (N, C, H, W), of their dtype.

    The quick picture of where a filter fires: the units are spread evenly over the image, which can
    be a few pixels off their true centres (`unit_centres`). Values are not checked. For
    `icnn.part_interpretability` (lesson 7).
    """
    return nn.functional.interpolate(maps, height_and_width(image_size), mode="bilinear")


@torch.no_grad()
@checked(features=FUNCTION, image=Array("C H W"))
def discrepancy_map(
    features: Features, image: Tensor, unit_filter: int, *, patch: int = 11, stride: int = 3
) -> Tensor:
    """How much a filter's peak depends on each pixel: (H, W), 0 or more, dtype of the maps.

    Cover up a patch, look at the change: a square of the image's mean colour is moved over the
    image, and a pixel gets the mean absolute change of the unit that had the peak, over the squares
    that covered it. Zhou et al., "Object detectors emerge in deep scene CNNs", ICLR 2015 (they fill
    the squares at random). Used in lesson 6.

    Args:
        features: images (N, 3, H, W) → maps (N, C, n, n), or a model with `maps`; in eval mode.
        image: (3, H, W), floating.
        unit_filter: index of the filter.
        patch, stride: side of the square, and pixels between squares, at most `patch`, so that all
            pixels are covered.

    Raises:
        ValueError: there is no such filter, or `patch` is less than `stride` or more than a side.
    """
    features = _maps_of(features)
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


@checked(features=MODULE, images=Array("N C H W"))
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

    The mean over its top images, each map moved so that the peak's centre is at (H/2, W/2), rounded
    up: (H, W), 0 where no image reaches. Usually much smaller than the receptive field of
    `unit_centres`. Zhou et al., ICLR 2015. Taught in lesson 6.

    Args:
        features: as for `unit_centres`, in eval mode.
        images: (N, 3, H, W), floating.
        top: on how many images, those with the highest peaks.
        unit_filter, patch, stride: as for `discrepancy_map`.
    """
    height, width = images.shape[2:]
    field = unit_centres(features, (height, width))
    maps = _maps_of(features)
    found = [_peak(maps, image, unit_filter) for image in images]
    best = torch.tensor([float(score) for _, score in found]).argsort(descending=True, stable=True)
    total = images.new_zeros(2 * height, 2 * width)
    count = torch.zeros_like(total)
    for i in best[:top].tolist():
        unit = torch.tensor(divmod(found[i][0], len(field.cols)))
        row, col = field.pixels(unit).long().tolist()
        here = slice(height - row, 2 * height - row), slice(width - col, 2 * width - col)
        total[here] += discrepancy_map(maps, images[i], unit_filter, patch=patch, stride=stride)
        count[here] += 1
    middle = slice(height // 2, height // 2 + height), slice(width // 2, width // 2 + width)
    return total[middle] / count[middle].clamp_min(1)


def height_and_width(image_size: ImageSize) -> tuple[int, int]:
    """An image size, one int or two, as two."""
    return (image_size, image_size) if isinstance(image_size, int) else image_size


def _maps_of(features: Features) -> Features:
    """What makes the maps: a model's `maps`, anything else itself."""
    return features.maps if isinstance(features, InterpretableCNN) else features


def _peak(features: Features, image: Tensor, unit_filter: int) -> tuple[int, Tensor]:
    """Row-major index of a filter's strongest unit, and its activation."""
    fails = f"features cannot take an image {tuple(image.shape)} of {image.dtype}"
    with blaming(fails, RuntimeError), torch.no_grad():
        maps = features(image[None])[0]
    if unit_filter >= len(maps):
        raise ValueError(f"unit_filter must be from 0 to {len(maps) - 1}, got {unit_filter}")
    activation, where = maps[unit_filter].flatten().max(0)
    return int(where), activation


def _stripes(side: int, patch: int, stride: int, device: torch.device) -> Tensor:
    """Stripes of width `patch` every `stride` pixels, and one at the end: (P, side) bool."""
    if not stride <= patch <= side:
        limits = f"at least stride = {stride} and at most the image's side of {side} pixels"
        raise ValueError(f"patch must be {limits}, got {patch}")
    starts = torch.tensor([*range(0, side - patch, stride), side - patch], device=device)
    offset = torch.arange(side, device=device) - starts[:, None]
    return (offset >= 0) & (offset < patch)
