"""The small network of the lessons, plain and interpretable from one definition.

Taught in lessons 4 and 5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from icnn._check_args import check_seed, check_size
from icnn.layer import InterpretableLayer

CHANNELS, SIZE = 48, 16  # of the maps of the last conv layer, for 64×64 images
HEAD_GAIN = 8.0  # a masked map has a small mean; this makes up for it (named in lesson 8)

VARIANTS: dict[str, dict | None] = {
    "plain": None,
    "mask only": {"weight": 0.0},
    "interpretable": {},
    "category term": {"category_weight": 0.01},
}


class SmallCNN(nn.Module):
    """Five conv layers, 64×64×3 → 48×16×16, a layer in the middle, a linear head on the means.

    `features` gives the maps before the layer, `layer` is an `InterpretableLayer` or the identity,
    `head` averages each map and adds up evidence: a category's score is a weighted sum over the
    filters. Taught in lesson 5.

    Args:
        n_categories: number of scores.
        layer: what stands between the last conv layer and the head.
    """

    def __init__(self, n_categories: int, layer: nn.Module) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *conv_block(3, 16, 5, stride=2),
            *conv_block(16, 32, 3, stride=2),
            *conv_block(32, CHANNELS, 3),
            *conv_block(CHANNELS, CHANNELS, 3),
            *conv_block(CHANNELS, CHANNELS, 3),
        )
        self.layer = layer
        self.head = MeanHead(CHANNELS, n_categories)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layer(self.features(images)))


class MeanHead(nn.Module):
    """Mean of each map, times a constant gain, then a linear layer: (N, C, n, n) → (N, K)."""

    def __init__(self, channels: int, n_categories: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, n_categories)

    def forward(self, maps: Tensor) -> Tensor:
        return self.linear(HEAD_GAIN * maps.mean((-2, -1)))


def small_cnn(variant: str = "interpretable", *, n_categories: int = 5, seed: int = 0) -> SmallCNN:
    """The lessons' network in one of four variants that differ in one layer only.

    "plain": no layer; "mask only": the mask without a loss; "interpretable": the paper's two ideas,
    mask and mutual information; "category term": these and our category term. The same seed gives
    the same initial weights in every variant. Taught in lesson 5.

    Raises:
        TypeError: `n_categories` or `seed` is not an int.
        ValueError: an unknown variant, or `n_categories` < 1.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    check_size(n_categories, "n_categories")
    check_seed(seed)
    options = VARIANTS[variant]
    layer = nn.Identity() if options is None else InterpretableLayer(CHANNELS, SIZE, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SmallCNN(n_categories, layer)


def conv_block(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> list[nn.Module]:
    """Convolution, batch normalisation, ReLU; an odd kernel and stride 1 keep the size."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
