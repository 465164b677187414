"""The interpretable layer: a mask in the forward pass, a loss beside it, and no new parameter.

Taught in lesson 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from icnn._check_args import (
    check_bool,
    check_finite,
    check_labels,
    check_maps,
    check_positive,
    check_same_device,
    check_size,
    check_weight,
)
from icnn._distributed import add_up, highest
from icnn.loss import category_loss, filter_loss
from icnn.templates import mask_at

MOMENTUM = 0.1  # of the running means, as in batch normalisation
SCALE_FLOOR = 0.1  # a filter that hardly fires is measured against a tenth of the layer's mean peak


class InterpretableLayer(nn.Module):
    """Put it behind the ReLU of a high conv layer to make each filter a detector of one part.

    Forward: every map is multiplied by the mask around its own peak. In training it also keeps the
    maps, from which `filter_losses` then computes the filter loss (on the maps before the mask).
    Running means, not learned: each filter's peak, and its mean activation on each category.
    Paper, section 3. Taught in lesson 4.

    Args:
        channels: number of filters C.
        size: side n of the square maps, in units.
        beta: how fast templates and mask decay with distance from the peak; no unit.
        mask: whether the forward pass masks; False leaves the maps as they are.
        weight: of the filter loss (λ); 0 means the mask alone.
        sharpness: of the fitness (κ), see `filter_loss`.
        category_weight: of the category term, which needs labels; 0 means none.
        memory: how many images of earlier batches take part in Z_T and p(x), without a gradient of
            their own: for batches too small for a statistic, and for gradient accumulation, where
            it is the images of the other batches of one step. The maps remembered are those of the
            weights of their time. Paper, footnote 2, has a running Z_T.

    Input and output: (N, C, n, n), after ReLU, floating.

    Raises:
        TypeError, ValueError: an argument or an input of the wrong type, shape or range. The values
            of the maps are not checked.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        beta: float = 4.0,
        mask: bool = True,
        weight: float = 0.05,
        sharpness: float = 2.0,
        category_weight: float = 0.0,
        memory: int = 0,
    ) -> None:
        super().__init__()
        check_size(channels, "channels")
        check_size(size, "size")
        check_positive(beta, "beta")
        check_positive(sharpness, "sharpness")
        check_bool(mask, "mask")
        check_weight(weight, "weight")
        check_weight(category_weight, "category_weight")
        if type(memory) is not int:
            raise TypeError(f"memory must be an int, got {type(memory).__name__}")
        if memory < 0:
            raise ValueError(f"memory must be 0 or more, got {memory}")
        self.channels, self.size, self.beta, self.mask = channels, size, beta, mask
        self.weight, self.sharpness, self.category_weight = weight, sharpness, category_weight
        self.memory = memory
        self.register_buffer("peak", torch.zeros(channels))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        self.register_buffer("category_means", torch.zeros(channels, 0))
        self._maps: Tensor | None = None  # of the last training forward
        self._earlier: Tensor | None = None  # of the ones before

    def forward(self, x: Tensor) -> Tensor:
        check_maps(x, "x")
        if x.shape[1:] != (self.channels, self.size, self.size):
            wanted = ("N", self.channels, self.size, self.size)
            raise ValueError(f"x must have shape {wanted}, got {tuple(x.shape)}")
        check_same_device(x, "x", self.peak, "the layer")
        peak, where = x.detach().flatten(-2).max(-1)
        if self.training:
            self._remember()
            self._maps = x
            self._update_peak(peak)
        if not self.mask:
            return x
        return x * self._mask_of(x.detach(), where)

    def _mask_of(self, x: Tensor, where: Tensor) -> Tensor:
        """The mask for maps x with their peaks at `where`; lesson 8 tries other ones."""
        return mask_at(where, self.size, beta=self.beta, dtype=x.dtype)

    @property
    def scale(self) -> Tensor:
        """(C,) float32: the running mean peak of each filter, floored where it hardly fires."""
        floor = SCALE_FLOOR * self.peak.mean()
        return self.peak.clamp_min(floor.clamp_min(torch.finfo(torch.float32).tiny))

    @property
    def target_category(self) -> Tensor:
        """(C,) int64: the category that activates each filter most, by the running means."""
        if not self.category_means.numel():
            raise RuntimeError("the target category is known after a training step with labels")
        return self.category_means.argmax(1)

    def losses(self, labels: Tensor | None = None) -> Tensor:
        """The layer's weighted losses, a scalar, from its last training forward.

        Args:
            labels: (N,) integer categories of that batch's images; needed by the category term,
                and without them the target categories are not followed.

        Raises:
            RuntimeError: there was no training forward yet.
            TypeError, ValueError: unfit labels, or none where the category term needs them.
        """
        if self._maps is None:
            raise RuntimeError("filter losses need a forward pass in training mode first")
        if self.category_weight and labels is None:
            raise ValueError("labels must be given: the category term needs them, got None")
        x, scale = self._maps, self.scale
        options = {"sharpness": self.sharpness, "scale": scale, "beta": self.beta}
        total = x.new_zeros((), dtype=torch.promote_types(x.dtype, torch.float32))
        if labels is not None:
            check_labels(labels, len(x))
            self._update_category_means(x.detach(), labels)
        if self.weight:
            total = total + self.weight * self._filter_loss(x, options)
        if self.category_weight:
            is_target = labels[:, None] == self.target_category
            total = total + self.category_weight * category_loss(x, is_target, **options)
        return total

    def _filter_loss(self, x: Tensor, options: dict) -> Tensor:
        """The filter loss of a batch among the images that are remembered."""
        if self._earlier is None:
            return filter_loss(x, **options)
        loss = filter_loss(torch.cat([x, self._earlier.to(x.dtype)]), **options)
        share = len(x) / (len(x) + len(self._earlier))
        return loss.detach() + (loss - loss.detach()) / share  # as if all had their gradient

    def _remember(self) -> None:
        if self.memory and self._maps is not None:
            last = self._maps.detach()
            known = last if self._earlier is None else torch.cat([last, self._earlier])
            self._earlier = known[: self.memory]

    @torch.no_grad()
    def _update_peak(self, peaks: Tensor) -> None:
        peak = add_up(peaks.sum(0, dtype=self.peak.dtype)) / add_up(
            self.peak.new_tensor(len(peaks))
        )
        momentum = torch.where(self.batches == 0, 1.0, MOMENTUM)
        self.peak.lerp_(peak, momentum.to(peak.dtype))
        self.batches += 1

    @torch.no_grad()
    def _update_category_means(self, x: Tensor, labels: Tensor) -> None:
        known = self.category_means.shape[1]
        wanted = max(int(highest(labels.max())) + 1, known)
        sums, counts = map(add_up, _category_sums(x, labels, wanted))
        means = (sums / counts.clamp_min(1)).to(self.category_means.dtype)
        old = nn.functional.pad(self.category_means, (0, means.shape[1] - known))
        new = torch.where(old == 0, means, old.lerp(means, MOMENTUM))  # 0: not seen yet
        self.category_means = torch.where(counts > 0, new, old)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        """Take the number of categories from the saved state."""
        saved = state_dict.get(prefix + "category_means")
        if saved is not None and saved.shape[:1] == self.category_means.shape[:1]:
            self.category_means = torch.zeros_like(saved, device=self.category_means.device)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __getstate__(self) -> dict:
        """Copies and pickles leave the last batch behind: it belongs to a graph."""
        return {**super().__getstate__(), "_maps": None, "_earlier": None}


def filter_losses(model: nn.Module, labels: Tensor | None = None) -> Tensor:
    """Weighted sum of the filter losses of all interpretable layers in a model; add it to yours.

    Each layer contributes weight · `filter_loss` + category_weight · `category_loss`, computed from
    the last forward in training mode. Paper, section 3.1. Taught in lesson 4.

    Args:
        model: any module; a model without interpretable layers gives 0.
        labels: (N,) integer categories of that batch's images; needed where a layer has a
            category term.

    Returns:
        A scalar with gradient.

    Raises:
        RuntimeError: a layer saw no training forward yet.
        TypeError, ValueError: unfit labels, or none where the category term needs them.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    layers = [m for m in model.modules() if isinstance(m, InterpretableLayer)]
    return sum((layer.losses(labels) for layer in layers), torch.zeros(()))


def assign_categories(activations: Tensor, labels: Tensor, n_categories: int) -> Tensor:
    """The category of each filter: the one whose images activate it most on average.

    Paper, section 3 (end of "Learning"). Taught in lesson 4.

    Args:
        activations: maps (N, C, n, n) before the mask, floating.
        labels: (N,) integer categories from 0 to n_categories − 1.
        n_categories: how many categories there are.

    Returns:
        (C,) int64; the lowest index at a tie. A category without images is never chosen.

    Raises:
        TypeError: wrong dtypes, or `n_categories` not an int.
        ValueError: wrong shapes, empty, NaN or infinite values, or a label out of range.
    """
    check_maps(activations, "activations")
    check_finite(activations, "activations")
    check_size(n_categories, "n_categories")
    check_labels(labels, len(activations))
    if int(labels.max()) >= n_categories:
        raise ValueError(
            f"labels must be below n_categories = {n_categories}, got {int(labels.max())}"
        )
    sums, counts = _category_sums(activations, labels, n_categories)
    return (sums / counts).masked_fill(counts == 0, -torch.inf).argmax(1)


def _category_sums(x: Tensor, labels: Tensor, n_categories: int) -> tuple[Tensor, Tensor]:
    """Each filter's mean activations, added up by category (C, K), and the images of each (K,)."""
    activation = x.flatten(-2).mean(-1, dtype=torch.promote_types(x.dtype, torch.float32))
    one_hot = nn.functional.one_hot(labels.long(), n_categories).to(activation.dtype)
    return activation.T @ one_hot, one_hot.sum(0)
