"""Constraints on arguments: every way to call, what is said, what `help` shows, who passes."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor, nn

from icnn._check_args import POSITIVE, SIZE, Array, checked


@checked(x=Array("N C n n"), labels=Array("N", "integer", below="k"), k=SIZE, beta=POSITIVE)
def measure(x: Tensor, labels: Tensor | None = None, k: int = 2, *, beta: float = 1.0) -> Tensor:
    """Something.

    Raises:
        RuntimeError: never.
    """
    return beta * x


X, LABELS = torch.ones(3, 2, 4, 4), torch.tensor([0, 1, 1])


def test_right_arguments_pass_by_place_by_name_and_by_default() -> None:
    for answer in (measure(X), measure(X, LABELS), measure(k=2, labels=LABELS, x=X, beta=1)):
        assert torch.equal(answer, X)


@pytest.mark.parametrize(
    "arguments, options, error, message",
    [
        ((X[0],), {}, ValueError, r"x must have shape \(N, C, n, n\), got \(2, 4, 4\)"),
        ((X[..., :3],), {}, ValueError, r"x must have shape \(N, C, n, n\), got \(3, 2, 4, 3\)"),
        ((X.long(),), {}, TypeError, "x must have a floating dtype, got torch.int64"),
        ((None,), {}, TypeError, "x must be a torch.Tensor, got NoneType"),
        ((X, LABELS[:2]), {}, ValueError, r"labels must have shape \(3,\), got \(2,\)"),
        ((X, LABELS + 1), {}, ValueError, "labels must be below k = 2, got 2"),
        ((X, LABELS - 1, 2), {}, ValueError, "labels must be 0 or more, got -1"),
        ((X,), {"k": True}, TypeError, "k must be an int from 1 to .*, got bool"),
        ((X,), {"beta": 0}, ValueError, "beta must be a number greater than 0, .*, got 0"),
        ((), {}, TypeError, "missing 1 required positional argument: 'x'"),
        ((X,), {"gamma": 1}, TypeError, "unexpected keyword argument 'gamma'"),
    ],
)
def test_the_message_says_what_was_wanted_and_what_came(arguments, options, error, message) -> None:
    with pytest.raises(error, match=message):
        measure(*arguments, **options)


def test_a_misspelt_constraint_is_found_at_once() -> None:
    with pytest.raises(KeyError, match="betta"):
        checked(betta=POSITIVE)(lambda beta: beta)


def test_help_shows_the_signature_and_the_constraints() -> None:
    assert list(inspect.signature(measure).parameters) == ["x", "labels", "k", "beta"]
    text = inspect.getdoc(measure)
    assert text.count("Raises:") == 1 and "RuntimeError: never." in text
    assert "`x` floating (N, C, n, n), finite" in " ".join(text.split())


def test_symbols_of_torch_fx_pass_and_compile_sees_one_graph() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return measure(x, beta=3.0)

    assert torch.equal(torch.fx.symbolic_trace(Model())(X), 3 * X)

    @checked(x=Array("N C n n", values=None), beta=POSITIVE)
    def unread(x: Tensor, *, beta: float = 1.0) -> Tensor:
        return beta * x

    compiled = torch.compile(unread, backend="eager", fullgraph=True)
    assert torch.equal(compiled(X, beta=2.0), 2 * X)
    with pytest.raises((TypeError, ValueError), match="x must"):
        unread(X[0])
