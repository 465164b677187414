"""Training: one function, deterministic for a seed, that never sees a test split.

Taught in lesson 5.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, default_collate

from icnn._check_args import BOOL, FUNCTION, MODULE, POSITIVE, Value, blaming, check_kind, checked
from icnn._checkpoint import Checkpoint
from icnn._device import generators, repeatable, seeded
from icnn.layer import filter_losses
from icnn.network import evaluating

EPOCHS = 8
BATCH = 256  # images at once where nothing is trained
RAMP = (0.1, 0.3)  # the filter loss is off before, full after, linear between (shares of all steps)


@dataclass
class History:
    """What happened in each epoch: mean losses, accuracies in [0, 1], seconds since the start."""

    loss: list[float] = field(default_factory=list)
    filter_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@runtime_checkable
class Labelled(Protocol):
    """A data set that is read in blocks: one of `icnn.data`, or any like it."""

    labels: Tensor
    floats: Callable[[Tensor], Tensor]


@runtime_checkable
class Pairs(Protocol):
    """Any other data set, read picture by picture: `dataset[i]` is a picture and its target."""

    __len__: Callable[[], int]
    __getitem__: Callable[[int], tuple[Tensor, int | Tensor]]


DATASET = Value("a data set of pairs (picture, target), not empty", (Labelled, Pairs), len)


def _positive(rate: float | Mapping[str, float]) -> bool:
    rates = rate.values() if isinstance(rate, Mapping) else [rate]
    return all(isinstance(r, (int, float)) and POSITIVE.test(r) for r in rates)


RATE = Value(
    "a number greater than 0, or one for each child of the model", (int, float, Mapping), _positive
)


@checked(
    model=MODULE,
    learning_rate=RATE,
    progress=BOOL,
    on_epoch=FUNCTION,
    loss=FUNCTION,
    checkpoint=Value("a str, a Path or None", (str, Path)),
    train=DATASET,
    validation=DATASET,
)
def fit(
    model: nn.Module,
    train: Dataset,
    validation: Dataset,
    *,
    epochs: int = EPOCHS,
    seed: int = 0,
    batch_size: int = 64,
    learning_rate: float | Mapping[str, float] = 2e-3,
    weight_decay: float = 1e-3,
    progress: bool = True,
    on_epoch: Callable[[nn.Module], None] | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
    checkpoint: str | Path | None = None,
) -> History:
    """Train a classifier with a loss, cross-entropy or another, plus its filter losses, in place.

    AdamW with a one-cycle learning rate. The filter losses are off for the first tenth of the steps
    and at full weight from three tenths on: a template is worth fitting once a filter fires on
    something. Deterministic for a seed on one machine and number of threads; on a graphics card as
    far as the model's own operations are (convolutions are made so). The History has one entry per
    epoch; the model is left in eval mode. Taught in lesson 5.

    Args:
        model: maps images (N, 3, H, W) in [0, 1] to scores (N, K); trained where it is, after
            `model.to("cuda")` on a graphics card.
        train, validation: data sets of pairs (picture, target): `icnn.data.creatures("train")`,
            a `TensorDataset`, a list; never a test split. The target is a category, or for many
            labels at once a tensor (K,) of zeros and ones, where accuracy is the share of labels
            whose score has the right sign.
        seed: of the order of the images, and of dropout.
        learning_rate, weight_decay: of AdamW; the rate is the peak of the cycle. A dictionary gives
            each child of the model its own: {"backbone": 5e-5, "head": 1e-3} for a pretrained one.
        progress: whether to show a progress bar.
        on_epoch: called with the model, in eval mode, after each epoch; to watch, not to change it.
        loss: of scores (N, K) and targets, a mean over the batch; for many labels at once
            `torch.nn.functional.binary_cross_entropy_with_logits`.
        checkpoint: a file for this training alone, written after each epoch, from which the same
            call goes on after an interruption, to the numbers it would have reached.

    Raises:
        FloatingPointError: the loss is not finite; the message says at which step.
    """
    from tqdm.auto import tqdm

    device = _device(model)
    with seeded(seed, device):
        _try(train, "train", model, loss)
        _try(validation, "validation", model, loss)
    groups = _groups(model, learning_rate)
    order = torch.Generator("cpu").manual_seed(seed)
    batches = -(-len(train) // batch_size)
    steps = epochs * batches
    optimizer = torch.optim.AdamW(groups, weight_decay=float(weight_decay))
    rates = [group["lr"] for group in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)
    history = History()
    settings = {
        "model": model,
        "images": len(train),
        "epochs": epochs,
        "seed": seed,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "loss": getattr(loss, "__qualname__", type(loss).__qualname__),
    }
    parts, random = (model, optimizer, schedule), (order, *generators(device))
    saved = Checkpoint(checkpoint, settings, parts, random, history)
    bar = tqdm(total=steps, disable=not progress, unit="step")
    with seeded(seed, device), repeatable(), bar:  # the seed is also of dropout
        saved.load()
        step = len(history.seconds) * batches
        start = time.perf_counter() - sum(history.seconds[-1:])
        bar.update(step)
        for _ in range(len(history.seconds), epochs):
            model.train()
            sums = torch.zeros(3, device="cpu")
            images = torch.randperm(len(train), generator=order, device="cpu")
            for batch in images.split(batch_size):
                pictures, targets = (x.to(device) for x in _read(train, batch, "train"))
                sums += _step(model, pictures, targets, loss, ramp(step / steps), optimizer).cpu()
                if not sums.isfinite().all():
                    raise FloatingPointError(f"the loss is not finite at step {step} of {steps}")
                schedule.step()
                step += 1
                bar.update()
            model.eval()
            means, right = (sums / len(train)).tolist(), accuracy(model, validation)
            epoch = *means, right, time.perf_counter() - start
            for values, value in zip(vars(history).values(), epoch, strict=True):
                values.append(value)
            bar.set_postfix_str(f"validation accuracy {history.validation_accuracy[-1]:.3f}")
            if on_epoch is not None:
                on_epoch(model)
            saved.save()
    return history


def ramp(progress: float) -> float:
    """The share of its weight that the filter loss has after a share `progress` of the steps."""
    begin, full = RAMP
    return min(max((progress - begin) / (full - begin), 0.0), 1.0)


@torch.no_grad()
@checked()
def predict(
    model: Callable[[Tensor], Tensor], images: Tensor | Dataset, *, batch_size: int = BATCH
) -> Tensor:
    """What a module gives for many images, in eval mode and in batches: (N, …), where they are.

    Works where the model is, and leaves every part of it in the mode it was in. Used from lesson 0
    on.

    Args:
        model: a module, for scores, or a method of one, such as `model.maps`.
        images: (N, …), of the model's floating dtype; or a data set, of which memory then holds
            one batch at a time.
        batch_size: images at a time.
    """
    owner = getattr(model, "__self__", model)
    MODULE(owner, "model", {})
    # glibc takes anew, for each batch, what is larger than all that was freed; 32 MB is the most
    torch.empty(2**25 - 2**13, dtype=torch.uint8, device="cpu")
    with evaluating(owner):
        given = (_give(model, owner, x) for x in _batches(images, batch_size))
        return _collected(given, len(images))


def _collected(parts: Iterator[Tensor], length: int) -> Tensor:
    """Batches in one tensor, made first: kept one by one they would break up the free memory."""
    whole = None
    for part in parts:
        if whole is None:
            planar = part.ndim != 4 or part.is_contiguous()
            layout = torch.contiguous_format if planar else torch.channels_last
            kind = {"dtype": part.dtype, "device": part.device, "memory_format": layout}
            whole = torch.empty(length, *part.shape[1:], **kind)
            places = iter(whole.split(len(part)))
        next(places).copy_(part)
    return whole


def _batches(images: Tensor | Dataset, size: int) -> Iterable[Tensor]:
    if isinstance(images, (Labelled, Dataset)):
        indices = torch.arange(len(images), device="cpu").split(size)
        return (_read(images, index, "images")[0] for index in indices)
    check_kind(images, "images", "floating")
    return images.split(size)


def _give(model: Callable[[Tensor], Tensor], owner: nn.Module, images: Tensor) -> Tensor:
    dtype = next((p.dtype for p in owner.parameters()), images.dtype)
    if images.dtype != dtype:
        raise TypeError(f"images must have the model's dtype, {dtype}, got {images.dtype}")
    unfit = f"images of shape {tuple(images.shape)} do not fit the model"
    with blaming(unfit, RuntimeError, ValueError):
        return model(images.to(_device(owner))).to(images.device)


@checked(model=MODULE, dataset=DATASET)
def accuracy(model: nn.Module, dataset: Dataset) -> float:
    """The share of images, in [0, 1], whose highest score is that of their own category.

    Of a model that gives scores (N, K) and a data set as for `fit`; of many labels at once it is
    the share of labels. Used from lesson 0 on.
    """
    batches = torch.arange(len(dataset), device="cpu").split(BATCH)
    pairs = (_read(dataset, batch, "dataset") for batch in batches)
    return torch.cat([_right(predict(model, x), y) for x, y in pairs]).mean().item()


def _read(dataset: Dataset, index: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """The pictures with these indices and their targets."""
    if isinstance(dataset, Labelled):
        return dataset.floats(index), dataset.labels[index]
    with blaming(f"{name} must give pairs (picture, target)", Exception):
        pictures, targets = default_collate([dataset[i] for i in index.tolist()])
        if not (isinstance(pictures, Tensor) and isinstance(targets, Tensor)):
            raise TypeError(f"of tensors or numbers, got {type(pictures)} and {type(targets)}")
    return pictures, targets


def _right(scores: Tensor, targets: Tensor) -> Tensor:
    """How right the scores of each picture are, from 0 to 1: (N,)."""
    if targets.shape == scores.shape:  # a yes or no for each score
        return ((scores > 0) == (targets > 0.5)).flatten(1).float().mean(1)
    return (scores.argmax(1) == targets).float()


def _try(dataset: Dataset, name: str, model: nn.Module, loss: Callable) -> None:
    """The first picture in eval mode: what does not fit is named before any work."""
    first = _read(dataset, torch.zeros(1, dtype=torch.long, device="cpu"), name)
    suiting = "pairs (picture, target) that suit the model and the loss"
    with blaming(f"{name} must give {suiting}, which fails with its first one", Exception):
        pictures, targets = (x.to(_device(model)) for x in first)
        scores = predict(model, pictures)
        shape = tuple(loss(scores, targets).shape)
        _right(scores, targets)
    if _labels(targets) is None and any(getattr(m, "category_weight", 0) for m in model.modules()):
        need = f"{name} must give a category for each picture, for the term of category_weight"
        raise ValueError(f"{need}, got {targets.dtype} {tuple(targets.shape[1:])}")
    if shape:
        raise ValueError(f"loss must give one number for a batch, got shape {shape}")


def _labels(targets: Tensor) -> Tensor | None:
    """Targets that are categories; None for many labels at once, or numbers."""
    return targets if targets.ndim == 1 and not targets.is_floating_point() else None


def _device(model: nn.Module) -> torch.device:
    """Where the model's parameters are; the CPU for a model without any."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _groups(model: nn.Module, learning_rate: float | Mapping[str, float]) -> list[dict]:
    """The parameters with their learning rate: all alike, or those of each child."""
    if not isinstance(learning_rate, Mapping):
        return [{"params": list(model.parameters()), "lr": float(learning_rate)}]
    children = {name: list(child.parameters()) for name, child in model.named_children()}
    trained = sorted(name for name, parameters in children.items() if parameters)
    if sorted(learning_rate) != trained:
        wanted = f"a rate for each of the model's children, {', '.join(trained)}"
        got = ", ".join(map(str, learning_rate)) or "none"
        raise ValueError(f"learning_rate must have {wanted}, got {got}")
    return [{"params": children[name], "lr": float(rate)} for name, rate in learning_rate.items()]


def _step(model, images, targets, loss, share: float, optimizer) -> Tensor:
    scores = model(images)
    extra = filter_losses(model, _labels(targets)).to(scores.device)  # a plain model's 0 is on CPU
    total = loss(scores, targets) + share * extra
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    optimizer.step()
    right = _right(scores.detach(), targets).sum()
    return torch.stack([total.detach() * len(images), extra.detach() * len(images), right])
