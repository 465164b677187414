"""The mathematics once more, in plain loops over Python floats, to compare the package with.

Written from the paper's formulas, not from the package; slow, and meant to be obvious.
"""

from __future__ import annotations

from math import exp, log

import torch
from torch import Tensor


def template(n: int, mu: tuple[int, int] | None, beta: float, tau: float) -> list[list[float]]:
    """T_μ, or T⁻ where `mu` is None."""
    if mu is None:
        return [[-tau] * n for _ in range(n)]
    distance = [[abs(i - mu[0]) + abs(j - mu[1]) for j in range(n)] for i in range(n)]
    return [[tau * max(1 - beta * d / n, -1) for d in row] for row in distance]


def templates(n: int, beta: float, tau: float) -> Tensor:
    """All n² + 1 templates, row-major, T⁻ last."""
    places = [(i, j) for i in range(n) for j in range(n)]
    values = [template(n, mu, beta, tau) for mu in [*places, None]]
    return torch.tensor(values, dtype=torch.float64)


def mask(x: list[list[float]], beta: float) -> list[list[float]]:
    """The mask around the first largest unit."""
    n = len(x)
    _, mu = max((x[i][j], (-i, -j)) for i in range(n) for j in range(n))
    peak = template(n, (-mu[0], -mu[1]), beta, 1.0)
    return [[max(value, 0.0) for value in row] for row in peak]


def likelihoods(x: Tensor, all_templates: Tensor) -> list[list[float]]:
    """p(x_b|T) for maps (N, n, n) of one filter: one row for each image."""
    scores = [[float((t * m).sum()) for t in all_templates] for m in x]
    highest = [max(column) for column in zip(*scores, strict=True)]
    weights = [[exp(s - h) for s, h in zip(row, highest, strict=True)] for row in scores]
    totals = [sum(column) for column in zip(*weights, strict=True)]
    return [[w / z for w, z in zip(row, totals, strict=True)] for row in weights]


def mutual_information(p: list[list[float]], prior: list[float]) -> float:
    """Equation 1 without its minus sign."""
    total = 0.0
    for row in p:
        p_x = sum(prior_t * p_t for prior_t, p_t in zip(prior, row, strict=True))
        for prior_t, p_t in zip(prior, row, strict=True):
            if p_t > 0:
                total += prior_t * p_t * log(p_t / p_x)
    return total


def entropy_terms(p: list[list[float]], prior: list[float]) -> tuple[float, float, float]:
    """H(T), H(T′|X) and Σ_x p(T⁺, x) H(T⁺|X = x), equations 5 to 7."""
    category = spatial = 0.0
    for row in p:
        joint = [prior_t * p_t for prior_t, p_t in zip(prior, row, strict=True)]
        p_x, positive = sum(joint), sum(joint[:-1])
        for part in (positive, joint[-1]):
            if part > 0:
                category -= part * log(part / p_x)
        for part in joint[:-1]:
            if part > 0:
                spatial -= part * log(part / positive)
    return -sum(q * log(q) for q in prior), category, spatial
