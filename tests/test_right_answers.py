"""Odd input at scale: the right answer, by an independent plain version.

Every public function stands in the table of `public_functions.py` and `public_measures.py`, with
random right arguments, as odd as they may be: any size, layout, dtype, ties, silent maps, a
gradient asked for. `test_properties.py` spoils them.
"""

from __future__ import annotations

import warnings

import public_measures  # noqa: F401, enters its functions into the table
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from public_functions import FUNCTIONS, Function
from torch import Tensor

import icnn
import icnn.explain
import icnn.released

MANY = 2 * settings.default.max_examples  # inputs of each kind for each function


def answer_of(function: Function, arguments: dict):
    """What it answers; no argument may have changed, and warnings are nobody's business."""
    before = {k: v.detach().clone() for k, v in arguments.items() if isinstance(v, Tensor)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = function.call(**arguments)
    for name, value in before.items():
        assert torch.equal(value.nan_to_num(), arguments[name].nan_to_num()), f"{name} was changed"
    return answer


def limits(function: Function) -> settings:
    return settings(
        max_examples=max(int(MANY * function.share), 5), suppress_health_check=list(HealthCheck)
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_valid_but_odd_input_gives_the_right_answer(name, record_property) -> None:
    function, tried = FUNCTIONS[name], []

    @limits(function)
    @given(function.arguments)
    def holds(arguments) -> None:
        tried.append(name)
        function.check(answer_of(function, arguments), **arguments)

    holds()
    record_property("inputs", len(tried))


# Public names that are no function of tensors, and where they are tested.
ELSEWHERE = {
    "SmallCNN": "built by small_cnn",
    "PartHead": "built by make_interpretable",
    "InterpretableCNN": "built by make_interpretable",
    "FeatureDataset": "built by cached_features",
    "small_cnn": "test_network",
    "filter_losses": "the InterpretableLayer here calls losses; test_layer",
    "make_interpretable": "test_backbone, test_bad_input",
    "cached_features": "test_photos, test_bad_input",
    "fit": "test_network, test_bad_input",
    "predict": "explain.contributions is checked with it",
    "accuracy": "test_network",
    "explain.Contributions": "a record",
    "released.ReleasedLayer": "test_released",
}


def test_every_public_function_is_in_the_table() -> None:
    public = {name for name in icnn.__all__ if callable(getattr(icnn, name))}
    for module in (icnn.explain, icnn.released):
        short = module.__name__.rpartition(".")[2]
        own = {n: v for n, v in vars(module).items() if callable(v) and n[0] != "_"}
        public |= {f"{short}.{n}" for n, v in own.items() if v.__module__ == module.__name__}
    assert public == set(FUNCTIONS) | set(ELSEWHERE)
