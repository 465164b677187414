"""Answers to exercises 1."""

from __future__ import annotations

import numpy as np
import torch

import icnn
from check_answers.registry import right, wrong

# --- part_templates ------------------------------------------------------------------------------


@right("part_templates")
def four_loops(n, *, beta=4.0, tau=None):
    if tau is None:
        tau = 0.5 / n**2
    result = torch.zeros(n * n + 1, n, n)
    for r in range(n):
        for c in range(n):
            for i in range(n):
                for j in range(n):
                    steps = abs(i - r) + abs(j - c)
                    result[r * n + c, i, j] = tau * max(1 - beta * steps / n, -1)
    result[n * n] = -tau
    return result


@right("part_templates")
def by_broadcasting(n, *, beta=4.0, tau=None):
    tau = 0.5 / n**2 if tau is None else tau
    axis = torch.arange(n)
    gap = (axis - axis[:, None]).abs()
    steps = (gap[:, None, :, None] + gap[None, :, None, :]).view(-1, n, n)
    shapes = torch.relu(2 - beta * steps / n) - 1
    return tau * torch.vstack([shapes, -torch.ones(1, n, n)])


@right("part_templates")
def numpy_inside(n, *, beta=4.0, tau=None):
    tau = 0.5 / n**2 if tau is None else tau
    rows, columns = np.indices((n, n))
    shapes = [
        np.maximum(1 - beta * (abs(rows - r) + abs(columns - c)) / n, -1)
        for r, c in np.ndindex(n, n)
    ]
    shapes.append(-np.ones((n, n)))
    return torch.tensor(tau * np.array(shapes), dtype=torch.float32)


@right("part_templates")
def with_cdist(n, *, beta=4.0, tau=None):
    places = torch.cartesian_prod(torch.arange(n), torch.arange(n)).float().view(-1, 2)
    steps = torch.cdist(places, places, p=1)
    height = tau or 0.5 / n / n
    table = height * torch.clamp(1 - steps * beta / n, min=-1)
    return torch.cat([table, torch.full((1, n * n), -height)]).view(-1, n, n)


@right("part_templates")
def an_array_is_fine(n, *, beta=4.0, tau=None):
    return four_loops(n, beta=beta, tau=tau).numpy().astype(np.float64)


def _build(n, beta, tau, steps):
    tau = 0.5 / n**2 if tau is None else tau
    r, c, i, j = np.indices((n, n, n, n))
    shapes = np.maximum(1 - beta * steps(i - r, j - c) / n, -1).reshape(n * n, n, n)
    return torch.tensor(np.concatenate([tau * shapes, -tau * np.ones((1, n, n))])).float()


@wrong("part_templates", "city blocks")
def euclidean(n, *, beta=4.0, tau=None):
    return _build(n, beta, tau, lambda di, dj: np.sqrt(di**2 + dj**2))


@wrong("part_templates", "adds the squares")
def squared(n, *, beta=4.0, tau=None):
    return _build(n, beta, tau, lambda di, dj: di**2 + dj**2)


@wrong("part_templates", "larger of the two")
def chessboard(n, *, beta=4.0, tau=None):
    return _build(n, beta, tau, lambda di, dj: np.maximum(abs(di), abs(dj)))


@wrong("part_templates", "is not divided")
def forgot_n(n, *, beta=4.0, tau=None):
    return _build(n, beta * n, 0.5 / n**2 if tau is None else tau, lambda a, b: abs(a) + abs(b))


@wrong("part_templates", "yours is divided without (//)")
def whole_numbers(n, *, beta=4.0, tau=None):
    tau = 0.5 / n**2 if tau is None else tau
    return _build(n, n, tau, lambda di, dj: beta * (abs(di) + abs(dj)) // n)


@wrong("part_templates", "right for 3×3 maps only")
def hard_coded_three(n, *, beta=4.0, tau=None):
    return _build(n, beta * n / 3, tau, lambda di, dj: abs(di) + abs(dj))


@wrong("part_templates", "the negative template is missing")
def no_negative(n, *, beta=4.0, tau=None):
    return four_loops(n, beta=beta, tau=tau)[: n * n]


@wrong("part_templates", "yours comes first")
def negative_first(n, *, beta=4.0, tau=None):
    return four_loops(n, beta=beta, tau=tau).roll(1, 0)


@wrong("part_templates", "should be −τ everywhere, here -1: yours is 0 at the centre")
def negative_is_zero(n, *, beta=4.0, tau=None):
    result = four_loops(n, beta=beta, tau=tau)
    result[-1] = 0
    return result


@wrong("part_templates", "should be −τ everywhere, here -1: yours is 1 at the centre")
def negative_is_positive(n, *, beta=4.0, tau=None):
    result = four_loops(n, beta=beta, tau=tau)
    result[-1] *= -1
    return result


@wrong("part_templates", "max(…, −1) is missing")
def no_floor(n, *, beta=4.0, tau=None):
    tau = 0.5 / n**2 if tau is None else tau
    axis = torch.arange(n)
    gap = (axis - axis[:, None]).abs()
    steps = (gap[:, None, :, None] + gap[None, :, None, :]).view(-1, n, n)
    return torch.cat([tau * (1 - beta * steps / n), torch.full((1, n, n), -tau)])


@wrong("part_templates", "yours stops at −1")
def floor_after_tau(n, *, beta=4.0, tau=None):
    result = no_floor(n, beta=beta, tau=tau)
    result[:-1] = result[:-1].clamp(min=-1)
    return result


@wrong("part_templates", "which makes it a mask")
def floor_at_zero(n, *, beta=4.0, tau=None):
    result = four_loops(n, beta=beta, tau=tau)
    result[:-1] = result[:-1].clamp(min=0)
    return result


@wrong("part_templates", "rows and columns are swapped")
def column_major(n, *, beta=4.0, tau=None):
    result = four_loops(n, beta=beta, tau=tau)
    order = [c * n + r for r in range(n) for c in range(n)]
    return result[[*order, n * n]]


@wrong("part_templates", "the factor τ is missing")
def no_tau(n, *, beta=4.0, tau=None):
    result = four_loops(n, beta=beta, tau=1.0)
    result[-1] = -(0.5 / n**2 if tau is None else tau)
    return result


@wrong("part_templates", "yours is 0.5/n")
def tau_by_n(n, *, beta=4.0, tau=None):
    return four_loops(n, beta=beta, tau=tau or 0.5 / n)


@wrong("part_templates", "as if counted from 1")
def off_by_one(n, *, beta=4.0, tau=None):
    return _build(n, beta, tau, lambda di, dj: abs(di - 1) + abs(dj - 1))


@wrong("part_templates", "yours rises")
def wrong_sign(n, *, beta=4.0, tau=None):
    result = four_loops(n, beta=-beta, tau=tau)
    return result


@wrong("part_templates", "yours are along the last")
def last_axis(n, *, beta=4.0, tau=None):
    return four_loops(n, beta=beta, tau=tau).movedim(0, -1)


@wrong("part_templates", "dtype torch.float32; yours is torch.float64")
def double(n, *, beta=4.0, tau=None):
    return four_loops(n, beta=beta, tau=tau).double()


# --- template_prior ------------------------------------------------------------------------------


@right("template_prior")
def slice_assignment(n, *, alpha=None):
    if alpha is None:
        alpha = n * n / (1 + n * n)
    prior = torch.full((n * n + 1,), 1 - alpha)
    prior[: n * n] = alpha / (n * n)
    return prior


@right("template_prior")
def a_list(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    return [alpha / n**2 for _ in range(n**2)] + [1 - alpha]


@right("template_prior")
def with_cat(n, *, alpha=None):
    somewhere = 1 - 1 / (1 + n**2) if alpha is None else alpha
    places = torch.ones(n, n).flatten() / n**2
    return torch.cat([somewhere * places, torch.tensor([1 - somewhere])])


@right("template_prior")
def with_numpy(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    return torch.from_numpy(np.append(np.repeat(alpha / n**2, n**2), 1 - alpha)).float()


@wrong("template_prior", "yours are all 1 − α")
def nothing_changed(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    return torch.full((n * n + 1,), 1 - alpha)


@wrong("template_prior", "the whole α each")
def not_shared(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    prior = torch.full((n * n + 1,), 1 - alpha)
    prior[:-1] = alpha
    return prior


@wrong("template_prior", "yours divides by n²+1")
def shared_by_all(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    return torch.tensor([alpha / (n**2 + 1)] * n**2 + [1 - alpha])


@wrong("template_prior", "yours divides by n")
def divided_by_side(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    return torch.tensor([alpha / n] * n**2 + [1 - alpha])


@wrong("template_prior", "yours comes first")
def nowhere_first(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    prior = torch.full((n * n + 1,), 1 - alpha)
    prior[1:] = alpha / n**2
    return prior


@wrong("template_prior", "stop after the first row")
def only_one_row(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    prior = torch.full((n * n + 1,), 1 - alpha)
    prior[:n] = alpha / n**2
    return prior


@wrong("template_prior", "whatever α is")
def always_uniform(n, *, alpha=None):
    return torch.ones(n * n + 1) / (n * n + 1)


@wrong("template_prior", "that of “nowhere”")
def alpha_of_the_other(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    return torch.tensor([(1 - alpha) / n**2] * n**2 + [alpha])


@wrong("template_prior", "that of T⁻ is missing")
def places_only(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    return torch.full((n * n,), alpha / n**2)


@wrong("template_prior", "should sum to 1; yours sum to")
def not_normalised(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    return torch.tensor([alpha] * n**2 + [2 - alpha])


# --- part_mask -----------------------------------------------------------------------------------


@right("part_mask")
def mask_from_templates(x, *, beta=4.0):
    shapes = icnn.part_templates(x.shape[-1], beta=beta, tau=1.0, dtype=x.dtype).clamp(min=0)
    return shapes[x.flatten(-2).argmax(-1)]


@right("part_mask")
def mask_with_loops(x, *, beta=4.0):
    n = x.shape[-1]
    result = torch.zeros_like(x)
    for one, out in zip(x.reshape(-1, n, n), result.view(-1, n, n), strict=True):
        r, c = divmod(one.reshape(-1).tolist().index(one.max().item()), n)
        for i in range(n):
            for j in range(n):
                out[i, j] = max(0.0, 1 - beta * (abs(i - r) + abs(j - c)) / n)
    return result


@right("part_mask")
def mask_with_numpy(x, *, beta=4.0):
    values = x.numpy()
    n = values.shape[-1]
    best = values.reshape(*values.shape[:-2], -1).argmax(-1)
    rows, columns = np.unravel_index(best, (n, n))
    i, j = np.indices((n, n))
    d = abs(i - rows[..., None, None]) + abs(j - columns[..., None, None])
    return torch.from_numpy((1 - beta * d / n).clip(0).astype(values.dtype))


@right("part_mask")
def mask_with_coordinates(x, *, beta=4.0):
    n = x.size(-1)
    top = x.amax((-2, -1), keepdim=True)
    first = (x == top).flatten(-2).long().argmax(-1)[..., None, None]
    axis = torch.arange(n, device=x.device)
    d = (axis[:, None] - first // n).abs() + (axis - first % n).abs()
    return torch.relu(1 - beta / n * d.to(x.dtype))


@wrong("part_mask", "already multiplied by the map")
def masked_map(x, *, beta=4.0):
    return x * mask_with_coordinates(x, beta=beta)


@wrong("part_mask", "goes down to −1, like a template")
def whole_template(x, *, beta=4.0):
    shapes = icnn.part_templates(x.shape[-1], beta=beta, tau=1.0, dtype=x.dtype)
    return shapes[x.flatten(-2).argmax(-1)]


@wrong("part_mask", "max(…, 0) is missing")
def no_cut(x, *, beta=4.0):
    n = x.size(-1)
    at = x.flatten(-2).argmax(-1)[..., None, None]
    axis = torch.arange(n)
    d = (axis[:, None] - at // n).abs() + (axis - at % n).abs()
    return (1 - beta * d / n).to(x.dtype)


@wrong("part_mask", "rows and columns are swapped")
def swapped(x, *, beta=4.0):
    n = x.size(-1)
    at = x.flatten(-2).argmax(-1)[..., None, None]
    axis = torch.arange(n)
    d = (axis[:, None] - at % n).abs() + (axis - at // n).abs()
    return (1 - beta * d / n).clamp(min=0).to(x.dtype)


@wrong("part_mask", "largest value of the whole batch")
def one_peak_for_all(x, *, beta=4.0):
    n = x.shape[-1]
    shapes = icnn.part_templates(n, beta=beta, tau=1.0, dtype=x.dtype).clamp(min=0)
    return shapes[int(x.argmax()) % n**2].expand_as(x)


@wrong("part_mask", "yours is τ = 0.5/n² there")
def kept_tau(x, *, beta=4.0):
    shapes = icnn.part_templates(x.shape[-1], beta=beta, dtype=x.dtype).clamp(min=0)
    return shapes[x.flatten(-2).argmax(-1)]


@wrong("part_mask", "around the smallest")
def at_the_minimum(x, *, beta=4.0):
    return mask_with_coordinates(-x, beta=beta)


@wrong("part_mask", "yours is 1 or 0 only")
def hard_edges(x, *, beta=4.0):
    return (mask_with_coordinates(x, beta=beta) > 0).to(x.dtype)


@wrong("part_mask", "the straight line")
def round_mask(x, *, beta=4.0):
    n = x.size(-1)
    at = x.flatten(-2).argmax(-1)[..., None, None]
    axis = torch.arange(n)
    d = ((axis[:, None] - at // n) ** 2 + (axis - at % n) ** 2).to(x.dtype).sqrt()
    return (1 - beta * d / n).clamp(min=0)


@wrong("part_mask", "right for 3×3 maps only")
def side_three(x, *, beta=4.0):
    return mask_with_coordinates(x, beta=beta * x.shape[-1] / 3)


@wrong("part_mask", "of which the first one, row by row, counts")
def last_peak(x, *, beta=4.0):
    return mask_with_coordinates(x.flip(-1, -2), beta=beta).flip(-1, -2)


@wrong("part_mask", "negative everywhere")
def after_relu(x, *, beta=4.0):
    return mask_with_coordinates(x.relu(), beta=beta)


@wrong("part_mask", "dtype torch.float64; yours is torch.float32")
def default_dtype(x, *, beta=4.0):
    return mask_with_coordinates(x, beta=beta).float()


@wrong("part_mask", "changes its argument x in place")
def in_place(x, *, beta=4.0):
    x -= x.amin()
    return mask_with_coordinates(x, beta=beta)


@wrong("part_mask", "IndexError")
def global_argmax(x, *, beta=4.0):
    shapes = icnn.part_templates(x.shape[-1], beta=beta, tau=1.0, dtype=x.dtype).clamp(min=0)
    return shapes[x.argmax()]


@wrong("part_mask", "should be 1 at its peak; yours is 0.8")
def too_low(x, *, beta=4.0):
    return mask_with_coordinates(x, beta=beta) * 0.8


@wrong("part_mask", "0 at once beside it")
def peak_alone(x, *, beta=4.0):
    n = x.shape[-1]
    return torch.nn.functional.one_hot(x.flatten(-2).argmax(-1), n * n).view(x.shape).to(x.dtype)


@wrong("part_mask", "there is no β")
def mask_without_beta(x, *, beta=4.0):
    return mask_with_coordinates(x, beta=1.0)


@wrong("part_templates", "there is no β")
def templates_without_beta(n, *, beta=4.0, tau=None):
    return four_loops(n, beta=1.0, tau=tau)
