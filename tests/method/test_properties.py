"""Any input at all: a right answer, or an error that names the argument.

Every function of the table of `public_functions.py` gets right arguments, as odd as they may be,
and then one of them is changed into something that may be wrong: another type, shape, dtype or
device, NaN, infinities, huge or negative numbers, nothing at all. Then a TypeError or ValueError
says which argument is meant, or the answer passes the same comparison as in
`test_right_answers.py`. Nothing may hang or warn, and inputs stay as they were. `make test` tries
some thousands of inputs, `make test-all` many more; the summary says how many.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import public_measures  # noqa: F401, enters its functions into the table
import public_models  # noqa: F401, so does this
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from public_functions import FUNCTIONS, Function, try_many
from torch import Tensor, nn


class Subclass(Tensor):
    """A tensor of somebody's own type."""


def with_one(x: Tensor, value: float) -> Tensor:
    """A copy with one number replaced; whole numbers and bools have no such value."""
    x = x.detach().clone(memory_format=torch.contiguous_format)
    if x.is_floating_point():
        x.view(-1)[x.numel() // 2] = value
    return x


# Other numbers: where values are documented as not checked, NaN or infinities may come of them.
OTHER_VALUES: dict[str, Callable[[Tensor], object]] = {
    "NaN": lambda x: with_one(x, math.nan),
    "all NaN": lambda x: x * math.nan,
    "infinity": lambda x: with_one(x, math.inf),
    "minus infinity": lambda x: with_one(x, -math.inf),
    "huge": lambda x: x * 1e30,
    "nearly infinite": lambda x: with_one(x, 1e38),
    "tiny": lambda x: x * 1e-30,
    "denormal": lambda x: x * 1e-42,
    "negative": lambda x: -x - 1 if x.dtype != torch.bool else ~x,
    "all zero": torch.zeros_like,
    "negative zero": lambda x: -torch.zeros_like(x) if x.dtype != torch.bool else x,
    "without data": lambda x: x.to("meta"),
}
# Other shapes, dtypes and types.
OTHER_TENSORS = {
    **OTHER_VALUES,
    "nothing": lambda x: None,
    "text": lambda x: "maps",
    "a list": lambda x: x.tolist(),
    "an array": lambda x: x.detach().double().numpy(),
    "a number": lambda x: 3.0,
    "empty": lambda x: x[:0],
    "empty at the end": lambda x: x[..., :0],
    "one axis less": lambda x: x[0],
    "one axis more": lambda x: x[None],
    "one number": lambda x: x.flatten()[0],
    "longer": lambda x: torch.cat([x, x]),
    "wider": lambda x: torch.cat([x, x], -1),
    "whole numbers": lambda x: x.long(),
    "bytes": lambda x: x.to(torch.uint8),
    "bools": lambda x: x.bool(),
    "complex": lambda x: x.to(torch.complex64),
    "half precision": lambda x: x.half(),
    "double precision": lambda x: x.double(),
    "single precision": lambda x: x.float(),
    "all the same": torch.ones_like,
    "sparse": lambda x: x.to_sparse(),
    "a subclass": lambda x: x.detach().as_subclass(Subclass),
    "a parameter": lambda x: nn.Parameter(x.detach(), x.is_floating_point()),
}
OTHER_NUMBERS: dict[str, Callable[[object], object]] = {
    "nothing": lambda n: None,
    "text": lambda n: "3",
    "zero": lambda n: 0,
    "minus one": lambda n: -1,
    "half": lambda n: 0.5,
    "one and a half": lambda n: 1.5,
    "NaN": lambda n: math.nan,
    "infinity": lambda n: math.inf,
    "minus infinity": lambda n: -math.inf,
    "tiny": lambda n: 1e-300,
    "huge": lambda n: 1e39,
    "a huge int": lambda n: 10**400,
    "true": lambda n: True,
    "complex": lambda n: 1j,
    "a tensor": lambda n: torch.tensor([1.0, 2.0]),
    "a list": lambda n: [n],
    "a pair": lambda n: (n, n),
}
OTHER_THINGS = {"nothing": lambda _: None, "text": lambda _: "?", "a number": lambda _: 7}


def others(value: object) -> dict[str, Callable]:
    """The ways in which an argument can be changed."""
    if isinstance(value, Tensor):
        return OTHER_TENSORS
    return OTHER_NUMBERS if isinstance(value, (int, float, tuple)) else OTHER_THINGS


@st.composite
def spoiled(draw, function: Function) -> tuple[dict, str, str]:
    """Arguments, the name of the one that was changed, and how."""
    arguments = draw(function.arguments)
    name = draw(st.sampled_from(sorted(arguments)))
    changes = others(arguments[name])
    change = draw(st.sampled_from(sorted(changes)))
    return arguments | {name: changes[change](arguments[name])}, name, change


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_other_input_gives_an_answer_or_an_error_that_names_it(name, record_property) -> None:
    function = FUNCTIONS[name]

    def check(drawn: tuple[dict, str, str]) -> None:
        arguments, changed, change = drawn
        try:
            answer = function.answer(arguments)
        except (TypeError, ValueError) as error:
            meant = to_be_named(arguments, changed, change)
            assert names(error, meant), f"none of {meant} is named: {error}"
            return
        if not (change in OTHER_VALUES and changed in function.unchecked):
            function.check(answer, **arguments)

    count = 5 * settings().max_examples * function.share
    try_many(count, spoiled(function), check, record_property)


def to_be_named(arguments: dict, changed: str, change: str) -> set[str]:
    """The changed argument; or a tensor or network that its shape or dtype no longer fits."""
    if not isinstance(arguments[changed], Tensor) or change in OTHER_VALUES:
        return {changed}
    return {name for name, value in arguments.items() if isinstance(value, (Tensor, nn.Module))}


def names(error: Exception, meant: set[str]) -> bool:
    """Whether a message names one of the arguments that are meant."""
    return any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in meant)
