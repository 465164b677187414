"""The benchmark on photographs: heads on frozen features."""

from __future__ import annotations

import copy

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


def measured(head, data: FeatureDataset) -> dict[str, float]:
    maps = icnn.predict(head.features, data.floats())
    return photos.measure_places(maps, data, SIZE)[0]


@pytest.mark.parametrize("categories", [1, 2])
def test_an_interpretable_head_finds_the_part(categories) -> None:
    train, test = features(categories=categories), features(categories=categories, seed=1)
    head = photos.train_head(train, test, "interpretable", seed=0)
    row = measured(head, test)
    assert tuple(row) == photos.MEASURES
    assert icnn.accuracy(head, test) > 0.9 and row["best ten"] > 0.8
    assert row["instability"] < row["centre"] and row["best"] <= row["centre"]
    again = photos.train_head(train, test, "interpretable", seed=0)
    assert measured(again, test) == row


@pytest.mark.parametrize("width", [None, 4])
def test_end_to_end_the_backbone_learns_too_and_more_slowly(width) -> None:
    images = torch.randint(0, 99, (40, 3, 16, 16)).byte()
    labels = torch.arange(40) % 2
    images[labels == 1, 0] += 150
    nothing = torch.full((40, 1, 2), torch.nan), torch.zeros(40, 1, 1).byte()
    data = icnn.data.PartDataset(images, labels, *nothing, ("grey", "red"), ("part",))
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU())
    options = {"cut": "0", "image_size": 16, "width": width}
    model = icnn.make_interpretable(network, 2, **options)
    before = copy.deepcopy(model)
    wrapped = photos.HalfPrecision(model.backbone)
    maps = wrapped(data.floats())
    assert maps.dtype == torch.float32 and maps.allclose(model.backbone(data.floats()), atol=0.05)
    model.backbone = wrapped
    photos.train_end_to_end(model, data, data, seed=0)
    steps = {}
    for name in ("backbone", "head"):
        old, new = (m.get_submodule(name).parameters() for m in (before, model))
        steps[name] = max((b - a).abs().max().item() for a, b in zip(old, new, strict=True))
    assert 0 < steps["backbone"] < 0.5 * steps["head"]


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
    row, peaks = photos.measure_places(data.floats()[:, :2], data, SIZE)
    assert row["live"] == 2
    assert row["tracking"] == pytest.approx(1, abs=1e-5)
    assert row["instability"] == pytest.approx(0, abs=1e-6)
    assert row["consistency"] == row["in box"] == 1 > row["best in box"] >= row["centre in box"]
    centre = icnn.constant_control(data.landmarks[data.labels == 0], SIZE).centre
    other = icnn.constant_control(data.landmarks[data.labels == 1], SIZE).centre
    assert row["centre"] == pytest.approx((centre + other) / 2)
    drawn = photos.resampled(peaks, SIZE, samples=5, seed=0)
    assert drawn.allclose(torch.tensor([1.0, 0.0]).expand(5, 2), atol=1e-5)


def test_rivals_are_units_far_from_the_peak_and_nearly_as_strong() -> None:
    data = features(60, 1)
    maps = torch.zeros(60, 3, 8, 8)
    maps[:, :, 2, 2] = 1
    maps[:, 1, 6, 6] = 0.95  # a rival
    maps[:, 2, 6, 6], maps[:, 2, 2, 3] = 0.5, 0.95  # too weak, too near
    row, _ = photos.measure_places(maps, data, SIZE)
    assert row["rivals"] == pytest.approx(1 / 3)
    assert row["mass inside"] == pytest.approx((1 + 1 / 1.95 + 1.95 / 2.45) / 3, abs=1e-4)


@pytest.mark.parametrize("name", photos.BASELINES)
def test_an_unsupervised_part_is_found_where_the_features_show_it(name) -> None:
    train, test = features(90, 1), features(90, 1, seed=1)
    own = train.subset(train.labels == 0).floats()
    maps = photos.unsupervised_maps(name, own, test.floats(), seed=0)
    assert maps.shape[2:] == (8, 8) and maps.isfinite().all()
    again = photos.unsupervised_maps(name, own, test.floats(), seed=0)
    assert torch.equal(maps, again)
    points, scores = photos.to_pixels(maps, SIZE)
    tracking = icnn.part_tracking(points, scores, test.landmarks)
    assert tracking.max() > 0.9  # at least one of the parts is the bump


def test_splits_share_no_picture_and_differ_by_seed() -> None:
    parts = photos.random_split(100, (0.6, 0.1), 0)
    assert [len(parts[p]) for p in ("train", "validation", "test", "all")] == [60, 10, 30, 100]
    together = torch.cat([parts[p] for p in ("train", "validation", "test")])
    assert together.sort().values.equal(torch.arange(100))
    assert not parts["test"].equal(photos.random_split(100, (0.6, 0.1), 1)["test"])


def test_scrambled_images_keep_their_tiles_and_lose_their_places() -> None:
    images = torch.arange(2 * 3 * 16 * 16).reshape(2, 3, 16, 16)
    mixed = photos.scrambled(images)
    assert not mixed.equal(images) and mixed.flatten().sort().values.equal(images.flatten())
    tiles = {
        tuple(t) for t in images[0, 0].unfold(0, 4, 4).unfold(1, 4, 4).reshape(16, 16).tolist()
    }
    assert tiles == {
        tuple(t) for t in mixed[0, 0].unfold(0, 4, 4).unfold(1, 4, 4).reshape(16, 16).tolist()
    }


@pytest.mark.parametrize("trackings, wanted", [((0.1, 0.4), 1), ((0.4, 0.1), 0)])
def test_the_validation_pictures_choose_among_settings_that_cost_no_accuracy(trackings, wanted):
    def row(variant: str, accuracy: float, tracking: float) -> dict[str, str]:
        watched = {"validation accuracy": str(accuracy), "validation tracking": str(tracking)}
        return {"protocol": "single", "variant": variant, "seed": "0", **watched}

    both = [row(v, 0.98, t) for v, t in zip(photos.LAMBDAS, trackings, strict=True)]
    table = [row("plain", 0.98, -1), *both]
    assert photos.chosen(table, "single", "0") == photos.LAMBDAS[wanted]
    table[2]["validation accuracy"] = "0.9"
    assert photos.chosen(table, "single", "0") == photos.LAMBDAS[0]


def test_combining_groups_makes_one_category_of_each() -> None:
    first, second = features(30), features(20, seed=3)
    both = photos.combine([first, second], ["cat", "dog"])
    assert both.categories == ("cat", "dog") and both.labels.bincount().tolist() == [30, 20]
    assert (both.images[30:] == second.images).all()


def test_a_taught_detector_tracks_what_the_features_show() -> None:
    train, test = features(categories=1), features(categories=1, seed=1)
    blind = test._with(images=torch.rand(test.images.shape).half())
    for layers in (1, 2):
        assert photos.supervised_tracking(train, test, 0, SIZE, seed=0, layers=layers) > 0.9
        assert photos.supervised_tracking(train, blind, 0, SIZE, seed=0, layers=layers) < 0.2
