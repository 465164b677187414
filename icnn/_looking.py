"""Which pixels the units of a map see: followed through one forward pass, or measured."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from icnn.layer import InterpretableLayer
from icnn.network import evaluating

LOOKED_AT = 4  # at both ends of the middle half of the units, where they are measured

# Beside what torch itself calls pointwise: what leaves each unit in its place.
_IN_PLACE = {
    *("hardswish", "prelu", "rrelu_with_noise", "native_dropout", "detach", "alias", "to_copy"),
    *("native_batch_norm", "native_batch_norm_legit_no_training", "cudnn_batch_norm"),
    *("batch_norm_no_update", "miopen_batch_norm", "native_group_norm", "copy", "contiguous"),
    *("view", "unsafe_view", "reshape_alias", "unsqueeze", "squeeze", "expand", "lift_fresh"),
}
# What works along one dimension, and the place of that dimension among the arguments.
_ALONG = {"cat": 1, "split": 2, "split_with_sizes": 2, "select": 1, "unbind": 1, "index_select": 1}
_OVER = {"mean", "sum", "amax", "amin", "var", "var_mean", "std", "linalg_vector_norm"}
_PADS = {"constant_pad_nd", "reflection_pad2d", "replication_pad2d"}


class Span(NamedTuple):
    """Along one axis: unit i sees the pixels from start + stride·i to stop + stride·i."""

    start: float
    stop: float
    stride: float

    def through(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "Span":
        """What the units behind a window see."""
        reach = dilation * (kernel - 1) - padding
        start, stop = self.start - padding * self.stride, self.stop + reach * self.stride
        return Span(start, stop, stride * self.stride)


Spans = tuple[Span, Span]  # in rows and in columns, the last two dimensions of a tensor


def follow(module: nn.Module, image: Tensor) -> tuple[object, Spans | None]:
    """What a module gives for one image, and which pixels its units see; None where not known.

    Exact for convolutions, pooling, padding, cropping and what leaves each unit in its place; of
    branches that meet, the union. What all units share (a global mean, and the gate made of it, as
    in squeeze-and-excitation) has no place and is left out, and so is a mask.
    """
    with still(module), torch.no_grad(), _Follower(image) as follower:
        maps = module(image)
    return maps, follower.spans(maps) or None if isinstance(maps, Tensor) else None


def black_image(module: nn.Module, height: int, width: int) -> Tensor:
    """(1, channels, H, W), of the channels and dtype that a module takes, and where it is."""
    guess = next(filter(None, map(_channels, module.modules())), 3)  # right if called first
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    images = [like.new_zeros(1, c, height, width) for c in dict.fromkeys((guess, 3, 1))]
    for image in images:
        with suppress(Exception), still(module), torch.no_grad():
            module(image)
            return image
    return images[0]  # the caller meets the error again, and says so


def _channels(module: nn.Module) -> int | None:
    """What a convolution takes; also one that tracing took apart, of which its weight is left."""
    if isinstance(module, nn.Conv2d):
        return module.in_channels
    weight = getattr(module, "weight", None)
    return weight.shape[1] if isinstance(weight, Tensor) and weight.ndim == 4 else None


@contextmanager
def still(module: nn.Module) -> Iterator[None]:
    """A module in eval mode and without masks, and afterwards as it was."""
    masked = [m for m in module.modules() if isinstance(m, InterpretableLayer) and m.mask]
    try:
        for layer in masked:
            layer.mask = False
        with evaluating(module):
            yield
    finally:
        for layer in masked:
            layer.mask = True


class _Follower(TorchDispatchMode):
    """Notes for the tensors of a forward pass which pixels their units see."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.seen = {id(image): (image, (Span(0, 1, 1),) * 2)}  # with the tensor, so that it lives
        self.patched: set[int] = set()  # memory of which a part was written to

    def spans(self, x: Tensor) -> Spans | tuple[()] | None:
        """() where all units see the same, or nothing; None where it is not known."""
        if id(x) in self.seen:
            return self.seen[id(x)][1]
        return None if x.untyped_storage()._cdata in self.patched else ()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        known = [x for x in inputs if self.spans(x) != ()]
        for x in tree_leaves(result) if known else ():
            if isinstance(x, Tensor) and x.is_floating_point():  # an index is no value
                self._note(x, self._after(function, args, known, x), inputs[0])
        return result

    def _note(self, x: Tensor, spans: Spans | tuple[()] | None, first: Tensor) -> None:
        if x is first and self.spans(x) != spans:  # written in place: other views are out of date
            memory = x.untyped_storage()._cdata
            self.patched.add(memory)
            rest = self.seen.items()
            self.seen = {k: v for k, v in rest if v[0].untyped_storage()._cdata != memory}
        self.seen[id(x)] = x, spans

    def _after(self, function, args: tuple, known: list[Tensor], result: Tensor):
        """What the units of a result see."""
        name = function.overloadpacket.__name__.strip("_")
        spans = [self.spans(x) for x in known]
        if None in spans or min(x.ndim for x in known) < 2:
            return None
        if _is_global(name, args):
            return ()
        windows = _windows(name, args)
        if windows and len(known) == 1:
            return tuple(s.through(*window) for s, window in zip(spans[0], windows, strict=True))
        in_place = name in _IN_PLACE or torch.Tag.pointwise in function.tags
        if not (in_place or _is_aside(name, args)):
            return None
        if any(x.shape[-2:] != result.shape[-2:] for x in known):
            return None
        return _union(spans)


def _union(spans: list[Spans]) -> Spans | None:
    """What units see that see what several see."""
    axes = list(zip(*spans, strict=True))
    if any(len({span.stride for span in axis}) > 1 for axis in axes):
        return None
    return tuple(
        Span(min(s.start for s in axis), max(s.stop for s in axis), axis[0].stride) for axis in axes
    )


def _windows(name: str, args: tuple) -> list[tuple] | None:
    """Kernel, stride, padding before and dilation of an operation, in rows and in columns."""
    if name == "convolution":
        _, weight, _, *geometry, transposed = args[:7]
        stride, padding, dilation = ((*both, *both)[:2] for both in geometry)  # one number, or two
        if weight.ndim != 4 or transposed:
            return None
        return list(zip(weight.shape[2:], stride, padding, dilation, strict=False))
    if name in ("max_pool2d_with_indices", "avg_pool2d"):
        kernel, stride, padding, more = (*args[1:5], *[()] * 4)[:4]
        dilation = more if name.startswith("max") and more else (1, 1)
        return list(zip(kernel, stride or kernel, padding or (0, 0), dilation, strict=False))
    if name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        steps = [side / n for side, n in zip(args[0].shape[-2:], args[1], strict=True)]
        whole = all(step.is_integer() for step in steps)
        return [(int(step), int(step)) for step in steps] if whole else None
    if name in _PADS:
        left, _, top, _ = (*args[1], 0, 0)[:4]
        return [(1, 1, top), (1, 1, left)]
    if name == "slice" and (axis := _dim(args, 1) + 2) >= 0:
        size = args[0].shape[axis - 2]
        start, step = (args[2] if len(args) > 2 else 0) or 0, args[4] if len(args) > 4 else 1
        start = max(start + size, 0) if start < 0 else min(start, size)
        return [(1, step, -start) if i == axis else (1,) for i in range(2)]
    return None


def _is_global(name: str, args: tuple) -> bool:
    """Whether an operation gives what all units share."""
    if name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        return tuple(args[1]) == (1, 1) and max(args[0].shape[-2:]) > 1
    return name in _OVER and {-2, -1} <= _dims(args)


def _is_aside(name: str, args: tuple) -> bool:
    """Whether an operation works along other dimensions than rows and columns."""
    if name in _OVER:
        return not {-2, -1} & _dims(args)
    if name == "transpose":
        return not {-2, -1} & {d % args[0].ndim - args[0].ndim for d in args[1:3]}
    if name == "permute":
        return [d % len(args[1]) for d in args[1][-2:]] == [len(args[1]) - 2, len(args[1]) - 1]
    return name in _ALONG and _dim(args, _ALONG[name]) < -2


def _dim(args: tuple, place: int) -> int:
    """The dimension that an operation works along, counted from the last, which is −1."""
    ndim = tree_leaves(args[0])[0].ndim
    return (args[place] if len(args) > place else 0) % ndim - ndim


def _dims(args: tuple) -> set[int]:
    """The dimensions that a mean is taken over, counted from the last."""
    ndim, dims = args[0].ndim, args[1] if len(args) > 1 else None
    dims = [dims] if isinstance(dims, int) else dims or range(ndim)
    return {d % ndim - ndim for d in dims}


def measure(module: nn.Module, image: Tensor) -> Spans:
    """What the units of a module see, from gradients.

    With random weights, on a random image, in float64, the mean squared slope of a unit for each
    pixel counts the ways from the pixel to the unit; its centre of mass is the unit's centre. A
    line through units in the middle of the image gives all of them, to about a pixel where most of
    what they see lies in the image.

    Args:
        module: anywhere, the meta device too; its own weights are not used.
        image: (1, channels, H, W), of which only the shape is used.
    """
    device = "cpu" if image.is_meta else image.device
    generator = torch.Generator().manual_seed(0)
    named = [*module.named_parameters(), *module.named_buffers()]
    state = {name: _random(name, x, generator).to(device) for name, x in named}
    random = torch.rand(image.shape, dtype=torch.float64, generator=generator)
    random = random.to(device).requires_grad_()
    with still(module), torch.enable_grad():
        maps = functional_call(module, state, random)
    return tuple(_line(axis, maps, random, generator) for axis in (2, 3))


def _random(name: str, x: Tensor, generator: torch.Generator) -> Tensor:
    """Weights of a variance that keeps that of the maps; an affine layer that changes nothing."""
    if not x.is_floating_point():
        return x
    if x.ndim < 2:
        return torch.full(x.shape, float(not name.endswith(("bias", "mean"))), dtype=torch.float64)
    sign = torch.randint(2, x.shape, generator=generator).double() * 2 - 1  # each weighs the same
    return sign * (2 / x[0].numel()) ** 0.5


def _line(axis: int, maps: Tensor, image: Tensor, generator: torch.Generator) -> Span:
    """What the units along an axis see, from those in the middle."""
    side, units = image.shape[axis], maps.shape[axis]
    middle = list(range(units // 4, units - units // 4))
    middle = sorted({*middle[:LOOKED_AT], *middle[-LOOKED_AT:]})
    place = torch.arange(side, dtype=torch.float64) + 0.5
    centres, seen = [], []
    for unit in middle:
        row = maps.select(axis, unit)
        push = torch.randn(row.shape, dtype=torch.float64, generator=generator).to(row.device)
        (slope,) = torch.autograd.grad(row, image, push, retain_graph=True)
        weight = slope.square().sum([d for d in range(4) if d != axis]).cpu()
        pixels = weight.nonzero()
        if not len(pixels):
            raise ValueError("module must let gradients through from its maps to the image")
        centres.append((weight @ place / weight.sum()).item())
        seen.append(int(pixels.max() - pixels.min()) + 1)
    stride, origin = float(side), centres[0]
    if units > 1:
        stride, origin = np.polyfit(middle, centres, 1).tolist()
    if stride < 0.25:
        raise ValueError("module must give maps (N, C, n_h, n_w): its units do not follow pixels")
    return Span(origin - max(seen) / 2, origin + max(seen) / 2, stride)
