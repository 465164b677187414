"""Whatever an answer returns, as plain tensors, and how it compares with what was expected."""

from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

# Relative to the largest expected value. An epsilon inside a logarithm or a detour through float32
# is off by more than STRICT in float64; every real mistake is off by more than LOOSE.
STRICT = {torch.float64: 1e-8, torch.float32: 1e-4, torch.float16: 1e-2}
LOOSE = 1e-4
SMALLEST_SCALE = 1e-3


class Unreadable(Exception):
    """The answer returned something that is not made of numbers; says what."""


class Output(NamedTuple):
    """One thing that came back, as a tensor, and what it was."""

    values: Tensor
    kind: str  # "tensor", "array" or "number"

    def fits(self, wanted: Self, *, same: bool) -> bool:
        """Whether the dtype is right, where it has to be the `same` or may have more digits.

        Python numbers have no dtype, and NumPy may always compute in more digits.
        """
        got, want = self.values, wanted.values
        if self.kind == "number" and want.is_floating_point():
            return got.dtype != torch.bool
        both_floating = got.is_floating_point() and want.is_floating_point()
        if both_floating and (self.kind == "array" or not same):
            return got.itemsize >= want.itemsize
        return got.dtype == want.dtype


def read(returned: object, count: int) -> list[Output]:
    """`count` outputs: tensors, NumPy arrays, numbers, or lists of them."""
    if returned is None:
        raise Unreadable("your function returns nothing; is the return missing?")
    if count == 1:
        return [_read(returned)]
    if isinstance(returned, (tuple, list, Tensor, np.ndarray)) and len(returned) == count:
        return [_read(part) for part in returned]
    got = f"{len(returned)}" if isinstance(returned, (tuple, list)) else _a(returned)
    raise Unreadable(f"your function should return {count} things, one after the other; got {got}")


def close(got: list[Output], want: list[Output], *, strict: bool) -> bool:
    """Equal in shape and, up to rounding, in value; NaN equals NaN. The dtype does not count."""
    pairs = [(g.values, w.values) for g, w in zip(got, want, strict=True)]
    return all(g.shape == w.shape and not differs(g, w, strict=strict).any() for g, w in pairs)


def differs(got: Tensor, want: Tensor, *, strict: bool) -> Tensor:
    """Where two tensors of one shape are not equal up to rounding."""
    tolerance = STRICT.get(want.dtype, 0) if strict else max(LOOSE, STRICT.get(want.dtype, 0))
    got, want = got.double(), want.double()
    finite = want[want.isfinite()].abs()
    scale = max(float(finite.max()) if finite.numel() else 0.0, SMALLEST_SCALE)
    return ~torch.isclose(got, want, rtol=0, atol=tolerance * scale, equal_nan=True)


def _read(value: object) -> Output:
    try:
        return _output(value)
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(f"your function should return a tensor; got {_a(value)}") from error


def _output(value: object) -> Output:
    if isinstance(value, Tensor) and not value.is_nested:
        value = value.detach().cpu()
        return Output(value if value.layout == torch.strided else value.to_dense(), "tensor")
    if isinstance(value, (np.ndarray, np.generic)):
        return Output(torch.from_numpy(np.array(value)), "array")
    if isinstance(value, (float, bool, int)):
        dtype = torch.float64 if isinstance(value, float) else None
        return Output(torch.tensor(value, dtype=dtype), "number")
    if isinstance(value, (list, tuple)) and value:
        parts = [_output(part) for part in value]
        common = torch.stack([part.values.double() for part in parts])
        dtypes = {part.values.dtype for part in parts}
        return Output(common.to(dtypes.pop()) if len(dtypes) == 1 else common, parts[0].kind)
    raise Unreadable(f"your function should return a tensor; got {_a(value)}")


def _a(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
