"""The layer of the authors' released MATLAB code, which is not quite the paper's.

Written afresh after reading the release (github.com/zqs1022/interpretableCNN, `getMu.m`,
`getMask.m`, `our_vl_simplenn.m`, `our_cnn_train.m`). Lesson 10 has the table of all that differs
from the paper: position, coordinates, β, Z_T, p(x), weight, category. In the fitness a mean over
units is divided by 0.5, four times the paper's; p(x) is left out, with + 1 for the derivative; the
weight, 1e-5 · 0.1/epoch, is twice balanced by category.

So the release's push is no gradient of any loss: a fixed shape (−mask, or +1 everywhere) times a
multiplier whose mean over the batch is 1, whatever the activations. Taught in lesson 10.
"""

import math

import torch
from torch import Tensor

from icnn._check_args import SHARE, SIZE, WEIGHT, Array, checked
from icnn.layer import InterpretableLayer

TEMPERATURE = 0.5  # "alpha" in the release: a mean over units is divided by it
FIRST_BETA = 2.0  # coordinates run over 2, not 1: nearly the paper's 4
BETA_TIMES_SPREAD, BETA_RANGE = 3.0, (1.5, 3.0)
# A gradient of −10,000 (β* − β), learning rate 1e-4 · 0.05, batch 32, momentum 0.9 (VGG-16).
BETA_RATE = 10_000 * 1e-4 * 0.05 / 32 / (1 - 0.9)
DEFAULT_WEIGHT = 1e-5 * 0.1  # the constant of the code times "mag"; its `lossWeight` is never read


@checked(x=Array("N C n n", values=None))
def mean_position(x: Tensor) -> Tensor:
    """The mean position of each map's activation, rounded to a unit; halves are rounded up.

    Of maps (N, C, n, n) after ReLU, floating; values are not checked. Returns (N, C, 2) int64,
    (row, col); the first unit for a silent map.
    """
    axis = torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
    total = x.sum((-2, -1)).clamp_min(torch.finfo(x.dtype).tiny)
    mean = torch.stack([x.sum(-1) @ axis, x.sum(-2) @ axis], -1) / total[..., None]
    return (mean + 0.5).floor().long()


@checked(x=Array("N C n n", values=None), where=Array("N C 2", "integer", like="x", below="n"))
def activation_spread(x: Tensor, where: Tensor) -> Tensor:
    """Root of the activation-weighted mean squared distance from a position: (N, C), in units.

    Of maps (N, C, n, n) after ReLU, floating; the position is (row, col), (N, C, 2) int64.
    """
    axis = torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
    rows, columns = ((axis - where[..., k, None]) ** 2 for k in (0, 1))
    squares = (x.sum(-1) * rows + x.sum(-2) * columns).sum(-1)
    return (squares / x.sum((-2, -1)).clamp_min(torch.finfo(x.dtype).tiny)).sqrt()


@checked(n=SIZE, beta=Array("C"), where=Array("N C 2", "integer", below="n"))
def released_template(where: Tensor, beta: Tensor, n: int) -> Tensor:
    """max(1 − β·distance, −1) around each position; the mask is its positive part.

    The distance is city-block in coordinates that run from −1 to 1 along each side of n units.
    Positions (N, C, 2) int64, (row, col) in units, and β (C,) → (N, C, n, n), dtype of `beta`.
    """
    where = where.long()  # bytes would be taken for bools
    place = torch.linspace(-1, 1, n, dtype=beta.dtype, device=beta.device)
    rows, columns = ((place - place[where[..., k, None]]).abs() for k in (0, 1))
    distance = rows[..., :, None] + columns[..., None, :]
    return (1 - beta[:, None, None] * distance).clamp_min(-1)


@checked(
    x=Array("N C n n"),
    template=Array("N C n n", like="x"),
    is_target=Array("N C", "bool", like="x"),
    share=SHARE,
)
def released_gradient(
    x: Tensor, template: Tensor, is_target: Tensor, *, share: float | None = None
) -> Tensor:
    """What the release adds to the gradient of each image's classification loss, at weight 1.

    −template · m for an image of the filter's category and +m everywhere for any other one, where
    m = w · strength / (mean strength of these images in the batch) and, with s the fitness and
    a = 0.5, strength = exp(s/a) · (s − a·log Z + a). The release overflows where activations are
    large and mends it; here the largest exponent is taken out first, which changes nothing else.

    Args:
        x: maps (N, C, n, n) after ReLU and before the mask, floating; so is what is returned.
        template: (N, C, n, n), as `released_template` gives it.
        is_target: (N, C) bool, whether image n belongs to the category of filter c.
        share: of the images that belong to a category; both kinds then weigh the same,
            w = 0.5/share and 0.5/(1 − share). None: w = 1, as with a single category.
    """
    if (template.abs() > 1).any():
        low, high = (float(value) for value in template.detach().aminmax())
        raise ValueError(f"template must be in [-1, 1], got {low:g} to {high:g}")
    fits = (x * template).mean((-2, -1))
    strangers = (x * template.flip(0, 1)).mean((-2, -1))  # another image's mask, another filter's
    silent = -x.mean((-2, -1))
    weights = (1.0, 1.0) if share is None else (0.5 / share, 0.5 / (1 - share))
    up = weights[0] * _multiplier(fits, strangers, is_target)
    down = weights[1] * _multiplier(silent, silent, ~is_target)
    return down[..., None, None] - template * up[..., None, None]


@checked(channels=SIZE, size=SIZE, steps_per_epoch=SIZE, weight=WEIGHT)
class ReleasedLayer(InterpretableLayer):
    """The released code's layer, in the place of an `InterpretableLayer`; training needs labels.

    What is left out: the floor of 0.1 on the first mean peaks. What `icnn.fit` adds: the ramp. The
    weight of the push is divided by the number of the epoch, which has `steps_per_epoch` batches.
    """

    _needs_labels = True

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        steps_per_epoch: int,
        weight: float = DEFAULT_WEIGHT,
        n_categories: int = 5,
    ) -> None:
        super().__init__(channels, size, weight=weight, n_categories=n_categories)
        self.steps_per_epoch = steps_per_epoch
        self._push: Tensor | None = None  # on the last maps
        del self.beta
        self.register_buffer("beta", torch.full((channels,), FIRST_BETA))

    @property
    def epoch(self) -> int:
        """The number of the epoch, from 1."""
        return 1 + max(int(self.batches) - 1, 0) // self.steps_per_epoch

    def _masked(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = x.detach()
        return x * self._template(maps).clamp_min_(0), maps.amax((-2, -1))

    def _template(self, x: Tensor) -> Tensor:
        return released_template(mean_position(x), self.beta, self.size).to(x.dtype)

    def _loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """A number without meaning whose gradient is the release's push, a mean over the batch."""
        return self.weight / self.epoch * (x * self._push).sum() / len(x)

    @torch.no_grad()
    def _update_category_means(self, x: Tensor, labels: Tensor) -> None:
        """Running means of the peaks, not of the activation; the push goes by the means before."""
        is_target, share = torch.ones_like(labels)[:, None].bool().expand(x.shape[:2]), None
        if self.category_means.any():  # the first batch comes before any mean: all are targets
            is_target = labels[:, None] == self.target_category
            share = 1 / self.n_categories
        template = self._template(x)
        self._push = released_gradient(x, template, is_target, share=share)
        self._update_beta(x, template, is_target)
        super()._update_category_means(x.amax((-2, -1), keepdim=True), labels)

    def _update_beta(self, x: Tensor, template: Tensor, is_target: Tensor) -> None:
        """Move towards 3 / spread, a mean over the images of the category, weighted by fitness."""
        fits = (x * template).mean((-2, -1)) * is_target
        spread = (fits * activation_spread(x, mean_position(x))).sum(0) / fits.sum(0)
        wanted = (BETA_TIMES_SPREAD / spread).nan_to_num(BETA_RANGE[1]).clamp(*BETA_RANGE)
        self.beta.lerp_(wanted.to(self.beta.dtype), BETA_RATE)


def _multiplier(fits: Tensor, others: Tensor, which: Tensor) -> Tensor:
    """exp(s/a)(s − a·log Z + a) over its mean on the images `which`; 0 on the other ones."""
    a = TEMPERATURE
    log_z = a * ((others / a).logsumexp(0) - math.log(len(others)))
    highest = fits.masked_fill(~which, -torch.inf).amax(0)
    strength = ((fits - highest) / a).exp() * (fits - log_z + a)
    strength = strength.masked_fill(~which, 0)
    mean = strength.sum(0) / which.sum(0)
    return (strength / mean).nan_to_num(0, 0, 0)
