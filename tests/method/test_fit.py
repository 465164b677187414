"""`fit` with what people have: any data set and loss, interruptions, and a loop of one's own."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.utils.data import DataLoader, Subset, TensorDataset

import icnn

QUICK = {"epochs": 4, "batch_size": 5, "progress": False}


class Photographs:
    """Twelve pictures of three colours in blocks, as `icnn.data` gives them."""

    def __init__(self) -> None:
        self.labels = torch.arange(12) % 3
        self.images = torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(0)) / 2
        self.images[torch.arange(12), self.labels] += 0.5

    def __len__(self) -> int:
        return 12

    def floats(self, index) -> torch.Tensor:
        return self.images[index]


PHOTOGRAPHS = Photographs()
PAIRS = TensorDataset(PHOTOGRAPHS.images, PHOTOGRAPHS.labels)
MANY = TensorDataset(PHOTOGRAPHS.images, nn.functional.one_hot(PHOTOGRAPHS.labels, 3).float())


def network(**layer) -> icnn.InterpretableCNN:
    """A small one with everything that has a state: dropout, normalisation, a layer's memory."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        return icnn.make_interpretable(
            backbone, 3, cut="1", image_size=16, width=6, layer={"memory": 7, **layer}
        )


def state(model: nn.Module) -> list:
    return [(name, x.tolist()) for name, x in model.state_dict().items()]


def numbers(history: icnn.History) -> dict:
    return {name: values for name, values in vars(history).items() if name != "seconds"}


@pytest.mark.parametrize(
    "data",
    [
        PAIRS,
        [(x, int(y)) for x, y in PAIRS],
        tuple(PAIRS),
        Subset(PAIRS, range(12)),
    ],
    ids=["TensorDataset", "list", "tuple", "Subset"],
)
def test_any_data_set_of_pairs_trains_as_one_in_blocks(data) -> None:
    one, other = network(), network()
    wanted = icnn.fit(one, PHOTOGRAPHS, PHOTOGRAPHS, **QUICK)
    got = icnn.fit(other, data, data, **QUICK)
    assert numbers(got) == numbers(wanted)
    assert state(other) == state(one)
    assert icnn.accuracy(other, data) == icnn.accuracy(one, PHOTOGRAPHS)


def test_many_labels_at_once_with_a_loss_of_ones_own() -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    history = icnn.fit(
        model, MANY, MANY, loss=binary_cross_entropy_with_logits, learning_rate=0.3,
        epochs=40, batch_size=6, progress=False,
    )  # fmt: skip
    assert history.loss[-1] < 0.7 * history.loss[0]
    right = (icnn.predict(model, MANY.tensors[0]) > 0) == (MANY.tensors[1] > 0.5)
    assert history.validation_accuracy[-1] == pytest.approx(right.float().mean().item())
    assert history.validation_accuracy[-1] > 0.9


def test_the_loss_is_the_one_given() -> None:
    def doubled(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return 2 * cross_entropy(scores, targets)

    options = {**QUICK, "epochs": 1, "batch_size": 12}
    once = icnn.fit(network(weight=0.0), PAIRS, PAIRS, **options)
    twice = icnn.fit(network(weight=0.0), PAIRS, PAIRS, loss=doubled, **options)
    assert twice.loss[0] == pytest.approx(2 * once.loss[0])


def test_a_plain_loop_gives_the_same_numbers() -> None:
    model, other, train = network(memory=0), network(memory=0), PAIRS
    icnn.fit(other, train, train, epochs=4, batch_size=5, seed=1, progress=False)

    torch.manual_seed(1)
    order, steps = torch.Generator().manual_seed(1), 4 * math.ceil(len(train) / 5)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(4):
        for batch in torch.randperm(len(train), generator=order).split(5):
            images, labels = train[batch]
            share = icnn.train.ramp(schedule.last_epoch / steps)
            loss = cross_entropy(model.train()(images), labels)
            (loss + share * icnn.filter_losses(model, labels)).backward()
            optimizer.step(), schedule.step(), optimizer.zero_grad()

    assert state(model) == state(other)


def test_lightning_gives_the_same_numbers() -> None:
    lightning = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed")
    model, other = network(memory=0), network(memory=0)
    icnn.fit(other, PAIRS, PAIRS, epochs=4, batch_size=5, seed=1, progress=False)

    class Training(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch, _) -> torch.Tensor:
            images, labels = batch
            share = icnn.train.ramp(self.global_step / self.trainer.estimated_stepping_batches)
            loss = cross_entropy(self.model(images), labels)
            return loss + share * icnn.filter_losses(self.model, labels)

        def configure_optimizers(self):
            optimizer = torch.optim.AdamW(self.parameters(), weight_decay=1e-3)
            steps = self.trainer.estimated_stepping_batches
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    class Shuffled(list):  # the pictures in the order that fit takes them
        order = torch.Generator().manual_seed(1)

        def __iter__(self):
            return iter(torch.randperm(len(self), generator=self.order).tolist())

    options = {"sampler": Shuffled(PAIRS), "generator": torch.Generator()}
    loader = DataLoader(PAIRS, batch_size=5, **options)
    torch.manual_seed(1)  # for dropout
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = lightning.Trainer(max_epochs=4, accelerator="cpu", **dict.fromkeys(off, False))
    trainer.fit(Training(), loader)

    assert state(model) == state(other)


class Killed(TensorDataset):
    """A data set that is interrupted at one of its reads."""

    def __init__(self, reads: int) -> None:
        super().__init__(*PAIRS.tensors)
        self.left = reads

    def __getitem__(self, index):
        self.left -= 1
        if self.left == 0:
            self.end()
        return super().__getitem__(index)

    def end(self) -> None:
        raise KeyboardInterrupt


class KilledOutright(Killed):
    """One whose process ends there, without a word and without a last deed."""

    def end(self) -> None:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def train_until_killed(file, reads: int) -> None:
    torch.set_num_threads(1)
    icnn.fit(network(), KilledOutright(reads), PAIRS, checkpoint=file, **QUICK)


@pytest.mark.parametrize("anew", [False, True], ids=["the same cell", "another process"])
def test_after_five_interruptions_the_same_final_numbers(tmp_path, anew) -> None:
    wanted = network()
    history = icnn.fit(wanted, PAIRS, PAIRS, **QUICK)
    file, model = tmp_path / "runs" / "training.pt", network()
    for reads in (1, 5, 12, 30, 14):  # 1 + 12 in each epoch: while trying, in the first epoch …
        with pytest.raises(KeyboardInterrupt):
            icnn.fit(model, Killed(reads), PAIRS, checkpoint=file, **QUICK)
        model = network() if anew else model
        torch.rand(3)
    got = icnn.fit(model, PAIRS, PAIRS, checkpoint=file, **QUICK)
    assert numbers(got) == numbers(history)
    assert got.seconds == sorted(got.seconds)
    assert state(model) == state(wanted)
    again = icnn.fit(model, PAIRS, PAIRS, checkpoint=str(file), **QUICK)  # it has ended
    assert again == got
    assert state(model) == state(wanted)


def test_after_a_killed_process_the_same_final_numbers(tmp_path) -> None:
    wanted, model, file = network(), network(), tmp_path / "training.pt"
    history = icnn.fit(wanted, PAIRS, PAIRS, **QUICK)
    process = multiprocessing.get_context("spawn").Process(
        target=train_until_killed, args=(file, 1 + 2 * 12 + 5)
    )
    process.start()
    process.join()
    assert process.exitcode != 0
    left = torch.load(file, weights_only=True)["history"]["loss"]
    assert len(left) == 2  # whole epochs
    assert numbers(icnn.fit(model, PAIRS, PAIRS, checkpoint=file, **QUICK)) == numbers(history)
    assert state(model) == state(wanted)


def test_an_interruption_while_the_file_is_written_leaves_the_old_one(tmp_path, monkeypatch):
    file, wanted = tmp_path / "training.pt", network()
    history = icnn.fit(wanted, PAIRS, PAIRS, **QUICK)
    save, written = torch.save, []

    def cut_off(state, path) -> None:
        written.append(path)
        if len(written) == 3:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        save(state, path)

    monkeypatch.setattr(torch, "save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        icnn.fit(network(), PAIRS, PAIRS, checkpoint=file, **QUICK)
    model = network()
    assert numbers(icnn.fit(model, PAIRS, PAIRS, checkpoint=file, **QUICK)) == numbers(history)
    assert state(model) == state(wanted)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 5},
        {"seed": 1},
        {"batch_size": 6},
        {"learning_rate": {"backbone": 1e-3, "head": 1e-3}},
        {"weight_decay": 0},
        {"loss": nn.CrossEntropyLoss()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_file_of_another_training_is_refused(tmp_path, change) -> None:
    file = tmp_path / "training.pt"
    icnn.fit(network(), PAIRS, PAIRS, checkpoint=file, **QUICK)
    with pytest.raises(ValueError, match=f"checkpoint must.*{next(iter(change))}"):
        icnn.fit(network(), PAIRS, PAIRS, checkpoint=file, **QUICK | change)
    with pytest.raises(ValueError, match=r"checkpoint must.*model"):
        icnn.fit(network(weight=0.0), PAIRS, PAIRS, checkpoint=file, **QUICK)
    with pytest.raises(ValueError, match=r"checkpoint must.*images"):
        icnn.fit(network(), Subset(PAIRS, range(9)), PAIRS, checkpoint=file, **QUICK)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_damaged_file_is_refused(tmp_path, content) -> None:
    file = tmp_path / "training.pt"
    icnn.fit(network(), PAIRS, PAIRS, checkpoint=file, **QUICK)
    file.write_bytes(file.read_bytes()[:2000] if content is None else content)
    with pytest.raises(ValueError, match="checkpoint must be a file that fit wrote"):
        icnn.fit(network(), PAIRS, PAIRS, checkpoint=file, **QUICK)
    with pytest.raises(TypeError, match="checkpoint must"):
        icnn.fit(network(), PAIRS, PAIRS, checkpoint=7, **QUICK)


X, Y = PAIRS.tensors


@pytest.mark.parametrize(
    "data",
    [
        X,
        list(X),
        [{"image": x, "label": 0} for x in X],
        [(x, "cat") for x in X],
        [(x, 7) for x in X],
        [(x, 0, 0) for x in X],
        [(x.numpy(), 0) for x in X.double()],
        TensorDataset(X[:, :1], Y),
        TensorDataset((X * 255).byte(), Y),
        TensorDataset(X, Y.float()),
        [],
        torch.utils.data.DataLoader(PAIRS),
        iter(PAIRS),
    ],
    ids=lambda data: type(data).__name__,
)
@pytest.mark.parametrize("name", ["train", "validation"])
def test_data_that_does_not_fit_is_named_before_any_work(data, name) -> None:
    model = network()
    before = state(model)
    with pytest.raises((TypeError, ValueError), match=f"^{name} must"):
        icnn.fit(model, **{"train": PAIRS, "validation": PAIRS, name: data}, **QUICK)
    assert state(model) == before


def test_accuracy_names_data_that_is_no_pairs() -> None:
    for data in (X, list(X), [{"image": x, "label": 0} for x in X], [(x, "cat") for x in X], "abc"):
        with pytest.raises(ValueError, match=r"^dataset must give pairs"):
            icnn.accuracy(network(), data)


def test_targets_that_the_loss_does_not_take_are_named() -> None:
    for train, validation, name in ((PAIRS, MANY, "train"), (MANY, PAIRS, "validation")):
        with pytest.raises(ValueError, match=f"^{name} must"):
            icnn.fit(network(), train, validation, loss=binary_cross_entropy_with_logits, **QUICK)


def test_a_loss_for_each_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="loss must give one number"):
        icnn.fit(network(), PAIRS, PAIRS, loss=nn.CrossEntropyLoss(reduction="none"), **QUICK)
    with pytest.raises(TypeError, match="loss must be callable"):
        icnn.fit(network(), PAIRS, PAIRS, loss="bce", **QUICK)


def test_many_labels_at_once_choose_no_category(tmp_path) -> None:
    model, file = network(category_weight=0.1), tmp_path / "training.pt"
    before = state(model)
    with pytest.raises(ValueError, match=r"^train must give a category for each .*weight"):
        icnn.fit(
            *(model, MANY, MANY), loss=binary_cross_entropy_with_logits, checkpoint=file, **QUICK
        )
    assert state(model) == before, "it was trained, or its statistics moved"
