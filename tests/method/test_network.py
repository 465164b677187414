"""The small network, `fit`, and the shipped checkpoints."""

from __future__ import annotations

import shutil
from dataclasses import fields

import pytest
import torch
from torch.utils.data import TensorDataset

import icnn
from icnn._files import write_checksums
from icnn.course.checkpoints import FOLDER, SEEDS
from icnn.network import VARIANTS
from icnn.train import ramp


class Coloured:
    """Tiny pictures whose colour is their category."""

    def __init__(self, count: int, seed: int = 0, bad: bool = False) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.arange(count) % 3
        self.images = torch.rand(count, 3, 64, 64, generator=generator) * 0.5
        for c in range(3):
            self.images[self.labels == c, c] += 0.4
        if bad:
            self.images[0] = torch.nan

    def __len__(self) -> int:
        return len(self.labels)

    def floats(self, index=slice(None)) -> torch.Tensor:
        return self.images[index]


def test_variants_differ_in_one_layer_only() -> None:
    states = {v: dict(icnn.small_cnn(v, seed=3).named_parameters()) for v in VARIANTS}
    for state in states.values():
        assert state.keys() == states["plain"].keys()
        assert all(state[name].equal(states["plain"][name]) for name in state)
    other = dict(icnn.small_cnn("plain", seed=4).named_parameters())
    assert not other["head.classifier.weight"].equal(states["plain"]["head.classifier.weight"])
    before = torch.random.get_rng_state()
    icnn.small_cnn()
    assert torch.random.get_rng_state().equal(before)


def test_shapes() -> None:
    model = icnn.small_cnn("interpretable", n_categories=4).eval()
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 4)
    assert model.maps(torch.rand(2, 3, 64, 64)).shape == (2, 48, 16, 16)


@pytest.mark.parametrize("variant", ["plain", "category term"])
def test_fit_learns_and_is_deterministic(variant, capsys) -> None:
    runs = []
    for _ in range(2):
        model = icnn.small_cnn(variant, n_categories=3)
        options = {"epochs": 4, "seed": 5, "batch_size": 8, "progress": False}
        history = icnn.fit(model, Coloured(96), Coloured(30, 1), **options)
        runs.append((model, history))
    (one, first), (two, second) = runs
    assert all(a.equal(b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert first.loss == second.loss
    assert first.loss[-1] < 0.7 * first.loss[0]
    assert {len(values) for values in vars(first).values()} == {4}
    assert first.validation_accuracy[-1] == icnn.accuracy(one, Coloured(30, 1)) > 0.6
    assert not one.training
    assert capsys.readouterr() == ("", "")


def test_fit_shows_the_model_after_each_epoch_and_goes_on_as_without() -> None:
    seen, models = [], []

    def look(model: icnn.network.SmallCNN) -> None:
        seen.append((model.training, icnn.accuracy(model, Coloured(30, 1))))

    for on_epoch in (None, look):
        models.append(icnn.small_cnn(n_categories=3))
        history = icnn.fit(
            models[-1], Coloured(24), Coloured(30, 1), epochs=3, batch_size=8, progress=False,
            on_epoch=on_epoch,
        )  # fmt: skip
    assert seen == [(False, accuracy) for accuracy in history.validation_accuracy]
    alone, watched = (model.parameters() for model in models)
    assert all(a.equal(b) for a, b in zip(alone, watched, strict=True))


def test_each_child_learns_at_its_own_rate() -> None:
    before, model = icnn.small_cnn(n_categories=3), icnn.small_cnn(n_categories=3)
    options = {"epochs": 1, "batch_size": 8, "weight_decay": 0, "progress": False}
    rates = {"backbone": 1e-9, "head": 1e-2}
    icnn.fit(model, Coloured(24), Coloured(9, 1), learning_rate=rates, **options)
    moved = {}
    for name in rates:
        old, new = (m.get_submodule(name).parameters() for m in (before, model))
        moved[name] = max((b - a).abs().max().item() for a, b in zip(old, new, strict=True))
    assert moved["backbone"] < 1e-6 < 1e-3 < moved["head"]
    for rates in ({}, {"head": 1e-3}, {"head": 1e-3, "bone": 1e-3}, {"head": 0, "backbone": 1}):
        with pytest.raises(ValueError, match="learning_rate must"):
            icnn.fit(model, Coloured(24), Coloured(9, 1), learning_rate=rates)


def test_the_filter_loss_is_ramped_up() -> None:
    assert [ramp(p) for p in (0, 0.1, 0.2, 0.3, 1)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    with pytest.raises(FloatingPointError, match="loss is not finite at step 0 of 2"):
        icnn.fit(
            icnn.small_cnn(n_categories=3), Coloured(64, bad=True), Coloured(9), epochs=2,
            progress=False,
        )  # fmt: skip


def test_every_part_stays_in_its_mode() -> None:
    model, images = icnn.small_cnn().train(), torch.rand(2, 3, 64, 64)
    model.backbone[1].eval()  # a frozen normalisation
    before = [part.training for part in model.modules()]
    icnn.predict(model.backbone, images)
    icnn.accuracy(model, Coloured(2))
    with pytest.raises(ValueError, match="do not fit"):
        icnn.predict(model, images[:, :1])
    icnn.explain.deletion(model, images, torch.tensor([0, 1]), torch.rand(2, 4, 4), images)
    assert [part.training for part in model.modules()] == before


def test_after_fit_nothing_is_left_of_the_last_batch() -> None:
    model = icnn.small_cnn(n_categories=3)
    icnn.fit(model, Coloured(8), Coloured(8), epochs=1, progress=False)
    assert not any(part.training for part in model.modules())
    with pytest.raises(RuntimeError, match="forward pass in training mode"):
        icnn.filter_losses(model)


def test_predict_gives_the_same_in_any_batches() -> None:
    model, images = icnn.small_cnn(), torch.rand(7, 3, 64, 64)
    whole = icnn.predict(model, images)
    assert whole.allclose(icnn.predict(model, images, batch_size=3), atol=1e-5)
    assert not whole.requires_grad


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_shipped_networks(variant) -> None:
    data = icnn.data.creatures("validation").subset(slice(0, 200))
    assert icnn.accuracy(icnn.checkpoints.load(variant), data) > 0.94
    runs = icnn.checkpoints.history()[variant]
    assert [run["seed"] for run in runs] == list(SEEDS)
    assert all(len(run["loss"]) == icnn.train.EPOCHS for run in runs)


def test_a_damaged_checkpoint_is_refused(tmp_path) -> None:
    shutil.copyfile(FOLDER / "plain-0.pt", tmp_path / "plain-0.pt")  # not its mode
    write_checksums(tmp_path)
    icnn.checkpoints.load("plain", 0, folder=tmp_path)
    (tmp_path / "plain-0.pt").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"plain-0\.pt is truncated or was changed"):
        icnn.checkpoints.load("plain", 0, folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"plain-1\.pt is missing"):
        icnn.checkpoints.load("plain", 1, folder=tmp_path)
    with pytest.raises(ValueError, match="variant must be one of plain"):
        icnn.checkpoints.load("fancy")
    with pytest.raises(ValueError, match="seed must be one of"):
        icnn.checkpoints.load("plain", 9)


class Scored(TensorDataset):
    """Scores and labels, as a data set whose images are its scores."""

    @property
    def labels(self) -> torch.Tensor:
        return self.tensors[1]

    def floats(self, index) -> torch.Tensor:
        return self.tensors[0][index]


def test_accuracy_counts_hits_of_every_batch() -> None:
    labels = torch.tensor([0, 1, 1, 0]).repeat(100)
    scores = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [1.0, 0.0]]).repeat(100, 1)
    assert icnn.accuracy(torch.nn.Identity(), Scored(scores, labels)) == 0.75


def test_predict_reads_a_data_set_in_batches() -> None:
    model, read = icnn.small_cnn(seed=0), []

    class Watched(icnn.data.PartDataset):
        def floats(self, index=slice(None)):
            read.append(len(index))
            return super().floats(index)

    creatures = icnn.data.creatures("test").subset(slice(0, 7))
    watched = Watched(**{f.name: getattr(creatures, f.name) for f in fields(creatures)})
    whole = icnn.predict(model, creatures.floats())
    assert whole.allclose(icnn.predict(model, watched, batch_size=3), atol=1e-5)
    assert read == [3, 3, 1]
    pairs = TensorDataset(creatures.floats(), creatures.labels)
    assert whole.allclose(icnn.predict(model, pairs, batch_size=3), atol=1e-5)
    with pytest.raises(TypeError, match="images must have the model"):
        icnn.predict(icnn.small_cnn(seed=0).double(), creatures)
