"""The networks of lesson 10: `make rethink` trains them and writes a row for each."""

from functools import partial
from math import ceil

from icnn.experiments import ablation
from icnn.experiments.ablation import FULL, LAYERS, SHORT, Configuration
from icnn.experiments.released import ReleasedLayer
from icnn.experiments.rethink import assignment
from icnn.layer import InterpretableLayer
from icnn.network import CHANNELS

# The paper with the constants it prints: τ = 0.5/n², λ = 5e-6 for each filter.
PRINTED = partial(ablation.PaperGradientLayer, literal=True, weight=5e-6 * CHANNELS)
WIDTHS = (64, 16, 4)
VARIANTS = {"plain": None, "mask only": LAYERS["mask only"], "interpretable": InterpretableLayer}


def _frozen(weight: float) -> Configuration:
    return Configuration("gradient", partial(ablation.FrozenLayer, weight=weight), recipe=FULL)


def _with_term(kind: type[InterpretableLayer]) -> Configuration:
    """With the category term of the shipped networks."""
    return Configuration("category", partial(kind, category_weight=0.01))


def _released(weight: float) -> Configuration:
    steps = ceil(SHORT.images / 64)
    return Configuration("code", partial(ReleasedLayer, steps_per_epoch=steps, weight=weight))


CONFIGURATIONS: dict[str, Configuration] = {
    **{
        f"{name}, {width} filters": Configuration("filters", layer, filters=width, recipe=FULL)
        for width in WIDTHS
        for name, layer in VARIANTS.items()
    },
    "Z frozen, λ = 0.05": _frozen(0.05),
    "Z frozen, λ = 0.005": _frozen(0.005),
    "no term": Configuration("category", assignment.MeanActivationLayer),
    "mean activation": _with_term(assignment.MeanActivationLayer),
    "fixed": _with_term(assignment.FixedLayer),
    "information": _with_term(assignment.InformationLayer),
    "learned": _with_term(assignment.LearnedLayer),
    "paper, printed constants": Configuration("code", PRINTED),
    "mask at the mean position, no loss": Configuration(
        "code", partial(ablation.MeanPositionLayer, weight=0.0)
    ),
    "mask as released, no push": _released(0.0),
    "released, its weight": _released(1e-6),
    "released, weight 1e-4": _released(1e-4),
    "released, weight 1e-3": _released(1e-3),
}
build = partial(ablation.build, among=CONFIGURATIONS)
