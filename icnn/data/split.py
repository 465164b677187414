"""Which images of a category train and which test: the rule of the authors' code."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SPLITS = ("train", "test", "all")


def of_split(count: int, split: str, train_share: float) -> Tensor:
    """(count,) bool: the images of a split; those that train are spread evenly over all."""
    train = torch.zeros(count, dtype=torch.bool)
    places = np.linspace(1, count, max(round(count * train_share), 1))
    train[np.floor(places + 0.5).astype(int) - 1] = True  # MATLAB rounds halves up
    return {"train": train, "test": ~train, "all": torch.ones_like(train)}[split]


def check_split(split: str) -> None:
    """One of the three names."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")


def check_share(train_share: float) -> None:
    """A share of the images that leaves some to train and some to test."""
    if not 0 < train_share < 1:
        raise ValueError(f"train_share must be between 0 and 1, got {train_share}")
