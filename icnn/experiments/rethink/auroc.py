"""The area under the ROC curve.

Taught in lesson 10.
"""

from __future__ import annotations

import torch
from torch import Tensor

from icnn._check_args import Array, checked


@checked(positive=Array("N"), negative=Array("M"))
def auroc(positive: Tensor, negative: Tensor) -> float:
    """The probability that a positive scores higher than a negative; ties count one half.

    Args:
        positive, negative: (N,) and (M,) scores, floating.
    """
    both = torch.cat([positive, negative]).double()
    values, place = both.unique(return_inverse=True)
    counts = torch.bincount(place, minlength=len(values)).double()
    rank = (counts.cumsum(0) - (counts - 1) / 2)[place][: len(positive)]
    wins = rank.sum() - len(positive) * (len(positive) + 1) / 2
    return (wins / (len(positive) * len(negative))).item()
