"""Argument checks as data: what each argument must be is declared on the function.

    @checked(x=Array("N C n n"), labels=Array("N", "integer"))
    def measure(x: Tensor, labels: Tensor, *, beta: float = 4.0) -> Tensor: ...

What does not fit is a TypeError or ValueError that names the argument, what it must be and what it
got, before any work is done. An argument whose default is None may be None. What `beta` and other
names mean in every function stands in `ALWAYS`. `help` says the same.
"""

import functools
import inspect
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LARGEST = 1e30  # of a number: float32 still holds its products with maps
LARGEST_SIZE = 2**31 - 1  # anything larger is a mistake
N_TEMPLATES = "n²+1"  # how many templates there are for n×n maps, as a length of a shape


@dataclass(frozen=True)
class Value:
    """In words what an argument must be, its type, and a test of its value."""

    wanted: str
    type: type | tuple[type, ...]
    test: Callable[[object], bool] = lambda value: True

    def __call__(self, value: object, name: str, known: dict) -> None:
        is_bool = isinstance(value, bool) and self.type is not bool  # True is an int in Python
        if is_bool or not isinstance(value, self.type):
            raise TypeError(f"{name} must be {self.wanted}, got {type(value).__name__}")
        if not self.test(value):
            raise ValueError(f"{name} must be {self.wanted}, got {value!r}")


def number(wanted: str, low: float, high: float, type=(int, float)) -> Value:
    """A number from `low` to `high`; neither NaN nor infinite."""
    return Value(wanted, type, lambda value: low <= value <= high)


def one_of(names: Sequence[str]) -> Value:
    """One of several names."""
    return Value(f"one of {', '.join(names)}", str, lambda value: value in names)


SIZE = number(f"an int from 1 to {LARGEST_SIZE}", 1, LARGEST_SIZE, int)
COUNT = number(f"an int from 0 to {LARGEST_SIZE}", 0, LARGEST_SIZE, int)
SEED = number("an int of 64 bits", -(2**63), 2**64 - 1, int)
POSITIVE = number(
    f"a number greater than 0, between {1 / LARGEST:g} and {LARGEST:g}", 1 / LARGEST, LARGEST
)
NUMBER = number(f"a number between {-LARGEST:g} and {LARGEST:g}", -LARGEST, LARGEST)
WEIGHT = number(f"a number from 0 to {LARGEST:g}", 0, LARGEST)
SHARE = number("a number between 0 and 1, less than 1", 1 / LARGEST, math.nextafter(1, 0))
BOOL = Value("True or False", bool)
MODULE = Value("a torch.nn.Module", nn.Module)
FUNCTION = Value("callable", Callable)
DTYPE = Value("a floating dtype", torch.dtype, lambda dtype: dtype.is_floating_point)


class Device(Value):
    """A device that torch can use here."""

    def __call__(self, value: object, name: str, known: dict) -> None:
        try:
            torch.empty(0, device=value)
        except (TypeError, RuntimeError, AssertionError, OverflowError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"{name} must be {self.wanted}, got {value!r}: {reason}") from None


class ImageSize(Value):
    """Pixels along one side or both."""

    def __call__(self, value: object, name: str, known: dict) -> None:
        pair = value if isinstance(value, tuple) else (value, value)
        if len(pair) != 2:
            raise TypeError(f"{name} must be {self.wanted}, got {value!r}")
        for side in pair:
            SIZE(side, name, known)


# What a name means wherever it stands, but for functions that say otherwise.
_NAMES = {
    SIZE: (
        "n size channels width n_categories n_images n_parts "
        "top grid samples steps patch stride epochs batch_size"
    ),
    COUNT: "memory unit_filter",
    POSITIVE: "beta tau sharpness",
    WEIGHT: "weight category_weight weight_decay variance",
    SHARE: "alpha quantile iou train_share",
    SEED: "seed",
    DTYPE: "dtype",
    Device("a device of torch", object): "device",
    ImageSize("an int or a tuple (height, width)", object): "image_size",
}
ALWAYS = {name: constraint for constraint, names in _NAMES.items() for name in names.split()}


def check_same_device(x: Tensor, name: str, other: Tensor, other_name: str) -> None:
    """Two tensors that are to be used together."""
    if not isinstance(x, torch.fx.Proxy) and x.device != other.device:
        raise ValueError(f"{name} must be where {other_name} is, on {other.device}, got {x.device}")


def check_data(x: Tensor, name: str) -> None:
    """A tensor with numbers in it, unlike those of the meta device."""
    if x.is_meta:
        raise ValueError(f"{name} must hold numbers, got a tensor on the meta device")


def all_finite(x: Tensor) -> bool:
    """Whether no number is NaN or infinite, by the least and the largest: NaN is both of them.

    On a processor 25 times as fast as asking each number (large maps, torch 2.14.1).
    """
    return bool(torch.stack(x.detach().aminmax()).isfinite().all())


def check_finite(x: Tensor, name: str) -> None:
    """No NaN and no infinity. Reads the whole tensor, so not for the training path."""
    check_data(x, name)
    if not all_finite(x):
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite values")


@dataclass(frozen=True)
class Array:
    """A tensor that is not empty: its shape, the kind of its dtype, and more where it matters.

    A letter in the shape is one length in a whole call; "..." at the start is any number of axes.
    Floating values are read by `values`, integers are from `low` up and `below` an argument of that
    name; with `values` None nothing is read, as in training, where it costs. `like` is an argument
    whose device, and dtype if this one is floating, it must have.
    """

    shape: str
    kind: str = "floating"
    values: Callable[[Tensor, str], None] | None = check_finite
    like: str | None = None
    low: int = 0
    below: str | None = None

    @property
    def wanted(self) -> str:
        finite = ", finite" * (self.kind == "floating" and self.values is check_finite)
        return f"{self.kind} {_written(self.shape, {})}{finite}"

    def __call__(self, x: object, name: str, known: dict) -> None:
        if isinstance(x, torch.fx.Proxy) or torch.jit.is_tracing():
            return  # only an example of what will come
        check_kind(x, name, self.kind)
        self._check_shape(x, name, known)
        if self.like is not None:
            self._check_like(x, name, known[self.like])
        if self.kind == "integer" and self.values is not None:
            self._check_range(x, name, known)
        elif self.kind == "floating" and self.values is not None:
            self.values(x, name)

    def _check_shape(self, x: Tensor, name: str, known: dict) -> None:
        lengths, got, before = self.shape.removeprefix("...").split(), x.shape, dict(known)
        if self.shape.startswith("..."):
            got = got[max(0, x.ndim - len(lengths)) :]
        pairs = zip(lengths, got, strict=False)
        if len(got) != len(lengths) or not all(_is(*pair, known) for pair in pairs):
            wanted = _written(self.shape, before)
            raise ValueError(f"{name} must have shape {wanted}, got {tuple(x.shape)}")
        if x.numel() == 0:
            raise ValueError(f"{name} must not be empty, got shape {tuple(x.shape)}")

    def _check_like(self, x: Tensor, name: str, other: Tensor) -> None:
        check_same_device(x, name, other, self.like)
        if self.kind == "floating" and x.dtype != other.dtype:
            wanted = f"the dtype of {self.like}, {other.dtype}"
            raise TypeError(f"{name} must have {wanted}, got {x.dtype}")

    def _check_range(self, x: Tensor, name: str, known: dict) -> None:
        check_data(x, name)
        low, high = int(x.min()), int(x.max())
        if low < self.low:
            raise ValueError(f"{name} must be {self.low} or more, got {low}")
        if self.below is not None and high >= known[self.below]:
            limit = f"{self.below} = {known[self.below]}"
            raise ValueError(f"{name} must be below {limit}, got {high}")


def checked(**constraints: Callable[[object, str, dict], None]) -> Callable:
    """Check the arguments of a function, or of a class: those in `ALWAYS` first, then in order."""

    def decorate(target: Callable) -> Callable:
        function = target.__init__ if isinstance(target, type) else target
        parameters = inspect.signature(function).parameters
        order, defaults = tuple(parameters), {n: p.default for n, p in parameters.items()}
        always = {n: ALWAYS[n] for n in order if n in ALWAYS and n not in constraints}
        wanted = always | constraints
        optional = {name for name in wanted if defaults[name] is None}

        @functools.wraps(function)
        def call(*args, **kwargs):
            given = dict(zip(order, args, strict=False)) | kwargs
            known = defaults | given
            for name, constraint in wanted.items():
                value = given.get(name)
                unknown = name not in given or isinstance(value, torch.fx.Proxy)
                if not (unknown or (value is None and name in optional)):
                    constraint(value, name, known)
            return function(*args, **kwargs)

        if isinstance(target, type):
            target.__init__ = call
        documented = target if isinstance(target, type) else call
        documented.__doc__ = _with_errors(documented.__doc__, wanted)
        return documented

    return decorate


@contextmanager
def blaming(text: str, *kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds as a ValueError that begins with `text`; a full memory stays one."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except kinds as error:
        raise ValueError(f"{text}: {error}") from error


def check_dense(x: object, name: str) -> None:
    """A tensor that holds all its numbers."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if x.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got one of layout {x.layout}")


def check_kind(x: object, name: str, kind: str) -> None:
    """A dense tensor whose dtype is floating, integer or bool."""
    check_dense(x, name)
    is_bool, is_floating = x.dtype == torch.bool, x.is_floating_point()
    is_integer = not (is_bool or is_floating or x.is_complex())
    if not {"bool": is_bool, "floating": is_floating, "integer": is_integer}[kind]:
        article = "an" if kind == "integer" else "a"
        raise TypeError(f"{name} must have {article} {kind} dtype, got {x.dtype}")


def _is(length: str, got: int, known: dict) -> bool:
    """Whether a length of a shape is what it was before in this call; the first one counts."""
    if length == "n":
        known.setdefault(N_TEMPLATES, got**2 + 1)
    return (int(length) if length.isdigit() else known.setdefault(length, got)) == got


def _written(shape: str, known: dict) -> str:
    """A shape with the lengths that are known."""
    lengths = [str(known.get(length, length)) for length in shape.split()]
    return f"({', '.join(lengths)}{',' * (len(lengths) == 1)})"


def _with_errors(text: str, constraints: dict) -> str:
    """A docstring that ends with what each argument must be."""
    text = inspect.cleandoc(text or "")  # there is none under `python -OO`
    wants = ", ".join(f"`{name}` {c.wanted}" for name, c in constraints.items())
    start = "" if "\nRaises:\n" in text else "\nRaises:\n"
    error = textwrap.wrap(f"TypeError, ValueError: an argument is not as it must be: {wants}.", 92)
    return "\n".join([text, start + textwrap.indent("\n    ".join(error), "    ")])
