"""The networks of lesson 8: the lesson's network with one thing changed at a time.

`make ablations` trains them all and writes data/ablations/results.csv.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from icnn._device import seeded
from icnn.data import PartDataset
from icnn.information import fitness
from icnn.layer import InterpretableLayer
from icnn.loss import paper_gradient
from icnn.network import CHANNELS, SIDE, MeanClassifier, SmallCNN, conv_block, small_cnn
from icnn.templates import l1_distances, mask_at, part_templates, template_prior

N_CATEGORIES = 5
TINTS = torch.tensor([[230, 60, 60], [60, 200, 80], [70, 110, 235], [225, 205, 60], [190, 80, 210]])


class MaxClassifier(nn.Linear):
    """The maximum of each map, then a linear layer: (N, C, n, n) → (N, K)."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.amax((-2, -1)))


class OtherMaskLayer(InterpretableLayer):
    """A layer whose mask is chosen otherwise, by `_mask_of` maps and the places of their peaks."""

    def _masked(self, x: Tensor) -> tuple[Tensor, Tensor]:
        peak, where = x.detach().flatten(-2).max(-1)
        return x * self._mask_of(x.detach(), where), peak

    def _mask_of(self, x: Tensor, where: Tensor) -> Tensor:
        return mask_at(where, self.size, beta=self.beta, dtype=x.dtype)


class BestTemplateLayer(OtherMaskLayer):
    """The mask sits where the best-fitting template has its peak."""

    def _mask_of(self, x: Tensor, where: Tensor) -> Tensor:
        distances = l1_distances(self.size, dtype=x.dtype, device=x.device)
        cone = (2 - self.beta / self.size * distances).clamp_min_(0)  # a template plus a constant
        return super()._mask_of(x, (x.flatten(-2) @ cone).argmax(-1))


class MeanPositionLayer(OtherMaskLayer):
    """The mask sits at the mean position of the activation, as in the authors' released code."""

    def _mask_of(self, x: Tensor, where: Tensor) -> Tensor:
        axis = torch.arange(self.size, dtype=x.dtype, device=x.device)
        total = x.sum((-2, -1)).clamp_min(torch.finfo(x.dtype).tiny)
        row, column = (x.sum(-1) @ axis) / total, (x.sum(-2) @ axis) / total
        rows, columns = (row[..., None] - axis).abs(), (column[..., None] - axis).abs()
        distance = rows[..., :, None] + columns[..., None, :]
        return (1 - self.beta / self.size * distance).clamp_min_(0)


class TwoPeaksLayer(OtherMaskLayer):
    """Two masks: at the peak, and at the strongest unit more than half a map away from it."""

    def _mask_of(self, x: Tensor, where: Tensor) -> Tensor:
        near = l1_distances(self.size, device=x.device)[where] <= self.size / 2
        second = x.flatten(-2).masked_fill(near, -1).argmax(-1)
        both = (super(TwoPeaksLayer, self)._mask_of(x, place) for place in (where, second))
        return torch.maximum(*both)


class PaperGradientLayer(InterpretableLayer):
    """The paper's equation 4, at the scale of the exact gradient or literally with its τ."""

    _needs_labels = True

    def __init__(self, channels: int, size: int, *, literal: bool = False, **options) -> None:
        super().__init__(channels, size, **options)
        self.literal = literal

    def _loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """A number without meaning whose gradient is weight · equation 4."""
        if not self.literal:
            x = x * (self.sharpness / self.scale * (2 * self.size**2))[:, None, None]
        is_target = labels[:, None] == self.target_category
        return self.weight * (x * paper_gradient(x.detach(), is_target, beta=self.beta)).sum()


class ShuffledLabelsLayer(PaperGradientLayer):
    """Equation 4 where each picture has the label of another one: do its labels matter?"""

    def losses(self, labels: Tensor) -> Tensor:
        return super().losses(labels.roll(1))


class FrozenLayer(InterpretableLayer):
    """Z_T taken for a constant, all templates kept: half of the way to equation 4 (lesson 3)."""

    def _filter_loss(self, x: Tensor, options: dict) -> Tensor:
        gain = (options["sharpness"] / options["scale"])[:, None, None]
        templates = part_templates(self.size, beta=self.beta, tau=1.0, dtype=x.dtype)
        scores, prior = fitness(x * gain, templates), template_prior(self.size, dtype=x.dtype)
        log_p = scores - scores.logsumexp(0).detach()
        log_marginal = (prior.log() + log_p).logsumexp(-1, keepdim=True)
        return -(prior * log_p.exp() * (log_p - log_marginal)).sum((0, 2)).mean()


class OutsideLayer(InterpretableLayer):
    """A surrogate without any information theory: the mean activation outside the mask."""

    def _loss(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """weight · mean of x/scale where the mask is 0."""
        where = x.detach().flatten(-2).argmax(-1)
        outside = mask_at(where, self.size, beta=self.beta, dtype=x.dtype) == 0
        return self.weight * (x * outside / self.scale[:, None, None]).mean()


Recipe = namedtuple("Recipe", "images, epochs")  # how many
FULL, SHORT = Recipe(5000, 8), Recipe(2500, 6)  # lesson 5's and lesson 8's


@dataclass(frozen=True)
class Configuration:
    """One network to train: what it is compared with, and what is special about it."""

    group: str
    layer: Callable[..., nn.Module] | None = InterpretableLayer
    head: type[nn.Linear] = MeanClassifier
    filters: int = CHANNELS
    early: bool = False  # the layer behind the third conv layer, not the fifth
    tinted: bool = False  # trained with backgrounds whose colour goes with the category
    recipe: Recipe = SHORT


LAYERS: dict[str, Callable[..., nn.Module] | None] = {
    "plain": None,
    "mask only": partial(InterpretableLayer, weight=0.0),
    "loss only": partial(InterpretableLayer, mask=False),
    "mask + loss": InterpretableLayer,
}
CONFIGURATIONS: dict[str, Configuration] = {
    **{name: Configuration("parts", kind) for name, kind in LAYERS.items()},
    **{f"max: {name}": Configuration("max head", k, MaxClassifier) for name, k in LAYERS.items()},
    "early layer": Configuration("place of the layer", early=True),
    "mask at the best template": Configuration("mask", BestTemplateLayer),
    "mask at the mean position": Configuration("mask", MeanPositionLayer),
    "two masks": Configuration("mask", TwoPeaksLayer),
    "equation 4": Configuration("gradient", PaperGradientLayer),
    "equation 4, labels shuffled": Configuration("gradient", ShuffledLabelsLayer),
    "penalty outside the mask": Configuration("gradient", partial(OutsideLayer, weight=1.0)),
    "λ = 0.5": Configuration("weight", partial(InterpretableLayer, weight=0.5)),
    "λ = 5": Configuration("weight", partial(InterpretableLayer, weight=5.0)),
    "κ = 0.2": Configuration("sharpness", partial(InterpretableLayer, sharpness=0.2)),
    "κ = 10": Configuration("sharpness", partial(InterpretableLayer, sharpness=10.0)),
    "β = 2": Configuration("beta", partial(InterpretableLayer, beta=2.0)),
    "β = 8": Configuration("beta", partial(InterpretableLayer, beta=8.0)),
    "category term, λ = 0.1": Configuration(
        "category", partial(InterpretableLayer, category_weight=0.1)
    ),
    **{
        f"tinted: {name}": Configuration("shortcut", LAYERS[name], tinted=True)
        for name in ("plain", "mask only", "mask + loss")
    },
}


def build(
    name: str, *, seed: int = 0, among: Mapping[str, Configuration] = CONFIGURATIONS
) -> SmallCNN:
    """A network of a lesson, not trained; the same seed gives the same first convolutions."""
    if name not in among:
        raise ValueError(f"name must be one of {', '.join(among)}, got {name!r}")
    chosen = among[name]
    model = small_cnn("plain", n_categories=N_CATEGORIES, seed=seed)
    with seeded(seed):
        if chosen.filters != CHANNELS:
            last = conv_block(CHANNELS, chosen.filters, 3)
            model.backbone = nn.Sequential(*model.backbone[: -len(last)], *last)
        if (chosen.filters, chosen.head) != (CHANNELS, MeanClassifier):
            model.head.classifier = chosen.head(chosen.filters, N_CATEGORIES)
        if chosen.layer is not None:
            model.head.layer = chosen.layer(chosen.filters, SIDE, n_categories=N_CATEGORIES)
    if chosen.early:
        model.backbone, later = model.backbone[:9], model.backbone[9:]
        model.head.classifier = nn.Sequential(later, model.head.classifier)
    return model


def tinted(data: PartDataset, *, share: float = 0.9, shift: int = 0, seed: int = 0) -> PartDataset:
    """Creatures with a coloured background: half of its colour is a category's tint.

    A share of the pictures gets the tint of its own category, or with a shift that of the shift-th
    next one; the others get a random tint.
    """
    generator = torch.Generator().manual_seed(seed)
    own = torch.rand(len(data), generator=generator) < share
    other = torch.randint(len(TINTS), (len(data),), generator=generator)
    tint = TINTS[torch.where(own, (data.labels + shift) % len(TINTS), other)]
    mixed = (data.images.float() + tint[:, :, None, None]) / 2
    background = (data.part_ids == 0)[:, None]
    return replace(data, images=torch.where(background, mixed.to(torch.uint8), data.images))
