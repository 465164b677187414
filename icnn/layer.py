"""The interpretable layer: a mask in the forward pass, a loss beside it, and no new parameter.

Taught in lesson 4.
"""

import torch
from torch import Tensor, nn

from icnn._check_args import BOOL, MODULE, Array, check_same_device, checked
from icnn._device import exact_products, kernels
from icnn._distributed import all_reduce, mean, processes
from icnn.loss import category_loss, filter_loss
from icnn.templates import masked

MOMENTUM = 0.1  # of the running means, as in batch normalisation
SCALE_FLOOR = 0.1  # a filter that hardly fires is measured against a tenth of the layer's mean peak
CATEGORIES = 1000  # that a layer can tell apart if it is not told how many there are

MAPS, SOME_LABELS = Array("N C n n", values=None), Array("N", "integer", values=None)
LABELS = Array("N", "integer", below="n_categories")


@checked(mask=BOOL)
class InterpretableLayer(nn.Module):
    """Put it behind the ReLU of a high conv layer to make each filter a detector of one part.

    Forward, (N, C, n, n) after ReLU, floating → the same: each map times the mask around its own
    peak. In training it keeps the maps before the mask for `filter_losses`, until the next forward
    in any mode. Paper, section 3. Taught in lesson 4.

    Running means, not learned: each filter's peak moves once in each forward in training mode, also
    without gradients (as in batch normalisation), its mean activation on each category once with
    the labels of such a forward. What activation checkpointing repeats in the backward pass counts
    once. Half precision is summed up in float32.

    Args:
        channels, size: number of filters C, and side n of the square maps, in units.
        beta: how fast templates and mask decay with distance from the peak; no unit.
        mask: whether the forward pass masks; False leaves the maps as they are.
        weight: of the filter loss (λ); 0 means the mask alone.
        sharpness: of the fitness (κ), see `filter_loss`.
        category_weight: of the category term, which needs labels; 0 means none.
        n_categories: how many there are at most, K: labels are below it.
        memory: how many images of earlier batches, with the maps of their time, take part in Z_T
            and p(x) without a gradient of their own: for batches too small for a statistic, and for
            gradient accumulation, where it is the images of the other batches of one step. Paper,
            footnote 2, has a running Z_T.
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
        n_categories: int = CATEGORIES,
        memory: int = 0,
    ) -> None:
        super().__init__()
        self.channels, self.size, self.beta, self.mask = channels, size, beta, mask
        self.weight, self.sharpness, self.category_weight = weight, sharpness, category_weight
        self.n_categories, self.memory = n_categories, memory
        self.register_buffer("peak", torch.zeros(channels))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))
        self.register_buffer("category_means", torch.zeros(channels, n_categories))
        self._maps: Tensor | None = None  # of the last forward, if that was in training mode
        self._differentiable = False  # whether that forward ran with gradients
        self._labelled = False  # whether its labels have moved the category means
        self._earlier: Tensor | None = None  # the images of the forwards before

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(x, torch.fx.Proxy):  # for torch.fx it is one step, as a layer of torch.nn is
            return x.tracer.create_proxy("call_module", x.tracer.path_of_module(self), (x,), {})
        MAPS(x, "x", {"C": self.channels, "n": self.size})
        check_same_device(x, "x", self.peak, "the layer")
        if self.mask:
            result, peak = self._masked(x)
        else:  # what follows may work in place
            result, peak = x.clone() if self.training else x, x.detach().amax((-2, -1))
        if not _repeats():
            if self.training:
                self._update_peak(peak)
            self._keep(x)
        return result

    def _masked(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Masked maps, and how high each map peaks (N, C); lesson 8 tries other masks."""
        return masked(x, beta=self.beta)

    def extra_repr(self) -> str:
        """What printing a model says of the layer."""
        names = "channels size beta mask weight sharpness category_weight n_categories memory"
        return ", ".join(f"{name}={getattr(self, name)}" for name in names.split())

    @property
    def scale(self) -> Tensor:
        """(C,) float32 at least: each filter's running mean peak, floored where it hardly fires."""
        peak = self.peak.to(_at_least_float32(self.peak))
        floor = SCALE_FLOOR * peak.mean()
        return peak.clamp_min(floor.clamp_min(torch.finfo(torch.float32).tiny))

    @property
    def target_category(self) -> Tensor:
        """(C,) int64: the category that activates each filter most, by the running means.

        −1 for a filter that no image with a label has activated yet in training.
        """
        means = self.category_means
        return means.argmax(1).masked_fill((means == 0).all(1), -1)

    @property
    def _needs_labels(self) -> bool:
        return self.category_weight > 0

    def losses(self, labels: Tensor | None = None) -> Tensor:
        """The layer's weighted losses, a scalar, from its last forward, which was in training mode.

        It has a gradient where the maps have one.

        Args:
            labels: (N,) integer categories of that batch's images, below K; needed by the category
                term, and without them the target categories are not followed.

        Raises:
            RuntimeError: the last forward was not in training mode, or ran without gradients while
                they are wanted now.
            TypeError, ValueError: unfit labels (on a GPU their values are checked there), or none
                where they are needed.
        """
        x = self._maps
        if x is None:
            what = "a forward pass in training mode, and no other one since"
            raise RuntimeError(f"filter losses need {what}")
        in_vain = torch.is_grad_enabled() and not self._differentiable
        if in_vain and (self.weight or self.category_weight):
            raise RuntimeError(
                "the filter loss would have no gradient: the forward pass ran without gradients, "
                "as under checkpoint(..., use_reentrant=True). Take use_reentrant=False, or call "
                "this under torch.no_grad(), too"
            )
        if labels is not None:
            self._follow(x.detach(), labels)
        elif self._needs_labels:
            raise ValueError("labels must be given: they choose the categories, got None")
        return self._loss(x, labels)

    def _loss(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """The weighted losses of maps x; the experiments try other ones."""
        options = {"sharpness": self.sharpness, "scale": self.scale, "beta": self.beta}
        terms = []
        if self.weight:
            terms.append(self.weight * self._filter_loss(x, options))
        if self.category_weight:
            is_target = labels[:, None] == self.target_category
            terms.append(self.category_weight * category_loss(x, is_target, **options))
        return _total(terms, x)

    def _filter_loss(self, x: Tensor, options: dict) -> Tensor:
        """The filter loss of a batch among the images that are remembered."""
        if self._earlier is None:
            return filter_loss(x, **options)
        loss = filter_loss(torch.cat([x, self._earlier.to(x.dtype)]), **options)
        share = len(x) / (len(x) + len(self._earlier))
        return loss.detach() + (loss - loss.detach()) / share  # as if all had their gradient

    def _keep(self, x: Tensor) -> None:
        """Maps for `losses`, if in training; those kept before go into the memory."""
        if torch.compiler.is_exporting():
            return
        if self.memory and self._maps is not None:
            last = self._maps.detach()
            known = last if self._earlier is None else torch.cat([last, self._earlier])
            self._earlier = known[: self.memory]
        self._maps = x if self.training else None
        self._differentiable, self._labelled = torch.is_grad_enabled(), False

    @torch.no_grad()
    def _update_peak(self, peaks: Tensor) -> None:
        dtype = _at_least_float32(self.peak)
        momentum = (1 - self.batches).to(dtype).clamp_min(MOMENTUM)  # all of it at first
        self.peak.copy_(self.peak.to(dtype).lerp(mean(peaks.to(dtype)), momentum))
        self.batches.add_(1)

    def _follow(self, x: Tensor, labels: Tensor) -> None:
        """Let labels move the category means, once for each batch."""
        known = {"N": len(x), "n_categories": self.n_categories}
        SOME_LABELS(labels, "labels", known)
        check_same_device(labels, "labels", x, "the batch")
        if labels.device.type == "cpu" and not torch.compiler.is_compiling():
            LABELS(labels, "labels", known)  # elsewhere reading them is slow
        if not self._labelled:
            self._update_category_means(x, labels)
            self._labelled = True

    @torch.no_grad()
    def _update_category_means(self, x: Tensor, labels: Tensor) -> None:
        known = self.category_means
        if (found := kernels(x)) and known.dtype == torch.float32 and processes() == 1:
            return found.follow_(known, x.mean((-2, -1), dtype=known.dtype), labels, MOMENTUM)
        sums, counts = map(all_reduce, _category_sums(x, labels, self.n_categories))
        means, old = sums / counts.clamp_min(1), known.to(sums.dtype)
        new = torch.where(old == 0, means, old.lerp(means, MOMENTUM))  # 0: not seen yet
        known.copy_(torch.where(counts > 0, new, old))

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        """The means of fewer categories fit, too."""
        saved = state_dict.get(name := prefix + "category_means")
        if saved is not None and saved.ndim == 2 and saved.shape[1] < self.n_categories:
            missing = self.n_categories - saved.shape[1]
            state_dict[name] = nn.functional.pad(saved, (0, missing))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __getstate__(self) -> dict:
        """Copies and pickles leave the last batch behind: it belongs to a graph."""
        return {**super().__getstate__(), "_maps": None, "_earlier": None}


@checked(model=MODULE)
def filter_losses(model: nn.Module, labels: Tensor | None = None) -> Tensor:
    """Weighted sum of the filter losses of all interpretable layers in a model; add it to yours.

    A scalar with gradient. Each layer contributes weight · `filter_loss` + category_weight ·
    `category_loss`, computed from its last forward; without such layers it is 0. (Of the copies
    that `torch.nn.DataParallel` makes for a forward none is left: use DistributedDataParallel.)
    Paper, section 3.1. Taught in lesson 4.

    Args:
        model: any module.
        labels: (N,) integer categories of that batch's images; needed where a layer has a
            category term.

    Raises:
        RuntimeError: the last forward was not in training mode, or without gradients.
        TypeError, ValueError: unfit labels, or none where the category term needs them.
    """
    layers = [m for m in model.modules() if isinstance(m, InterpretableLayer)]
    return _total([layer.losses(labels) for layer in layers], torch.zeros(0, device="cpu"))


@checked(activations=Array("N C n n"), labels=LABELS)
def assign_categories(activations: Tensor, labels: Tensor, n_categories: int) -> Tensor:
    """The category of each filter, whose images activate it most on average: (C,) int64.

    Of maps (N, C, n, n) before the mask, floating, with labels (N,), integer, below n_categories.
    The lowest index at a tie; a category without images is never chosen. Paper, section 3 (end of
    "Learning"). Taught in lesson 4.
    """
    sums, counts = _category_sums(activations, labels, n_categories)
    return (sums / counts).masked_fill(counts == 0, -torch.inf).argmax(1)


def _category_sums(x: Tensor, labels: Tensor, n_categories: int) -> tuple[Tensor, Tensor]:
    """Each filter's mean activations, added up by category (C, K), and the images of each (K,)."""
    activation = x.mean((-2, -1), dtype=_at_least_float32(x))
    one_hot = nn.functional.one_hot(labels.long(), n_categories).to(activation.dtype)
    with exact_products(x):
        return activation.T @ one_hot, one_hot.sum(0)


def _total(terms: list[Tensor], like: Tensor) -> Tensor:
    """The sum of some scalars; on a card each addition takes its time, one to 0, too."""
    return sum(terms[1:], terms[0]) if terms else like.new_zeros((), dtype=_at_least_float32(like))


def _at_least_float32(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _repeats() -> bool:
    """Whether activation checkpointing repeats a forward, which it does inside the backward."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1
