"""What a model is: backbone and head; and the small network of the lessons, in four variants.

Taught in lessons 4 and 5.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from icnn._check_args import checked, one_of
from icnn._device import seeded
from icnn.layer import InterpretableLayer

CHANNELS, SIDE = 48, 16  # of the maps of the last conv layer, for 64×64 images

VARIANTS: dict[str, dict | None] = {
    "plain": None,
    "mask only": {"weight": 0.0},
    "interpretable": {},
    "category term": {"category_weight": 0.01},
}


class PartHead(nn.Module):
    """Maps of a backbone → scores (N, K). Paper, section 3. Used from lesson 5 on.

    `features` makes the maps of the last conv layer, after ReLU; `layer` is an
    `InterpretableLayer`, or the identity in a plain network; `classifier` scores masked maps.
    """

    def __init__(self, features: nn.Module, layer: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.features, self.layer, self.classifier = features, layer, classifier

    def forward(self, maps: Tensor) -> Tensor:
        return self.classifier(self.layer(self.features(maps)))


class InterpretableCNN(nn.Module):
    """Every model here: a backbone that gives feature maps, a head that reads them by parts.

    `backbone` makes maps of images (N, 3, H, W), `head` scores (N, K) of these maps. Call the first
    alone to compute features once (`icnn.cached_features`), the second alone to train on them.
    Made by `icnn.small_cnn` and `icnn.make_interpretable`; taught in lessons 5 and 9.
    """

    def __init__(self, backbone: nn.Module, head: PartHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    def maps(self, images: Tensor) -> Tensor:
        """Images → maps (N, C, n, n) of the last conv layer before the mask: what to look at."""
        return self.head.features(self.backbone(images))


class MeanClassifier(nn.Linear):
    """Mean of each map, times a constant gain, then linear: (N, C, n, n) → (N, K).

    It adds up evidence: a category's score is a weighted sum over the filters.
    """

    gain = 8.0  # a masked map has a small mean; this makes up for it (named in lesson 8)

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(self.gain * maps.mean((-2, -1)))


class SmallCNN(InterpretableCNN):
    """The network of lesson 5: five conv layers, 64×64×3 → 48×16×16, and a linear head."""

    def __init__(self, n_categories: int, layer: nn.Module) -> None:
        backbone = nn.Sequential(
            *conv_block(3, 16, 5, stride=2),
            *conv_block(16, 32, 3, stride=2),
            *conv_block(32, CHANNELS, 3),
            *conv_block(CHANNELS, CHANNELS, 3),
            *conv_block(CHANNELS, CHANNELS, 3),
        )
        classifier = MeanClassifier(CHANNELS, n_categories)
        super().__init__(backbone, PartHead(nn.Identity(), layer, classifier))


@checked(variant=one_of(tuple(VARIANTS)))
def small_cnn(variant: str = "interpretable", *, n_categories: int = 5, seed: int = 0) -> SmallCNN:
    """The lessons' network in one of four variants that differ in one layer only.

    "plain": no layer; "mask only": the mask without a loss; "interpretable": the paper's two ideas,
    mask and mutual information; "category term": these and our category term. The same seed gives
    the same initial weights in every variant. Taught in lesson 5.
    """
    options = VARIANTS[variant]
    layer = nn.Identity()
    if options is not None:
        layer = InterpretableLayer(CHANNELS, SIDE, n_categories=n_categories, **options)
    with seeded(seed):
        return SmallCNN(n_categories, layer)


def conv_block(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> list[nn.Module]:
    """Convolution, batch normalisation, ReLU; an odd kernel and stride 1 keep the size."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while; then each part goes back to the mode it was in."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in modes:  # the outer ones first: train() reaches the parts of a part
            part.train(training)
