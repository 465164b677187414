"""The benchmark on photographs: heads on frozen features."""

from __future__ import annotations

import pytest
import torch

import icnn
from icnn.experiments import photos
from icnn.features import FeatureDataset

SIZE = 64


def features(count: int = 240, categories: int = 2, seed: int = 0) -> FeatureDataset:
    """Maps with a bump where a category's part is; the last category has neither."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % (categories + 1)
    places = torch.randint(1, 7, (count, 2), generator=generator)
    maps = torch.rand(count, 4, 8, 8, generator=generator) * 0.2
    for image, (row, col) in enumerate(places):
        if labels[image] < categories:
            maps[image, labels[image], row, col] += 3
    landmarks = ((places + 0.5) * SIZE / 8).float()[:, None].clone()
    landmarks[labels == categories] = torch.nan
    names = (*"abc"[:categories], "none of them")
    return FeatureDataset(
        maps.half(), labels, landmarks, torch.zeros(count, 1, 1).byte(), names, ("part",)
    )


@pytest.mark.parametrize("categories", [1, 2])
def test_an_interpretable_head_finds_the_part(categories) -> None:
    train, test = features(categories=categories), features(categories=categories, seed=1)
    head = photos.train_head(train, test, "interpretable", seed=0)
    row = photos.measure_places(head, test, SIZE)
    assert tuple(row) == photos.MEASURES
    assert icnn.accuracy(head, test) > 0.9 and row["best ten"] > 0.8
    assert row["instability"] < row["centre"] and row["best"] <= row["centre"]
    again = photos.train_head(train, test, "interpretable", seed=0)
    assert photos.measure_places(again, test, SIZE) == row


def test_the_variants_differ_in_their_layer_only() -> None:
    data = features(60)
    heads = {name: photos.train_head(data, data, name, seed=0) for name in photos.VARIANTS}
    layers = {name: head.layer for name, head in heads.items()}
    assert isinstance(layers["plain"], torch.nn.Identity)
    assert layers["mask only"].mask and not layers["mask only"].weight
    assert layers["loss only"].weight and not layers["loss only"].mask
    assert layers["interpretable"].mask and layers["interpretable"].weight
    with pytest.raises(ValueError, match="variant"):
        photos.train_head(data, data, "fancy", seed=0)


def test_each_filter_is_measured_on_its_own_category() -> None:
    """Two perfect detectors, each of one category's part, that fire at random in the other's."""
    data = features(300)

    class Perfect(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = torch.nn.Identity()

        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            raise AssertionError("places need no scores")

    data = data._with(images=data.images[:, :2])
    row = photos.measure_places(Perfect(), data, SIZE)
    assert row["live"] == 2
    assert row["tracking"] == pytest.approx(1, abs=1e-5)
    assert row["instability"] == pytest.approx(0, abs=1e-6)
    centre = icnn.constant_control(data.landmarks[data.labels == 0], SIZE).centre
    other = icnn.constant_control(data.landmarks[data.labels == 1], SIZE).centre
    assert row["centre"] == pytest.approx((centre + other) / 2)


def test_combining_groups_makes_one_category_of_each() -> None:
    first, second = features(30), features(20, seed=3)
    both = photos.combine([first, second], ["cat", "dog"])
    assert both.categories == ("cat", "dog") and both.labels.bincount().tolist() == [30, 20]
    assert (both.images[30:] == second.images).all()


def test_a_taught_detector_tracks_what_the_features_show() -> None:
    train, test = features(categories=1), features(categories=1, seed=1)
    assert photos.supervised_tracking(train, test, 0, SIZE, seed=0) > 0.9
    blind = test._with(images=torch.rand(test.images.shape).half())
    assert photos.supervised_tracking(train, blind, 0, SIZE, seed=0) < 0.2
