"""The networks that lesson 10 trains: `make rethink` writes a row for each.

Taught in lesson 10.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from torch import nn

from icnn._device import seeded
from icnn.experiments.ablation import FrozenLayer, MeanPositionLayer, PaperGradientLayer
from icnn.experiments.released import ReleasedLayer
from icnn.experiments.rethink.assignment import (
    FixedLayer,
    InformationLayer,
    LearnedLayer,
    MeanActivationLayer,
)
from icnn.layer import InterpretableLayer
from icnn.network import CHANNELS, SIDE, MeanClassifier, SmallCNN, conv_block, small_cnn

BATCH = 64
CATEGORY_WEIGHT = 0.01  # of the shipped networks with a category term


class Recipe(NamedTuple):
    """How many training images, and how many epochs."""

    images: int
    epochs: int

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.images // BATCH)


FULL, SHORT = Recipe(5000, 8), Recipe(2500, 6)  # lesson 5's and lesson 8's


@dataclass(frozen=True)
class Configuration:
    """One network to train: the doubt it belongs to, its number of filters, its layer."""

    group: str
    filters: int = CHANNELS
    layer: Callable[..., nn.Module] | None = InterpretableLayer
    recipe: Recipe = SHORT


def _with_term(kind: type[InterpretableLayer]) -> Callable[..., nn.Module]:
    return partial(kind, category_weight=CATEGORY_WEIGHT)


def _released(weight: float) -> Callable[..., nn.Module]:
    return partial(ReleasedLayer, steps_per_epoch=SHORT.steps_per_epoch, weight=weight)


# The paper with the constants it prints: τ = 0.5/n², λ = 5e-6 for each filter.
PRINTED = partial(PaperGradientLayer, literal=True, weight=5e-6 * CHANNELS)
WIDTHS = (64, 16, 4)
VARIANTS: dict[str, Callable[..., nn.Module] | None] = {
    "plain": None,
    "mask only": partial(InterpretableLayer, weight=0.0),
    "interpretable": InterpretableLayer,
}
CONFIGURATIONS: dict[str, Configuration] = {
    **{
        f"{name}, {width} filters": Configuration("filters", width, layer, FULL)
        for width in WIDTHS
        for name, layer in VARIANTS.items()
    },
    **{
        f"Z frozen, λ = {weight}": Configuration(
            "gradient", layer=partial(FrozenLayer, weight=weight), recipe=FULL
        )
        for weight in (0.05, 0.005)
    },
    "no term": Configuration("category", layer=MeanActivationLayer),
    "mean activation": Configuration("category", layer=_with_term(MeanActivationLayer)),
    "fixed": Configuration("category", layer=_with_term(FixedLayer)),
    "information": Configuration("category", layer=_with_term(InformationLayer)),
    "learned": Configuration("category", layer=_with_term(LearnedLayer)),
    "paper, printed constants": Configuration("code", layer=PRINTED),
    "mask at the mean position, no loss": Configuration(
        "code", layer=partial(MeanPositionLayer, weight=0.0)
    ),
    "mask as released, no push": Configuration("code", layer=_released(0.0)),
    "released, its weight": Configuration("code", layer=_released(1e-6)),
    "released, weight 1e-4": Configuration("code", layer=_released(1e-4)),
    "released, weight 1e-3": Configuration("code", layer=_released(1e-3)),
}


def build(name: str, *, n_categories: int = 5, seed: int = 0) -> SmallCNN:
    """A network of lesson 10, not trained; the same seed gives the same first four convolutions.

    Raises:
        ValueError: an unknown name.
    """
    if name not in CONFIGURATIONS:
        raise ValueError(f"name must be one of {', '.join(CONFIGURATIONS)}, got {name!r}")
    chosen = CONFIGURATIONS[name]
    model = small_cnn("plain", n_categories=n_categories, seed=seed)
    with seeded(seed):
        if chosen.filters != CHANNELS:
            last = conv_block(CHANNELS, chosen.filters, 3)
            model.backbone = nn.Sequential(*model.backbone[: -len(last)], *last)
            model.head.classifier = MeanClassifier(chosen.filters, n_categories)
        if chosen.layer is not None:
            model.head.layer = chosen.layer(chosen.filters, SIDE, n_categories=n_categories)
    return model
