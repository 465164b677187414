"""Does it know what it does not know? Scores, low for strange pictures. Taught in lesson 10."""

from itertools import combinations

import torch
from torch import Tensor, nn

import icnn
from icnn._check_args import checked, one_of
from icnn.data import PartDataset
from icnn.experiments.rethink.redundancy import peak_points
from icnn.network import SIDE, SmallCNN
from icnn.templates import part_templates

SHIFTS = ("held-out", "scrambled", "empty", "noise", "shuffled pixels")
NEAREST = 8  # filters that speak loudest for a category take part in its arrangement


@checked(shift=one_of(SHIFTS))
def unfamiliar(shift: str) -> Tensor:
    """400 pictures (400, 3, 64, 64) in [0, 1] of a kind that was never trained."""
    generator = torch.Generator().manual_seed(0)
    if shift == "noise":
        return torch.rand(400, 3, 64, 64, generator=generator)
    if shift == "shuffled pixels":
        images = icnn.data.creatures("validation").floats(slice(0, 400)).flatten(2)
        orders = [torch.randperm(64 * 64, generator=generator) for _ in images]
        mixed = [image[:, order] for image, order in zip(images, orders, strict=True)]
        return torch.stack(mixed).unflatten(2, (64, 64))
    return icnn.data.creatures(shift.replace("-", "_")).floats()


class Familiarity:
    """Scores that are high for pictures like the training ones, fitted to training pictures.

    "max softmax" and "energy" read the scores alone. "template": by how much the best positive
    template beats the negative one, mean over the filters of the predicted category (it can never
    lose: no unit of T_μ is below T⁻). "pattern": how many filters must change between on and off
    to give a pattern seen in training. "arrangement": how usual the distances are between the peaks
    of the filters that speak loudest for the predicted category (Mahalanobis distance).

    Two that out-of-distribution detection compares with read the features before the classifier:
    "neighbour", the cosine to the nearest training picture (Sun et al., ICML 2022, with k = 1), and
    "Mahalanobis", minus the distance to the nearest category's mean, with one covariance for all
    (Lee et al., NeurIPS 2018).
    """

    def __init__(self, model: SmallCNN, train: PartDataset) -> None:
        self.model = model
        maps = icnn.predict(model.maps, train.floats())
        points, peaks = peak_points(model, maps)
        self.scale = peaks.mean(0).clamp_min(1e-6)
        self.category = icnn.assign_categories(maps, train.labels, len(train.categories))
        self.middle = peaks.median(0).values
        self.patterns = (peaks > self.middle).float()
        features = self._features(maps)
        self.neighbours = nn.functional.normalize(features)
        own = [features[train.labels == k] for k in range(len(train.categories))]
        self.means = torch.stack([one.mean(0) for one in own])
        off = (features - self.means[train.labels]) / (spread := features.std(0) + 1e-9)
        self.whiten = torch.linalg.cholesky(_gaussian(off, 1e-3)[1]) / spread[:, None]
        weight = model.head.classifier.weight.detach() * maps.mean((0, 2, 3))
        self.loudest = weight.topk(min(NEAREST, len(self.scale)), 1).indices  # (K, 8)
        own = ((train.labels == k, filters) for k, filters in enumerate(self.loudest))
        self.shapes = [_gaussian(_distances(points[which][:, filters])) for which, filters in own]

    @torch.no_grad()
    def _features(self, maps: Tensor) -> Tensor:
        return self.model.head.layer(maps).mean((2, 3)).double()

    @torch.no_grad()
    def scores(self, images: Tensor) -> dict[str, Tensor]:
        """Each score (N,) of images (N, 3, H, W) in [0, 1]."""
        maps, head = icnn.predict(self.model.maps, images), self.model.head
        logits = head.classifier(head.layer(maps))
        predicted = logits.argmax(1)
        points, peaks = peak_points(self.model, maps)
        features = self._features(maps)
        near = nn.functional.normalize(features) @ self.neighbours.T
        cone = part_templates(SIDE, tau=1.0)[:-1].flatten(1) + 1
        margin = ((maps / self.scale[:, None, None]).flatten(2) @ cone.T).amax(2)
        own = (self.category == predicted[:, None]).float()
        on = (peaks > self.middle).float()
        apart = on @ (1 - self.patterns).T + (1 - on) @ self.patterns.T
        arrangement = torch.empty(len(images))
        for k, (filters, (mean, inverse)) in enumerate(zip(self.loudest, self.shapes, strict=True)):
            off = _distances(points[predicted == k][:, filters]) - mean
            arrangement[predicted == k] = -((off @ inverse) * off).sum(1).float()
        return {
            "max softmax": logits.softmax(1).amax(1),
            "energy": logits.logsumexp(1),
            "template": (margin * own).sum(1) / own.sum(1).clamp_min(1),
            "pattern": -apart.amin(1),
            "arrangement": arrangement,
            "neighbour": near.amax(1),
            "Mahalanobis": -torch.cdist(features @ self.whiten, self.means @ self.whiten).amin(1),
        }


def _distances(points: Tensor) -> Tensor:
    """Distances between all pairs of (N, m, 2) points: (N, m(m−1)/2), float64."""
    pairs = torch.tensor(list(combinations(range(points.shape[1]), 2)))
    return (points[:, pairs[:, 0]] - points[:, pairs[:, 1]]).double().norm(dim=-1)


def _gaussian(values: Tensor, more: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean and inverse covariance of (N, d), with a little more in the variances."""
    covariance = torch.cov(values.T) + more * torch.eye(values.shape[1]).double()
    return values.mean(0), torch.linalg.inv(covariance)
