"""Four ways to choose a filter's category, as layers that remember it. Taught in lesson 10."""

import torch
from torch import Tensor, nn

from icnn._check_args import SIZE, Array, checked
from icnn.layer import InterpretableLayer
from icnn.loss import soft_category_loss


class MeanActivationLayer(InterpretableLayer):
    """The paper's choice, the highest mean activation; remembers what was chosen at each step."""

    def __init__(self, channels: int, size: int, **options) -> None:
        super().__init__(channels, size, **options)
        self.trace: list[Tensor] = []

    def _update_category_means(self, x: Tensor, labels: Tensor) -> None:
        super()._update_category_means(x, labels)
        self.trace.append(self.target_category.clone())


class FixedLayer(MeanActivationLayer):
    """No choice: filter f belongs to category f mod K."""

    @property
    def target_category(self) -> Tensor:
        return torch.arange(self.channels) % self.n_categories


class InformationLayer(MeanActivationLayer):
    """The category that a filter's activity tells most about, over the last ten batches."""

    RECENT = 10

    def __init__(self, channels: int, size: int, **options) -> None:
        super().__init__(channels, size, **options)
        self.seen: list[tuple[Tensor, Tensor]] = []

    def _update_category_means(self, x: Tensor, labels: Tensor) -> None:
        self.seen = [*self.seen, (x.mean((2, 3)), labels)][-self.RECENT :]
        super()._update_category_means(x, labels)

    @property
    def target_category(self) -> Tensor:
        if not self.seen:
            return super().target_category
        activation, labels = (torch.cat(parts) for parts in zip(*self.seen, strict=True))
        return label_information(activation, labels, self.n_categories).argmax(1)


class LearnedLayer(MeanActivationLayer):
    """A preference of each filter for each category, learned with everything else."""

    GAIN = 50.0  # a preference moves by the learning rate a step: this lets it decide in time
    _needs_labels = True

    def __init__(
        self, channels: int, size: int, *, n_categories: int = 5, category_weight: float
    ) -> None:
        super().__init__(channels, size, n_categories=n_categories)
        self.soft_weight = category_weight
        self.preference = nn.Parameter(1e-3 * torch.randn(channels, n_categories))

    @property
    def target_category(self) -> Tensor:
        return self.preference.detach().argmax(1)

    def _loss(self, x: Tensor, labels: Tensor) -> Tensor:
        belongs = (self.GAIN * self.preference).softmax(1).T[labels]
        options = {"sharpness": self.sharpness, "scale": self.scale}
        soft = soft_category_loss(x, belongs, **options)
        return super()._loss(x, labels) + self.soft_weight * soft


@checked(
    activation=Array("N C"), n_categories=SIZE, labels=Array("N", "integer", below="n_categories")
)
def label_information(activation: Tensor, labels: Tensor, n_categories: int) -> Tensor:
    """Mutual information of "the filter is active" with "the image is of category k", in nats.

    Active means above the filter's median. Categories on which it is active less often than
    elsewhere count as −1. Activation (N, C) floating and labels (N,) integer → (C, K).
    """
    active = (activation > activation.median(0).values).double().T
    member = nn.functional.one_hot(labels.long(), n_categories).double()
    active, member = torch.stack([active, 1 - active]), torch.stack([member, 1 - member])
    both = torch.einsum("acn,bnk->abck", active, member) / len(labels)
    apart = torch.einsum("ac,bk->abck", active.mean(2), member.mean(1))  # if neither told the other
    total = torch.special.xlogy(both, both / apart.clamp_min(1e-12)).sum((0, 1))
    return total.masked_fill(both[0, 0] <= apart[0, 0], -1)


def settling(trace: list[Tensor]) -> tuple[float, float]:
    """The share of filters that ended with the category they had after three tenths of the steps.

    From there on the losses are in full. And the mean number of changes after that.
    """
    chosen = torch.stack(trace)[len(trace) * 3 // 10 :]
    changes = (chosen[1:] != chosen[:-1]).sum(0).double()
    return (chosen[0] == chosen[-1]).double().mean().item(), changes.mean().item()
