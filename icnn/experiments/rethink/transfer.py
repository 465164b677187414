"""A new category from few examples, on frozen features. Taught in lesson 10."""

from collections.abc import Callable

import torch
from torch import Tensor

import icnn
from icnn._check_args import Array, checked
from icnn.network import SmallCNN

PENALTIES = (1e-2, 1e-1, 1.0, 10.0, 100.0)
SHOTS, DRAWS = (1, 2, 5, 10, 20), 20
READOUTS: dict[str, Callable[[SmallCNN, Tensor], Tensor]] = {
    "head": lambda model, maps: model.head.layer(maps).mean((2, 3)),
    "masked": lambda _, maps: (maps * icnn.part_mask(maps)).mean((2, 3)),
    "max": lambda _, maps: maps.amax((2, 3)),
}


@torch.no_grad()
def pooled(model: SmallCNN, images: Tensor, readout: str = "head") -> Tensor:
    """Features (N, C), float64: what the head sees of each image, or another one of `READOUTS`."""
    return READOUTS[readout](model, icnn.predict(model.maps, images)).double()


def ridge(features: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """Weights (C,) of a linear score that fits targets ±1; the mean is taken out before."""
    centred = features - features.mean(0)
    gram = centred @ centred.T + penalty * len(features) * torch.eye(len(features)).double()
    return centred.T @ torch.linalg.solve(gram, targets - targets.mean())


@checked(positive=Array("N"), negative=Array("M"))
def auroc(positive: Tensor, negative: Tensor) -> float:
    """The probability that a positive (N,) scores higher than a negative (M,); ties count half."""
    signs = torch.sign(positive[:, None] - negative).double()
    return ((signs.sum() + signs.numel()) / 2 / signs.numel()).item()


def few_shots(
    familiar: Tensor, labels: Tensor, new: Tensor, shots: int
) -> Callable[[Tensor, Tensor, float], float]:
    """Learn "is it the new category?" from few examples, many times; returns how to score it.

    From features (N, C) of familiar images with their labels (N,), and (M, C) of new ones, `DRAWS`
    sets with so many examples of the new category and of each known one. score(other, fresh,
    penalty) is then the mean AUROC of fresh images (new category) against other ones.
    """
    generator = torch.Generator().manual_seed(shots)
    sets = []
    for _ in range(DRAWS):
        order = torch.randperm(len(familiar), generator=generator)
        old = [order[labels[order] == c][:shots] for c in labels.unique()]
        chosen = torch.randperm(len(new), generator=generator)[:shots]
        examples = torch.cat([familiar[torch.cat(old)], new[chosen]])
        targets = torch.where(torch.arange(len(examples)) < len(examples) - shots, -1.0, 1.0)
        sets.append((examples, targets.double()))

    def score(other: Tensor, fresh: Tensor, penalty: float) -> float:
        weights = torch.stack([ridge(*one, penalty) for one in sets], 1)
        pairs = zip((fresh @ weights).T, (other @ weights).T, strict=True)
        return sum(auroc(*pair) for pair in pairs) / DRAWS

    return score


def transfer(model: SmallCNN, readout: str = "head") -> dict[int, tuple[float, float]]:
    """For each number of examples: AUROC of dino against the five on test images, and the penalty.

    The penalty is chosen on validation images and 100 dinos that are not examples; another 200
    dinos are for the test.
    """
    data = [icnn.data.creatures(n) for n in ("train", "validation", "test", "held_out")]
    train, validation, test, dino = (pooled(model, one.floats(), readout) for one in data)
    spread = train.std(0).clamp_min(1e-9)
    train, validation, test, dino = (f / spread for f in (train, validation, test, dino))
    result = {}
    for shots in SHOTS:
        score = few_shots(train, data[0].labels, dino[:100], shots)
        reached = {p: score(validation, dino[100:200], p) for p in PENALTIES}
        best = max(reached, key=reached.get)
        result[shots] = score(test, dino[200:], best), best
    return result
