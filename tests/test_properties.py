"""Any input at all: a right answer, or an error that names the argument.

Every public function gets right arguments of random sizes and values, and then one of them is
changed into something that may be wrong: another type, shape, dtype or device, NaN, infinities,
huge or negative numbers, nothing at all. The answer is finite, or a TypeError or ValueError says
which argument is meant. Nothing may hang, and inputs stay as they were. `make test` tries some
thousands of inputs, `make test-all` many more; the summary says how many. That answers to right
arguments are right is for `test_right_answers.py`.
"""

from __future__ import annotations

import inspect
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import icnn
from icnn import explain, released
from icnn.rethink import assignment, auroc

SECONDS = 20  # more is a hang; the slowest takes a tenth of a second
PIXELS = 8  # side of pictures


@dataclass
class Sizes:
    """How large the arguments of one call are, and a source of random numbers."""

    images: int
    filters: int
    side: int
    parts: int
    dtype: torch.dtype
    random: torch.Generator

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.random, dtype=self.dtype)

    def maps(self) -> Tensor:
        """Maps after a ReLU; about half of the units are silent."""
        return (self.uniform(self.images, self.filters, self.side, self.side) - 0.5).relu() * 6

    def points(self, count: int) -> Tensor:
        return self.uniform(self.images, count, 2) * PIXELS

    def bools(self, *shape: int) -> Tensor:
        return self.uniform(*shape) < 0.5

    def below(self, high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=self.random)


SIZES = st.builds(
    Sizes,
    images=st.integers(1, 5),
    filters=st.integers(1, 4),
    side=st.integers(1, 6),
    parts=st.integers(1, 3),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    random=st.integers(0, 2**31).map(lambda seed: torch.Generator().manual_seed(seed)),
)


@dataclass
class Case:
    """A public function, right arguments for it, and what is special about it.

    Attributes:
        arguments: makes right arguments of given sizes.
        unchecked: arguments whose values are documented as not checked: NaN gives NaN.
        undefined: whether NaN is a documented answer, for filters or parts without data.
        few: whether a call is slow, so that fewer inputs are tried.
    """

    function: Callable
    arguments: Callable[[Sizes], dict]
    unchecked: tuple[str, ...] = ()
    undefined: bool = False
    few: bool = False
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.function.__name__


def measured(s: Sizes) -> dict:
    """Points, scores and landmarks."""
    return {
        "points": s.points(s.filters),
        "scores": s.uniform(s.images, s.filters),
        "landmarks": s.points(s.parts),
        "top": 3,
    }


def twice(s: Sizes) -> Sizes:
    """With at least two images, for what is chosen on one half of them."""
    return replace(s, images=2 * s.images)


def kind(s: Sizes) -> dict:
    return {"dtype": s.dtype, "device": "cpu"}


def scaled(s: Sizes) -> dict:
    return {"sharpness": 2.0, "scale": s.uniform(s.filters) + 0.5}


def scores_and_prior(s: Sizes) -> dict:
    return {
        "fitness": s.uniform(s.images, s.filters, s.side**2 + 1) * 9,
        "prior": icnn.template_prior(s.side, dtype=s.dtype),
    }


def tiny_model(s: Sizes) -> icnn.SmallCNN:
    return icnn.small_cnn("interpretable", n_categories=3, seed=0).eval()


def conv(s: Sizes) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)).eval()


def in_layer(x: Tensor) -> Tensor:
    """The layer's mask in its eval mode."""
    check = icnn.InterpretableLayer(x.shape[1], x.shape[-1]) if _is_maps(x) else None
    return (check or icnn.InterpretableLayer(2, 4)).eval()(x)


def _is_maps(x: object) -> bool:
    return isinstance(x, Tensor) and x.ndim == 4 and x.shape[-1] > 0 and x.shape[1] > 0


CASES = [
    Case(icnn.part_templates, lambda s: {"n": s.side, "beta": 3.0, "tau": 0.7, **kind(s)}),
    Case(icnn.template_prior, lambda s: {"n": s.side, "alpha": 0.4, **kind(s)}),
    Case(icnn.part_mask, lambda s: {"x": s.maps(), "beta": 3.0}),
    Case(
        icnn.fitness,
        lambda s: {"x": s.maps(), "templates": icnn.part_templates(s.side, dtype=s.dtype)},
    ),
    Case(icnn.mutual_information, scores_and_prior),
    Case(icnn.entropy_terms, scores_and_prior),
    Case(icnn.filter_loss, lambda s: {"x": s.maps(), **scaled(s), "beta": 4.0}, ("x", "scale")),
    Case(
        icnn.category_loss,
        lambda s: {"x": s.maps(), "is_target": s.bools(s.images, s.filters), **scaled(s)},
        ("x", "scale"),
    ),
    Case(
        icnn.paper_gradient,
        lambda s: {"x": s.maps(), "is_target": s.bools(s.images, s.filters), "beta": 4.0},
        ("x",),
    ),
    Case(in_layer, lambda s: {"x": s.maps()}, ("x",)),
    Case(
        icnn.assign_categories,
        lambda s: {"activations": s.maps(), "labels": s.below(3, s.images), "n_categories": 3},
    ),
    Case(icnn.peaks, lambda s: {"maps": s.maps()}),
    Case(icnn.location_instability, lambda s: {**measured(s), "image_size": PIXELS}, (), True),
    Case(
        icnn.location_instability_by_category,
        lambda s: {
            **measured(s),
            "image_size": PIXELS,
            "labels": s.below(3, s.images),
            "target_category": s.below(3, s.filters),
        },
        (),
        True,
    ),
    Case(icnn.part_tracking, measured, (), True),
    Case(icnn.best_part_tracking, lambda s: measured(twice(s)), (), True),
    Case(
        icnn.constant_control,
        lambda s: {"landmarks": s.points(s.parts), "image_size": PIXELS, "top": 3, "grid": 3},
        (),
        True,
    ),
    Case(
        icnn.peak_spread,
        lambda s: {"points": s.points(s.filters), "scores": s.uniform(s.images, s.filters)},
        (),
        True,
    ),
    Case(
        icnn.part_interpretability,
        lambda s: {
            "maps": s.maps(),
            "part_masks": s.bools(s.images, s.parts, PIXELS, PIXELS),
            "quantile": 0.9,
            "iou": 0.2,
        },
        (),
        True,
    ),
    Case(
        icnn.category_selectivity,
        lambda s: {"maps": s.maps(), "labels": s.below(3, s.images)},
        (),
        True,
    ),
    Case(icnn.dead_filters, lambda s: {"maps": s.maps()}),
    Case(icnn.live_filters, lambda s: {"maps": s.maps()}),
    Case(icnn.upscale, lambda s: {"maps": s.maps(), "image_size": PIXELS}, ("maps",)),
    Case(icnn.unit_centres, lambda s: {"module": conv(s), "image_size": PIXELS}, few=True),
    Case(
        icnn.discrepancy_map,
        lambda s: {
            "features": conv(s),
            "image": s.uniform(3, PIXELS, PIXELS).float(),
            "unit_filter": 1,
            "patch": 3,
            "stride": 3,
        },
        few=True,
    ),
    Case(
        icnn.average_receptive_field,
        lambda s: {
            "features": conv(s),
            "images": s.uniform(s.images, 3, PIXELS, PIXELS).float(),
            "unit_filter": 1,
            "top": 2,
            "patch": 3,
            "stride": 3,
        },
        few=True,
    ),
    Case(
        icnn.predict,
        lambda s: {
            "model": conv(s),
            "images": s.uniform(s.images, 3, PIXELS, PIXELS).float(),
            "batch_size": 2,
        },
        ("images",),
        few=True,
    ),
    Case(icnn.small_cnn, lambda s: {"variant": "plain", "n_categories": 3, "seed": 1}, few=True),
    Case(
        icnn.bootstrap,
        lambda s: {
            "statistic": lambda which: float(which.double().mean()),
            "n_images": s.images + 1,
            "samples": 10,
            "seed": 0,
        },
    ),
    Case(
        explain.contributions,
        lambda s: {"model": tiny_model(s), "images": s.uniform(1, 3, 64, 64).float()},
        few=True,
    ),
    Case(
        explain.filter_parts,
        lambda s: {**{k: v for k, v in measured(twice(s)).items() if k != "top"}, "least": 0.3},
    ),
    Case(
        explain.by_part,
        lambda s: {
            "contribution": s.uniform(2, s.filters),
            "part": s.below(s.parts + 1, s.filters) - 1,
            "n_parts": s.parts,
        },
    ),
    Case(
        explain.unit_contributions,
        lambda s: {
            "model": tiny_model(s),
            "images": s.uniform(1, 3, 64, 64).float(),
            "categories": s.below(3, 1),
        },
        few=True,
    ),
    Case(
        explain.deletion,
        lambda s: {
            "model": tiny_model(s),
            "images": s.uniform(1, 3, 64, 64).float(),
            "categories": s.below(3, 1),
            "importance": s.uniform(1, 4, 4),
            "fill": s.uniform(1, 3, 64, 64).float(),
            "steps": 2,
        },
        few=True,
    ),
    Case(
        released.released_gradient,
        lambda s: {
            "x": s.maps(),
            "template": s.uniform(s.images, s.filters, s.side, s.side) * 2 - 1,
            "is_target": s.bools(s.images, s.filters),
            "share": 0.3,
        },
    ),
    Case(released.mean_position, lambda s: {"x": s.maps()}, ("x",)),
    Case(
        released.activation_spread,
        lambda s: {"x": s.maps(), "where": s.below(s.side, s.images, s.filters, 2)},
        ("x", "where"),
    ),
    Case(
        released.released_template,
        lambda s: {
            "where": s.below(s.side, s.images, s.filters, 2),
            "beta": s.uniform(s.filters) + 1.5,
            "n": s.side,
        },
        ("where", "beta"),
    ),
    Case(
        assignment.label_information,
        lambda s: {
            "activation": s.maps().amax((2, 3)),
            "labels": s.below(3, s.images),
            "n_categories": 3,
        },
    ),
    Case(auroc.auroc, lambda s: {"positive": s.uniform(s.images), "negative": s.uniform(s.images)}),
]
# Tested elsewhere, with files, training or processes.
ELSEWHERE = {
    "filter_losses": "test_layer",
    "fit": "test_network",
    "accuracy": "test_network",
    "make_interpretable": "test_backbone",
    "cached_features": "test_photo_datasets",
    "InterpretableLayer": "in_layer, and test_layer",
    "SmallCNN": "test_network",
    "InterpretableCNN": "test_backbone",
    "PartHead": "test_backbone",
    "FeatureDataset": "test_photo_datasets",
}

# What may be wrong.
OTHER_TENSORS: dict[str, Callable[[Tensor], object]] = {
    "nothing": lambda x: None,
    "text": lambda x: "maps",
    "a list": lambda x: x.tolist(),
    "an array": lambda x: x.numpy(),
    "a number": lambda x: 3.0,
    "NaN": lambda x: with_one(x, math.nan),
    "all NaN": lambda x: x * math.nan,
    "infinity": lambda x: with_one(x, math.inf),
    "minus infinity": lambda x: with_one(x, -math.inf),
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
    "huge": lambda x: x * 1e30,
    "tiny": lambda x: x * 1e-30,
    "negative": lambda x: -x - 1 if x.dtype != torch.bool else ~x,
    "all zero": torch.zeros_like,
    "all the same": torch.ones_like,
    "without data": lambda x: x.to("meta"),
    "sparse": lambda x: x.to_sparse(),
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
    "true": lambda n: True,
    "complex": lambda n: 1j,
    "a tensor": lambda n: torch.tensor([1.0, 2.0]),
    "a list": lambda n: [n],
}
OTHER_THINGS = {"nothing": lambda _: None, "text": lambda _: "?", "a number": lambda _: 7}


def with_one(x: Tensor, value: float) -> Tensor:
    """A copy with one number replaced; whole numbers and bools have no such value."""
    if not x.is_floating_point():
        return x.clone()
    x = x.clone()
    x.view(-1)[len(x.view(-1)) // 2] = value
    return x


def others(value: object) -> dict[str, Callable]:
    """The ways in which an argument can be changed."""
    if isinstance(value, Tensor):
        return OTHER_TENSORS
    return OTHER_NUMBERS if isinstance(value, (int, float)) else OTHER_THINGS


def tensors(result: object) -> list[Tensor]:
    """All floating numbers in a result."""
    if isinstance(result, Tensor):
        return [result] if result.is_floating_point() else []
    if isinstance(result, nn.Module):
        return [parameter.detach() for parameter in result.parameters()]
    if isinstance(result, (tuple, list)):
        return [found for part in result for found in tensors(part)]
    return [torch.tensor(float(result))] if isinstance(result, (int, float)) else []


def call(case: Case, arguments: dict) -> object:
    """The result of a call that ends in time and leaves its arguments alone."""
    before = {k: v.clone() for k, v in arguments.items() if isinstance(v, Tensor) and not v.is_meta}
    start = time.process_time()
    try:
        return case.function(**arguments)
    finally:
        assert time.process_time() - start < SECONDS, "it takes too long"
        for name, value in before.items():
            now = arguments[name]
            if value.layout == torch.strided:
                assert torch.equal(value.nan_to_num(7), now.detach().nan_to_num(7)), name


def many(case: Case, record: Callable, check: Callable[[st.DataObject], None]) -> None:
    """Try a check on many inputs, and note how many there were."""
    tried = 0
    share = 10 if case.few else 1

    @settings(
        max_examples=max(10, 5 * settings().max_examples // share),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        nonlocal tried
        tried += 1
        check(data)

    try:
        run()
    finally:
        record("inputs", tried)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_any_other_input_gives_an_answer_or_an_error_that_names_it(case, record_property) -> None:
    def check(data: st.DataObject) -> None:
        arguments = case.arguments(data.draw(SIZES))
        name = data.draw(st.sampled_from(sorted(arguments)), label="argument")
        changes = others(arguments[name])
        change = data.draw(st.sampled_from(sorted(changes)), label="change")
        arguments[name] = changes[change](arguments[name])
        try:
            result = call(case, arguments)
        except (TypeError, ValueError) as error:
            assert names(error, arguments), f"no argument is named: {error}"
            return
        if case.undefined or name in case.unchecked:
            return
        for part in tensors(result):
            assert part.is_meta or torch.isfinite(part).all(), "not finite, and nobody said so"

    many(case, record_property, check)


def names(error: Exception, arguments: dict) -> bool:
    """Whether a message names one of the arguments (a wrong shape may be that of either of two)."""
    return any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in arguments)


def test_every_public_function_is_tried_here_or_elsewhere() -> None:
    public = {name for name in icnn._MODULE_OF if callable(getattr(icnn, name))}
    tried = {case.name for case in CASES}
    assert public <= tried | set(ELSEWHERE)
    assert not set(ELSEWHERE) & tried


def test_all_arguments_are_given() -> None:
    sizes = Sizes(3, 2, 4, 2, torch.float32, torch.Generator())
    for case in CASES:
        wanted = {
            name
            for name, parameter in inspect.signature(case.function).parameters.items()
            if parameter.default is parameter.empty
        }
        assert wanted <= set(case.arguments(sizes)), case.name
