"""Whatever an answer returns, as plain tensors, and how it compares with what was expected."""

from __future__ import annotations

from typing import NamedTuple

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


class Values(NamedTuple):
    """What came back: one tensor for each output, and whether their dtypes are the answer's."""

    outputs: list[Tensor]
    kinds: list[str]  # "tensor", "array" or "number"


def read(returned: object, count: int) -> Values:
    """`count` outputs: tensors, NumPy arrays, numbers, or lists of them."""
    if returned is None:
        raise Unreadable("your function returns nothing; is the return missing?")
    if count == 1:
        parts = [returned]
    elif isinstance(returned, (tuple, list, Tensor, np.ndarray)) and len(returned) == count:
        parts = list(returned)
    else:
        got = f"{len(returned)}" if isinstance(returned, (tuple, list)) else _a(returned)
        raise Unreadable(
            f"your function should return {count} things, one after the other; got {got}"
        )
    read_parts = [_read(part) for part in parts]
    return Values([tensor for tensor, _ in read_parts], [kind for _, kind in read_parts])


def close(got: list[Tensor], want: list[Tensor], *, strict: bool) -> bool:
    """Equal in shape and, up to rounding, in value; NaN equals NaN. The dtype does not count."""
    return all(
        g.shape == w.shape and not bool(differs(g, w, strict=strict).any())
        for g, w in zip(got, want, strict=True)
    )


def differs(got: Tensor, want: Tensor, *, strict: bool) -> Tensor:
    """Where two tensors of one shape are not equal up to rounding."""
    tolerance = STRICT.get(want.dtype, 0) if strict else max(LOOSE, STRICT.get(want.dtype, 0))
    got, want = got.double(), want.double()
    finite = want[want.isfinite()].abs()
    scale = max(float(finite.max()) if finite.numel() else 0.0, SMALLEST_SCALE)
    return ~torch.isclose(got, want, rtol=0, atol=tolerance * scale, equal_nan=True)


def dtype_fits(kind: str, got: Tensor, want: Tensor, *, same: bool) -> bool:
    """Python numbers have no dtype, and NumPy may compute in more digits than were asked for."""
    if kind == "number" and want.is_floating_point():
        return got.dtype != torch.bool
    if got.is_floating_point() and want.is_floating_point() and (kind == "array" or not same):
        return got.itemsize >= want.itemsize
    return got.dtype == want.dtype


def _read(value: object) -> tuple[Tensor, str]:
    try:
        return _tensor(value)
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(f"your function should return a tensor; got {_a(value)}") from error


def _tensor(value: object) -> tuple[Tensor, str]:
    if isinstance(value, Tensor) and not value.is_nested:
        value = value.detach().cpu()
        return (value if value.layout == torch.strided else value.to_dense()), "tensor"
    if isinstance(value, (np.ndarray, np.generic)):
        return torch.from_numpy(np.array(value)), "array"
    if isinstance(value, float):
        return torch.tensor(value, dtype=torch.float64), "number"
    if isinstance(value, (bool, int)):
        return torch.tensor(value), "number"
    if isinstance(value, (list, tuple)) and value:
        parts = [_tensor(part) for part in value]
        common = torch.stack([part.double() for part, _ in parts])
        dtypes = {part.dtype for part, _ in parts}
        return (common.to(dtypes.pop()) if len(dtypes) == 1 else common), parts[0][1]
    raise Unreadable(f"your function should return a tensor; got {_a(value)}")


def _a(value: object) -> str:
    if value is None:
        return "None"
    return f"a value of type {type(value).__name__}"
