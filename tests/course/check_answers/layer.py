"""Answers to exercises 4."""

from __future__ import annotations

import numpy as np
import torch

import icnn
from check_answers.registry import right, wrong

# --- masked_maps ---------------------------------------------------------------------------------


@right("masked_maps")
def product_and_relu(x, *, beta=4.0):
    return torch.relu(x * icnn.part_mask(x, beta=beta))


@right("masked_maps")
def with_maximum(x, *, beta=4.0):
    mask = icnn.part_mask(x.detach(), beta=beta)
    return torch.maximum(torch.mul(mask, x), torch.zeros((), dtype=x.dtype))


@right("masked_maps")
def map_by_map(x, *, beta=4.0):
    return _map_by_map(x, beta, torch.arange(x.shape[-1], dtype=x.dtype))


@wrong("masked_maps", "only the first digits are right")
def whole_numbers_divided(x, *, beta=4.0):
    return _map_by_map(x, beta, torch.arange(x.shape[-1]))


def _map_by_map(x, beta, i):
    n = x.shape[-1]
    images = []
    for image in x:
        filters = []
        for one in image:
            r, c = divmod(int(one.argmax()), n)
            mask = 1 - beta * ((i - r).abs()[:, None] + (i - c).abs()) / n
            filters.append((one * mask.clamp(min=0).to(one.dtype)).clamp(min=0))
        images.append(torch.stack(filters))
    return torch.stack(images)


@right("masked_maps")
def numpy_mask(x, *, beta=4.0):
    values = x.detach().numpy()
    n = values.shape[-1]
    at = values.reshape(*values.shape[:2], -1).argmax(-1)[..., None, None]
    i, j = np.indices((n, n))
    mask = np.maximum(1 - beta * (abs(i - at // n) + abs(j - at % n)) / n, 0)
    return x.mul(torch.from_numpy(mask).to(x.dtype)).relu()


@wrong("masked_maps", "a ReLU, is missing")
def no_relu(x, *, beta=4.0):
    return x * icnn.part_mask(x, beta=beta)


@wrong("masked_maps", "but no mask")
def only_relu(x, *, beta=4.0):
    return torch.relu(x)


@wrong("masked_maps", "yours is the mask alone")
def only_mask(x, *, beta=4.0):
    return icnn.part_mask(x, beta=beta)


@wrong("masked_maps", "changes its argument x in place")
def multiplied_in_place(x, *, beta=4.0):
    x *= icnn.part_mask(x, beta=beta)
    return x.relu()


@wrong("masked_maps", "the same for every β")
def usual_beta(x, *, beta=4.0):
    return torch.relu(x * icnn.part_mask(x))


@wrong("masked_maps", "all filters of an image share one")
def shared_mask(x, *, beta=4.0):
    return torch.relu(x * icnn.part_mask(x.mean(1, keepdim=True), beta=beta))


@wrong("masked_maps", "near units pass in full")
def cut_out(x, *, beta=4.0):
    return torch.where(icnn.part_mask(x, beta=beta) > 0, x, 0).relu()


@wrong("masked_maps", "negative values into positive ones")
def by_the_template(x, *, beta=4.0):
    templates = icnn.part_templates(x.shape[-1], beta=beta, tau=1.0, dtype=x.dtype)
    return torch.relu(x * templates[x.flatten(2).argmax(2)])


@wrong("masked_maps", "yours is τ there")
def with_tau(x, *, beta=4.0):
    templates = icnn.part_templates(x.shape[-1], beta=beta, dtype=x.dtype).relu()
    return torch.relu(x * templates[x.flatten(2).argmax(2)])


@wrong("masked_maps", "masked twice")
def twice(x, *, beta=4.0):
    once = product_and_relu(x, beta=beta)
    return once * icnn.part_mask(once, beta=beta) if (x > 0).any() else once


@wrong("masked_maps", "no gradient reaches x")
def through_numpy(x, *, beta=4.0):
    values = x.detach().numpy() * icnn.part_mask(x, beta=beta).numpy()
    return torch.from_numpy(np.maximum(values, 0))


@wrong("masked_maps", "removes it and keeps the rest")
def inverted(x, *, beta=4.0):
    return torch.relu(x * (1 - icnn.part_mask(x, beta=beta)))


# --- running_peak --------------------------------------------------------------------------------


@right("running_peak")
def by_the_formula(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    share = max(momentum, 1 / (seen + 1))
    return new if old is None else old + share * (new - old)


@right("running_peak")
def no_grad_and_two_shares(old, x, momentum, seen):
    with torch.no_grad():
        new = x.flatten(2).max(dim=2)[0].sum(0) / len(x)
        if old is None:
            return new
        if (seen + 1) * momentum < 1:
            return (seen * old + new) / (seen + 1)
        return (1 - momentum) * old + momentum * new


@right("running_peak")
def peaks_with_numpy(old, x, momentum, seen):
    new = torch.from_numpy(x.detach().numpy().max((2, 3)).mean(0))
    return torch.lerp(old, new, max(momentum, 1 / (1 + seen))) if old is not None else new


@right("running_peak")
def peaks_with_loops(old, x, momentum, seen):
    new = []
    for c in range(x.shape[1]):
        highest = [float(x[b, c].max()) for b in range(x.shape[0])]
        new.append(sum(highest) / len(highest))
    if old is None:
        return new
    share = 1 / min(seen + 1, 1 / momentum)
    return [float(o) + share * (n - float(o)) for o, n in zip(old, new, strict=True)]


@right("running_peak")
def zeros_before_the_first(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    old = torch.zeros_like(new) if old is None else old
    return old + max(momentum, 1 / (seen + 1)) * (new - old)


@wrong("running_peak", "share of the old one")
def momentum_on_the_old(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    s = max(momentum, 1 / (seen + 1))
    return new if old is None else s * old + (1 - s) * new


@wrong("running_peak", "largest peak of the batch")
def largest_of_all(old, x, momentum, seen):
    new = x.detach().amax((0, 2, 3))
    return new if old is None else old + max(momentum, 1 / (seen + 1)) * (new - old)


@wrong("running_peak", "yours is the mean over the units")
def means_not_peaks(old, x, momentum, seen):
    new = x.detach().mean((0, 2, 3))
    return new if old is None else old + max(momentum, 1 / (seen + 1)) * (new - old)


@wrong("running_peak", "yours averages the maps first")
def peak_of_the_mean_map(old, x, momentum, seen):
    new = x.detach().mean(0).amax((1, 2))
    return new if old is None else old + max(momentum, 1 / (seen + 1)) * (new - old)


@wrong("running_peak", "grows without end")
def only_adds(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    return new if old is None else old + max(momentum, 1 / (seen + 1)) * new


@wrong("running_peak", "yours forgets it")
def forgets(old, x, momentum, seen):
    return x.detach().amax((2, 3)).mean(0)


@wrong("running_peak", "yours is always 0.1")
def fixed_momentum(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    return new if old is None else old.lerp(new, max(0.1, 1 / (seen + 1)))


@wrong("running_peak", "averaged over the filters, too")
def all_filters_alike(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean().repeat(x.shape[1])
    return new if old is None else old + max(momentum, 1 / (seen + 1)) * (new - old)


@wrong("running_peak", "carry a gradient")
def with_gradient(old, x, momentum, seen):
    new = x.amax((2, 3)).mean(0)
    return new if old is None else old + max(momentum, 1 / (seen + 1)) * (new - old)


@wrong("running_peak", "changes its argument old in place")
def old_in_place(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    return new if old is None else old.lerp_(new, max(momentum, 1 / (seen + 1)))


@wrong("running_peak", "stops at the line “if not old:”")
def truth_of_a_tensor(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    if not old:
        return new
    return old + max(momentum, 1 / (seen + 1)) * (new - old)


@wrong("running_peak", "an old value of 0, which is not the same as None")
def zero_is_not_none(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    if old is None or not old.any():
        return new
    return old + max(momentum, 1 / (seen + 1)) * (new - old)


@wrong("running_peak", "the first one outweighs them")
def as_in_the_lesson(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    return new if old is None else old + momentum * (new - old)


@wrong("running_peak", "the mean of all batches for ever")
def never_forgets(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    return new if old is None else (seen * old + new) / (seen + 1)


@wrong("running_peak", "counted as one of them")
def one_too_few(old, x, momentum, seen):
    new = x.detach().amax((2, 3)).mean(0)
    return new if old is None else old + max(momentum, 1 / seen) * (new - old)


# --- assign_categories ---------------------------------------------------------------------------


@right("assign_categories")
def mean_by_mean(activations, labels, n_categories):
    level = activations.mean((2, 3))
    table = torch.full((n_categories, level.shape[1]), -torch.inf, dtype=level.dtype)
    for k in labels.unique():
        table[k] = level[labels == k].mean(0)
    return table.argmax(0)


@right("assign_categories")
def by_matrix_product(activations, labels, n_categories):
    hot = torch.nn.functional.one_hot(labels, n_categories).to(activations.dtype)
    means = hot.T @ activations.flatten(2).mean(2) / hot.sum(0)[:, None]
    return means.nan_to_num(-1).argmax(0)


@right("assign_categories")
def best_so_far(activations, labels, n_categories):
    answer = []
    for c in range(activations.shape[1]):
        best, favourite = -float("inf"), 0
        for k in range(n_categories):
            own = [float(a[c].mean()) for a, y in zip(activations, labels, strict=True) if y == k]
            if own and sum(own) / len(own) > best:
                best, favourite = sum(own) / len(own), k
        answer.append(favourite)
    return torch.tensor(answer)


@right("assign_categories")
def categories_with_numpy(activations, labels, n_categories):
    level, y = activations.numpy().mean((2, 3), dtype=np.float64), labels.numpy()
    table = np.full((n_categories, level.shape[1]), -np.inf)
    for k in np.unique(y):
        table[k] = level[y == k].mean(0)
    return torch.as_tensor(table.argmax(0))


@wrong("assign_categories", "yours compares sums")
def sums(activations, labels, n_categories):
    hot = torch.nn.functional.one_hot(labels, n_categories).to(activations.dtype)
    return (hot.T @ activations.mean((2, 3))).argmax(0)


@wrong("assign_categories", "yours takes the peak of each map")
def peaks_of_maps(activations, labels, n_categories):
    hot = torch.nn.functional.one_hot(labels, n_categories).to(activations.dtype)
    means = hot.T @ activations.amax((2, 3)) / hot.sum(0)[:, None]
    return means.nan_to_num(-1).argmax(0)


@wrong("assign_categories", "the one strongest image")
def top_image(activations, labels, n_categories):
    return labels[activations.mean((2, 3)).max(0).indices]


@wrong("assign_categories", "which filter each category prefers")
def wrong_axis(activations, labels, n_categories):
    level = activations.mean((2, 3))
    return torch.stack([level[labels == k].mean(0) for k in range(n_categories)]).argmax(1)


@wrong("assign_categories", "the smallest")
def least(activations, labels, n_categories):
    hot = torch.nn.functional.one_hot(labels, n_categories).to(activations.dtype)
    return (hot.T @ activations.mean((2, 3)) / hot.sum(0)[:, None]).argmin(0)


@wrong("assign_categories", "counted from 1")
def from_one(activations, labels, n_categories):
    return mean_by_mean(activations, labels, n_categories) + 1


@wrong("assign_categories", "argmax takes for the largest")
def nan_wins(activations, labels, n_categories):
    level = activations.mean((2, 3))
    return torch.stack([level[labels == k].mean(0) for k in range(n_categories)]).argmax(0)


@wrong("assign_categories", "its mean activation")
def the_mean_itself(activations, labels, n_categories):
    level = activations.mean((2, 3))
    return torch.stack([level[labels == k].mean(0) for k in labels.unique()]).amax(0)


@wrong("assign_categories", "one-hot")
def one_hot(activations, labels, n_categories):
    return torch.nn.functional.one_hot(
        mean_by_mean(activations, labels, n_categories), n_categories
    )


@wrong("assign_categories", "dtype torch.int64; yours is torch.float32")
def floats(activations, labels, n_categories):
    return mean_by_mean(activations, labels, n_categories).float()


@wrong("assign_categories", "the lowest one with images counts")
def zeros_for_absent(activations, labels, n_categories):
    hot = torch.nn.functional.one_hot(labels, n_categories).to(activations.dtype)
    return (hot.T @ activations.mean((2, 3)) / hot.sum(0).clamp(min=1)[:, None]).argmax(0)
