"""Which categories are read, and which images of each train and which test."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from icnn._check_args import one_of
from icnn.data.crops import stacked

SPLIT = one_of(("train", "test", "all"))


def of_split(count: int, split: str, train_share: float) -> Tensor:
    """(count,) bool: the images of a split; those that train are spread evenly over all.

    The rule of the authors' code.
    """
    train = torch.zeros(count, dtype=torch.bool)
    places = np.linspace(1, count, max(round(count * train_share), 1))
    train[np.floor(places + 0.5).astype(int) - 1] = True  # MATLAB rounds halves up
    return {"train": train, "test": ~train, "all": torch.ones_like(train)}[split]


def asked_for(wanted: str | Sequence[str], known: Sequence[str]) -> list[str]:
    """One name or several, as a list; a ValueError for one that is not known."""
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in wanted:
        if name not in known:
            raise ValueError(f"categories must be among {', '.join(known)}, got {name!r}")
    return wanted


def chosen(groups: Mapping[str, Sequence], split: str, train_share: float) -> tuple[list, Tensor]:
    """What belongs to a split, category by category, and the labels; a ValueError if nothing."""
    found = [
        (thing, label)
        for label, group in enumerate(groups.values())
        for thing, wanted in zip(group, of_split(len(group), split, train_share), strict=True)
        if wanted
    ]
    if not found:
        raise ValueError(f"categories: no object of {', '.join(groups)} in the split {split!r}")
    things, labels = zip(*found, strict=True)
    return list(things), torch.tensor(labels)


def fields_of_split(groups: Mapping[str, Sequence], split: str, train_share: float) -> dict:
    """Images, labels, landmarks and categories of a `PartDataset`, from each category's objects."""
    objects, labels = chosen(groups, split, train_share)
    return {**stacked(objects), "labels": labels, "categories": tuple(groups)}
