"""The shipped pictures: what they hold, that they are the right ones, and that they do not leak."""

from __future__ import annotations

import shutil
from functools import cache

import numpy as np
import pytest
import torch

import icnn
from icnn._files import write_checksums
from icnn.course.zoo.anatomy import Creature
from icnn.course.zoo.scene import Pose, draw, draw_scene
from icnn.course.zoo.shapes import Capsule, Ellipse, Triangle, point
from icnn.data.shipped import CATEGORIES, FOLDER, PARTS, SIDE, SPLITS, _read_mosaics

creatures = cache(icnn.data.creatures)  # no test changes them


@pytest.fixture(scope="module")
def test_split() -> icnn.data.PartDataset:
    return creatures("test")


@pytest.fixture(scope="module")
def train_split() -> icnn.data.PartDataset:
    return creatures("train")


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_has_what_the_datasheet_says(split: str) -> None:
    data = creatures(split)
    count, names = SPLITS[split]
    assert len(data) == count
    assert (data.images.shape, data.images.dtype) == ((count, 3, SIDE, SIDE), torch.uint8)
    assert (data.labels.shape, data.labels.dtype) == ((count,), torch.int64)
    assert (data.landmarks.shape, data.landmarks.dtype) == ((count, 7, 2), torch.float32)
    assert data.part_masks().shape == (count, 7, SIDE, SIDE)
    assert data.categories == CATEGORIES[:5] and data.parts == PARTS
    wanted = [data.categories.index(n) if n in data.categories else -1 for n in names]
    each = torch.bincount(data.labels + 1, minlength=6)
    for label in wanted:
        assert each[label + 1] == count // len(wanted)
    image, label = data[3]
    assert image.shape == (3, SIDE, SIDE) and image.min() >= 0 and image.max() <= 1
    assert label == data.labels[3]


@pytest.mark.parametrize("split", SPLITS)
def test_the_generator_draws_the_shipped_files(split: str) -> None:
    count, _ = SPLITS[split]
    images = _read_mosaics(FOLDER, f"{split}-images-{{}}.webp", count)
    part_ids = _read_mosaics(FOLDER, f"{split}-parts-{{}}.png", count)
    landmarks = np.load(FOLDER / f"{split}-landmarks.npy")
    for index in np.linspace(0, count - 1, 12).astype(int):
        image, ids, points = draw(split, int(index))
        difference = image.transpose(1, 2, 0).astype(int) - images[index]
        assert np.abs(difference).max() <= 1
        assert (ids != part_ids[index]).sum() <= 1
        np.testing.assert_allclose(points, landmarks[index], atol=1e-4)


def test_the_noise_is_small_and_always_the_same() -> None:
    stored = _read_mosaics(FOLDER, "empty-images-{}.webp", 400)
    images = creatures("empty").images.permute(0, 2, 3, 1).numpy()
    noise = (images.astype(int) - stored)[(stored > 15) & (stored < 240)]
    assert noise.min() == -15 and noise.max() == 15
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 6.52) < 0.02
    assert noise[:8].tolist() == [0, 5, -12, 5, -3, 1, 0, -1]


def test_no_picture_is_in_two_splits() -> None:
    seen = set()
    for split, (count, _) in SPLITS.items():
        images = creatures(split).images
        keys = {image.numpy().tobytes() for image in images}
        assert len(keys) == count and not keys & seen
        seen |= keys


def test_landmarks_lie_on_their_parts(test_split) -> None:
    masks = test_split.part_masks()
    for k, part in enumerate(PARTS):
        has = test_split.landmarks[:, k, 0].isfinite()
        points = test_split.landmarks[has, k]
        assert (points >= 0).all() and (points < SIDE).all()
        seen = masks[has, k].flatten(1).any(1)
        assert seen.float().mean() > 0.99, part
        assert not masks[~has, k].any(), part
        rows, cols = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
        pixels = torch.stack([rows, cols], -1).flatten(0, 1) + 0.5
        for point_, mask in zip(points[seen][:50], masks[has, k][seen][:50], strict=True):
            gap = (pixels[mask.flatten()] - point_).norm(dim=1).min()
            assert gap < 8, part  # a landmark between two legs or two ears lies beside both


def test_which_creature_has_which_part() -> None:
    rng = np.random.default_rng(0)
    parts = {name: set(Creature(name, rng).landmarks) for name in CATEGORIES}
    assert parts["cat"] == parts["rabbit"] == parts["squirrel"] == parts["elephant"]
    assert parts["cat"] == set(PARTS) - {"wing"}
    assert parts["bird"] == set(PARTS)
    assert parts["dino"] == set(PARTS) - {"ear"}


def _ridge_accuracy(train, test, labels, test_labels, penalty: float) -> float:
    """Test accuracy of a linear classifier (ridge regression on one-hot labels)."""
    mean, std = train.mean(0), train.std(0) + 1e-9
    train, test = ((train - mean) / std).double(), ((test - mean) / std).double()
    goal = torch.nn.functional.one_hot(labels, 5).double() - 0.2
    normal = train.T @ train + penalty * len(train) * torch.eye(train.shape[1]).double()
    weights = torch.linalg.solve(normal, train.T @ goal)
    return ((test @ weights).argmax(1) == test_labels).double().mean().item()


@pytest.mark.parametrize("what", ["mean colour", "pixels"])
def test_no_simple_statistic_gives_the_category_away(what, train_split, test_split) -> None:
    statistics = {
        "mean colour": lambda x: x.mean((2, 3)),
        "pixels": lambda x: torch.nn.functional.avg_pool2d(x, 2).flatten(1),
    }
    train, test = (statistics[what](d.floats()) for d in (train_split, test_split))
    labels = train_split.labels, test_split.labels
    scores = [_ridge_accuracy(train, test, *labels, penalty) for penalty in (0.1, 3.0)]
    assert max(scores) <= 0.30
    assert min(scores) >= 0.15


def test_scrambling_moves_parts_and_nothing_else() -> None:
    whole = draw_scene(np.random.default_rng(5), "cat")
    moved = draw_scene(np.random.default_rng(5), "cat", scrambled=True)
    assert not np.allclose(whole[2], moved[2], equal_nan=True)
    assert (np.isnan(whole[2]) == np.isnan(moved[2])).all()


@pytest.mark.parametrize(
    "shape",
    [
        Ellipse(point(1, 2), 3, 1.5, 0.4),
        Capsule(point(-1, 0), point(2, 1), 1.0, 0.5),
        Triangle(point(0, 0), point(4, 1), point(1, 3), 0.0),
    ],
)
def test_the_distance_of_a_shape_has_slope_one_at_its_edge(shape) -> None:
    (x0, y0), radius = shape.circle()
    axis = np.linspace(-1.5 * radius, 1.5 * radius, 801)
    x, y = np.meshgrid(x0 + axis, y0 + axis)
    d = shape.distance(x, y)
    assert shape.distance(np.array(x0), np.array(y0)) < 0
    assert (d[np.hypot(x - x0, y - y0) > radius * 1.01] > 0).all(), "outside its circle"
    edge = np.abs(d[1:-1, 1:-1]) < 0.02
    across = (d[1:-1, 2:] - d[1:-1, :-2]) / (2 * (axis[1] - axis[0]))
    along = (d[2:, 1:-1] - d[:-2, 1:-1]) / (2 * (axis[1] - axis[0]))
    assert np.median(np.hypot(across, along)[edge]) == pytest.approx(1, abs=0.1)


def test_a_pose_and_back() -> None:
    pose = Pose(20.0, 0.3, -1.0, point(30, 40))
    there = pose.to_picture(point(0.2, -0.7))
    back = pose.to_creature(np.array(there[0]), np.array(there[1]))
    np.testing.assert_allclose(back, (0.2, -0.7), atol=1e-12)


def test_an_unknown_split() -> None:
    with pytest.raises(ValueError, match="split must be one of train, validation"):
        icnn.data.creatures("tests")


def test_a_missing_or_damaged_file_is_named(tmp_path) -> None:
    for path in FOLDER.glob("empty-*"):
        shutil.copyfile(path, tmp_path / path.name)  # not its mode: it may be read-only
    write_checksums(tmp_path)
    assert len(icnn.data.creatures("empty", folder=tmp_path)) == SPLITS["empty"][0]
    broken = tmp_path / "empty-images-0.webp"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"empty-images-0\.webp is truncated or was changed"):
        icnn.data.creatures("empty", folder=tmp_path)
    broken.unlink()
    with pytest.raises(FileNotFoundError, match=r"empty-images-0\.webp is missing"):
        icnn.data.creatures("empty", folder=tmp_path)


def test_a_subset_keeps_what_belongs_together(test_split) -> None:
    some = test_split.subset(test_split.labels == 2)
    assert len(some) == 400 and set(some.labels.tolist()) == {2}
    first = int((test_split.labels == 2).nonzero()[0])
    assert some.images[0].equal(test_split.images[first])
    assert some.landmarks[0].nan_to_num().equal(test_split.landmarks[first].nan_to_num())
