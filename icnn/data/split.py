"""Which images of a category train and which test: the rule of the authors' code."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from icnn._check_args import one_of

SPLIT = one_of(("train", "test", "all"))


def of_split(count: int, split: str, train_share: float) -> Tensor:
    """(count,) bool: the images of a split; those that train are spread evenly over all."""
    train = torch.zeros(count, dtype=torch.bool)
    places = np.linspace(1, count, max(round(count * train_share), 1))
    train[np.floor(places + 0.5).astype(int) - 1] = True  # MATLAB rounds halves up
    return {"train": train, "test": ~train, "all": torch.ones_like(train)}[split]
