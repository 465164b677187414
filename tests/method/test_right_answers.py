"""Odd input at scale: the right answer, by an independent plain version.

Every public function stands in the table of `public_functions.py`, `public_measures.py` and
`public_models.py`, with random right arguments, as odd as they may be: any size, layout, dtype,
ties, silent maps, a gradient asked for. `test_properties.py` spoils them.
"""

from __future__ import annotations

import public_measures  # noqa: F401, enters its functions into the table
import public_models  # noqa: F401, so does this
import pytest
from hypothesis import settings
from public_functions import FUNCTIONS, try_many

import icnn


@pytest.mark.parametrize("name", FUNCTIONS)
def test_valid_but_odd_input_gives_the_right_answer(name, record_property) -> None:
    function = FUNCTIONS[name]

    def check(arguments: dict) -> None:
        function.check(function.answer(arguments), **arguments)

    count = 2 * settings().max_examples * function.share
    try_many(count, function.arguments, check, record_property)


# Public names that are no function of tensors, and where they are tested.
ELSEWHERE = {
    "SmallCNN": "built by small_cnn",
    "PartHead": "built by make_interpretable",
    "InterpretableCNN": "built by make_interpretable",
    "FeatureDataset": "built by cached_features",
    "cached_features": "test_photos, test_bad_input",
    "explain.Contributions": "a record",
    "released.ReleasedLayer": "test_released",
}


def test_every_public_function_is_in_the_table() -> None:
    public = {name for name in icnn.__all__ if callable(getattr(icnn, name))}
    for module in (icnn.explain, icnn.released):
        short = module.__name__.rpartition(".")[2]
        own = {n: v for n, v in vars(module).items() if callable(v) and n[0] != "_"}
        public |= {f"{short}.{n}" for n, v in own.items() if v.__module__ == module.__name__}
    table = {name for name in FUNCTIONS if not name.startswith(("rethink.", "ReceptiveField."))}
    assert public == table | set(ELSEWHERE)
