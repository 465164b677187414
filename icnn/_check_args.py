"""The few argument checks that the public functions share: name the argument, say what it got."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LARGEST = 1e30  # of a number: float32 still holds its products with maps
LARGEST_SIZE = 2**31 - 1  # anything larger is a mistake


def check_size(n: int, name: str = "n") -> None:
    """A whole number, such as the side of a feature map in units, from 1 to LARGEST_SIZE."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"{name} must be an int, got {type(n).__name__}")
    if n < 1:
        raise ValueError(f"{name} must be at least 1, got {n}")
    if n > LARGEST_SIZE:
        raise ValueError(f"{name} must be at most {LARGEST_SIZE}, got {n}")


def check_positive(value: float, name: str) -> None:
    """A number from 1/LARGEST to LARGEST."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not 1 / LARGEST <= value <= LARGEST:
        limits = f"between {1 / LARGEST:g} and {LARGEST:g}"
        raise ValueError(f"{name} must be greater than 0, {limits}, got {value}")


def check_number(value: float, name: str) -> None:
    """A number from −LARGEST to LARGEST."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not abs(value) <= LARGEST:
        raise ValueError(f"{name} must be between {-LARGEST:g} and {LARGEST:g}, got {value}")


def check_weight(value: float, name: str) -> None:
    """A number from 0 to LARGEST."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not 0 <= value <= LARGEST:
        raise ValueError(f"{name} must be from 0 to {LARGEST:g}, got {value}")


def check_bool(value: bool, name: str) -> None:
    """A choice of two."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {type(value).__name__}")


def check_share(value: float, name: str) -> None:
    """A number between 0 and 1, both left out."""
    check_positive(value, name)
    if value >= 1:
        raise ValueError(f"{name} must be less than 1, got {value}")


def check_seed(seed: int) -> None:
    """A number that random numbers start from."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be an int, got {type(seed).__name__}")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed must fit 64 bits, got {seed}")


def check_device(device: torch.device | str | int | None) -> None:
    """What torch knows as a device, or None."""
    try:
        torch.empty(0, device=device)
    except (TypeError, RuntimeError, AssertionError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"device must be a device of torch, got {device!r}: {reason}") from None


def check_same_device(x: Tensor, name: str, other: Tensor, other_name: str) -> None:
    """Two tensors that are to be used together."""
    if x.device != other.device:
        raise ValueError(f"{name} must be where {other_name} is, on {other.device}, got {x.device}")


def check_data(x: Tensor, name: str) -> None:
    """A tensor with numbers in it, unlike those of the meta device."""
    if x.is_meta:
        raise ValueError(f"{name} must hold numbers, got a tensor on the meta device")


def check_dense(x: Tensor, name: str) -> None:
    """A tensor that holds all its numbers."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if x.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got one of layout {x.layout}")


def check_floating(x: Tensor, name: str) -> None:
    """A tensor of a floating dtype."""
    check_dense(x, name)
    if not x.is_floating_point():
        raise TypeError(f"{name} must have a floating dtype, got {x.dtype}")


def check_module(module: nn.Module, name: str) -> None:
    """A network, or a part of one."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"{name} must be a torch.nn.Module, got {type(module).__name__}")


def check_whole_numbers(x: Tensor, name: str, low: int, high: int) -> None:
    """A tensor of integers from `low` to `high`, both included."""
    check_dense(x, name)
    if x.is_floating_point() or x.is_complex() or x.dtype == torch.bool:
        raise TypeError(f"{name} must have an integer dtype, got {x.dtype}")
    check_data(x, name)
    if x.numel() == 0:
        raise ValueError(f"{name} must not be empty, got shape {tuple(x.shape)}")
    if int(x.min()) < low or int(x.max()) > high:
        raise ValueError(
            f"{name} must be from {low} to {high}, got {int(x.min())} to {int(x.max())}"
        )


def check_finite(x: Tensor, name: str) -> None:
    """No NaN and no infinity. Reads the whole tensor, so not for the training path."""
    check_data(x, name)
    if not torch.isfinite(x).all():
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite values")


def check_square(x: Tensor, name: str) -> None:
    """Maps in the last two dimensions: square and not empty. Costs nothing."""
    check_floating(x, name)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{name} must be square maps (..., n, n), got shape {tuple(x.shape)}")
    if x.numel() == 0:
        raise ValueError(f"{name} must not be empty, got shape {tuple(x.shape)}")


def check_maps(x: Tensor, name: str) -> None:
    """A batch of square maps (N, C, n, n), not empty. Costs nothing."""
    check_floating(x, name)
    if x.ndim != 4:
        raise ValueError(f"{name} must have shape (N, C, n, n), got {tuple(x.shape)}")
    check_square(x, name)


def check_label_shape(labels: Tensor, count: int, name: str = "labels") -> None:
    """Integers for `count` images; their values are not read, which would wait for a GPU."""
    check_dense(labels, name)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"{name} must have an integer dtype, got {labels.dtype}")
    if labels.shape != (count,):
        raise ValueError(f"{name} must have shape ({count},), got {tuple(labels.shape)}")


def check_labels(
    labels: Tensor, count: int, name: str = "labels", *, below: int | None = None
) -> None:
    """One category index, from 0 up, for each of `count` images."""
    check_label_shape(labels, count, name)
    check_data(labels, name)
    if count and int(labels.min()) < 0:
        raise ValueError(f"{name} must be 0 or more, got {int(labels.min())}")
    if count and below is not None and int(labels.max()) >= below:
        raise ValueError(f"{name} must be below n_categories = {below}, got {int(labels.max())}")


def check_is_target(is_target: Tensor, x: Tensor) -> None:
    """Whether image n belongs to the category of filter c: (N, C) bool, for maps x."""
    if not isinstance(is_target, Tensor) or is_target.dtype != torch.bool:
        got = getattr(is_target, "dtype", type(is_target).__name__)
        raise TypeError(f"is_target must be a bool tensor, got {got}")
    if is_target.shape != x.shape[:2]:
        raise ValueError(
            f"is_target must have shape (N, C) = {tuple(x.shape[:2])}, got {tuple(is_target.shape)}"
        )
    check_dense(is_target, "is_target")
    check_same_device(is_target, "is_target", x, "x")
