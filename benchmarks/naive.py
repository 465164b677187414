"""The filter loss as the paper's text reads: every template against every map, then autograd.

The opponent of the benchmark, not part of the package.
"""

import torch
from torch import Tensor

import icnn


def naive_filter_loss(x: Tensor, *, sharpness: float, scale: Tensor) -> Tensor:
    """−MI, mean over filters; the same number as `icnn.filter_loss`, by broadcasting."""
    n = x.shape[-1]
    templates = icnn.part_templates(n, tau=sharpness, dtype=x.dtype, device=x.device)
    scaled = (x / scale[:, None, None])[:, :, None]
    scores = (scaled * templates).sum((-2, -1))  # an (N, C, n² + 1, n, n) tensor on the way
    log_p = scores - scores.logsumexp(0)
    prior = icnn.template_prior(n, dtype=x.dtype, device=x.device)
    log_x = torch.logsumexp(prior.log() + log_p, -1, keepdim=True)
    return -(prior * log_p.exp() * (log_p - log_x)).sum((0, 2)).mean()
