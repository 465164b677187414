"""Answers to exercises 3."""

from __future__ import annotations

import math

import numpy as np
import torch

import icnn
from check_answers.registry import right, wrong

# --- filter_loss ---------------------------------------------------------------------------------


def _scores(x, beta):
    return icnn.fitness(x, icnn.part_templates(x.shape[-1], beta=beta, dtype=x.dtype))


def _minus_information(scores, x):
    return -icnn.mutual_information(scores, icnn.template_prior(x.shape[-1], dtype=x.dtype)).mean()


@right("filter_loss")
def scale_the_fitness(x, *, sharpness=None, scale=None, beta=4.0):
    scores = _scores(x, beta)
    if sharpness is not None:
        tau = 0.5 / x.shape[-1] ** 2
        scores = sharpness * scores / (scale[:, None] * tau)
    return _minus_information(scores, x)


@right("filter_loss")
def scale_the_maps(x, *, sharpness=None, scale=None, beta=4.0):
    tau = None
    if sharpness is not None:
        x, tau = x * (sharpness / scale).view(1, -1, 1, 1), 1.0
    templates = icnn.part_templates(x.shape[-1], beta=beta, tau=tau, dtype=x.dtype)
    return _minus_information(torch.einsum("ncij,tij->nct", x, templates), x)


@right("filter_loss")
def a_loop_over_filters(x, *, sharpness=None, scale=None, beta=4.0):
    n = x.shape[-1]
    axis = torch.arange(n, dtype=x.dtype)
    gap = (axis[:, None] - axis).abs()
    d = (gap[:, None, :, None] + gap[None, :, None, :]).reshape(n * n, n * n)
    shapes = torch.cat([(1 - beta * d / n).clamp(min=-1), -torch.ones(1, n * n, dtype=x.dtype)])
    total = 0
    for c in range(x.shape[1]):
        gain = 0.5 / n**2 if sharpness is None else sharpness / scale[c]
        p = (gain * x[:, c].flatten(1) @ shapes.T).softmax(0)
        total = total + (p * (p / p.mean(1, keepdim=True)).log()).sum() / (n * n + 1)
    return -total / x.shape[1]


class _ByHand(torch.autograd.Function):
    """NumPy inside, and a gradient by hand."""

    @staticmethod
    def forward(ctx, x, gain, beta):
        n = x.shape[-1]
        shapes = icnn.part_templates(n, beta=beta, tau=1.0, dtype=torch.float64).numpy()
        s = np.einsum("ncij,tij,c->nct", x.detach().double().numpy(), shapes, gain.double().numpy())
        e = np.exp(s - s.max(0))
        p = e / e.sum(0)
        ell = np.log(p / p.mean(-1, keepdims=True))
        slope = p * (ell - (p * ell).sum(0)) / p.shape[-1] / p.shape[1]
        ctx.slope = torch.from_numpy(np.einsum("nct,tij,c->ncij", slope, shapes, gain.numpy()))
        return x.new_tensor(-(p * ell).sum() / p.shape[-1] / p.shape[1])

    @staticmethod
    def backward(ctx, upstream):
        return -ctx.slope * upstream, None, None


@right("filter_loss")
def numpy_and_a_gradient_by_hand(x, *, sharpness=None, scale=None, beta=4.0):
    literal = torch.full((x.shape[1],), 0.5 / x.shape[-1] ** 2, dtype=x.dtype)
    return _ByHand.apply(x, literal if sharpness is None else sharpness / scale, beta)


@wrong("filter_loss", "division by τ is missing")
def no_tau(x, *, sharpness=None, scale=None, beta=4.0):
    scores = _scores(x, beta)
    if sharpness is not None:
        scores = sharpness * scores / scale[:, None]
    return _minus_information(scores, x)


@wrong("filter_loss", "meets the axis of the templates")
def scale_without_axis(x, *, sharpness=None, scale=None, beta=4.0):
    scores = _scores(x, beta)
    if sharpness is not None:
        scores = sharpness * scores / (scale * 0.5 / x.shape[-1] ** 2)
    return _minus_information(scores, x)


@wrong("filter_loss", "meets the axis of the images")
def scale_with_two_axes(x, *, sharpness=None, scale=None, beta=4.0):
    scores = _scores(x, beta)
    if sharpness is not None:
        scores = sharpness * scores / (scale[:, None, None] * 0.5 / x.shape[-1] ** 2)
    return _minus_information(scores, x)


@wrong("filter_loss", "multiplies by the scale")
def times_scale(x, *, sharpness=None, scale=None, beta=4.0):
    scores = _scores(x, beta)
    if sharpness is not None:
        scores = sharpness * scores * scale[:, None] / (0.5 / x.shape[-1] ** 2)
    return _minus_information(scores, x)


@wrong("filter_loss", "yours does not use it")
def no_sharpness(x, *, sharpness=None, scale=None, beta=4.0):
    scores = _scores(x, beta)
    if sharpness is not None:
        scores = scores / scale[:, None] / (0.5 / x.shape[-1] ** 2)
    return _minus_information(scores, x)


@wrong("filter_loss", "always the one with the paper's constants")
def never_scaled(x, *, sharpness=None, scale=None, beta=4.0):
    return _minus_information(_scores(x, beta), x)


@wrong("filter_loss", "sign of the information")
def plus_sign(x, *, sharpness=None, scale=None, beta=4.0):
    return -scale_the_fitness(x, sharpness=sharpness, scale=scale, beta=beta)


@wrong("filter_loss", "yours is the sum")
def sum_of_filters(x, *, sharpness=None, scale=None, beta=4.0):
    return scale_the_fitness(x, sharpness=sharpness, scale=scale, beta=beta) * x.shape[1]


@wrong("filter_loss", "yours is one number each")
def one_each(x, *, sharpness=None, scale=None, beta=4.0):
    one_each = [
        scale_the_fitness(
            x[:, c : c + 1],
            sharpness=sharpness,
            scale=None if scale is None else scale[c : c + 1],
            beta=beta,
        )
        for c in range(x.shape[1])
    ]
    return torch.stack(one_each)


@wrong("filter_loss", "τ should be 0.5/n²")
def tau_by_n(x, *, sharpness=None, scale=None, beta=4.0):
    scores = _scores(x, beta)
    if sharpness is not None:
        scores = sharpness * scores / (scale[:, None] * 0.5 / x.shape[-1])
    return _minus_information(scores, x)


@wrong("filter_loss", "the same for every β")
def beta_forgotten(x, *, sharpness=None, scale=None, beta=4.0):
    return scale_the_fitness(x, sharpness=sharpness, scale=scale)


@wrong("filter_loss", "yours masks them first")
def after_the_mask(x, *, sharpness=None, scale=None, beta=4.0):
    masked = x * icnn.part_mask(x, beta=beta)
    return scale_the_fitness(masked, sharpness=sharpness, scale=scale, beta=beta)


@wrong("filter_loss", "no gradient reaches x")
def only_a_number(x, *, sharpness=None, scale=None, beta=4.0):
    return scale_the_fitness(x, sharpness=sharpness, scale=scale, beta=beta).item()


@wrong("filter_loss", "Z_T is a constant")
def frozen_normaliser(x, *, sharpness=None, scale=None, beta=4.0):
    n = x.shape[-1]
    gain = 0.5 / n**2 if sharpness is None else (sharpness / scale)[:, None]
    s = gain * icnn.fitness(x, icnn.part_templates(n, beta=beta, tau=1.0, dtype=x.dtype))
    p = s.exp() / s.exp().sum(0).detach()
    return -(p * (p / p.mean(2, keepdim=True)).log()).sum((0, 2)).mean() / (n * n + 1)


@wrong("filter_loss", "changes its argument scale in place")
def scale_changed(x, *, sharpness=None, scale=None, beta=4.0):
    if scale is not None:
        scale *= 0.5 / x.shape[-1] ** 2
        return _minus_information(sharpness * _scores(x, beta) / scale[:, None], x)
    return _minus_information(_scores(x, beta), x)


# --- score_gradient ------------------------------------------------------------------------------


def _only(slope, chosen):
    return (
        slope
        if chosen is None
        else torch.zeros_like(slope).scatter(
            2, chosen[..., None], slope.gather(2, chosen[..., None])
        )
    )


@right("score_gradient")
def closed_form(fitness, prior, chosen=None, frozen=False):
    p = fitness.softmax(0)
    ell = (p / (p @ prior)[..., None]).log()
    baseline = 0 if frozen else (p * ell).sum(0, keepdim=True)
    return _only(prior * p * (ell - baseline), chosen)


@right("score_gradient")
def closed_form_with_loops(fitness, prior, chosen=None, frozen=False):
    result = torch.zeros_like(fitness)
    for c in range(fitness.shape[1]):
        log_p = fitness[:, c] - fitness[:, c].logsumexp(0)
        log_x = (log_p + prior.log()).logsumexp(1)
        for t in range(len(prior)):
            ell = log_p[:, t] - log_x
            p = log_p[:, t].exp()
            own = prior[t] * p * (ell if frozen else ell - torch.dot(p, ell))
            for b in range(len(fitness)):
                if chosen is None or chosen[b, c] == t:
                    result[b, c, t] = own[b]
    return result


@right("score_gradient")
def closed_form_with_numpy(fitness, prior, chosen=None, frozen=False):
    s, q = fitness.numpy(), prior.numpy()
    p = np.exp(s - s.max(0))
    p = p / p.sum(0)
    ell = np.log(p) - np.log(np.einsum("nct,t->nc", p, q))[..., None]
    slope = q * p * (ell if frozen else ell - np.einsum("nct,nct->ct", p, ell))
    if chosen is not None:
        slope = slope * np.eye(len(q))[chosen.numpy()]
    return slope.tolist()


@right("score_gradient")
def by_the_jacobian(fitness, prior, chosen=None, frozen=False):
    """The chain rule through the softmax, written out as a matrix."""
    p = fitness.softmax(0)
    outer = prior * (p / (p * prior).sum(-1, keepdim=True)).log()
    eye = torch.eye(len(p), dtype=p.dtype)
    others = 0 if frozen else torch.einsum("act,bct->abct", p, p)
    jacobian = torch.einsum("act,ab->abct", p, eye) - others
    return _only(torch.einsum("abct,act->bct", jacobian, outer), chosen)


@wrong("score_gradient", "the gradient is to be derived")
def by_autograd(fitness, prior, chosen=None, frozen=False):
    fitness = fitness.clone().requires_grad_()
    given = fitness.softmax(0)
    total = (prior * given * (given / (prior * given).sum(-1, keepdim=True)).log()).sum()
    return torch.autograd.grad(total, fitness)[0]


@wrong("score_gradient", "no image loses what another one gains")
def nothing_taken_off(fitness, prior, chosen=None, frozen=False):
    return closed_form(fitness, prior, chosen, True)


@wrong("score_gradient", "yours takes it always")
def never_frozen(fitness, prior, chosen=None, frozen=False):
    return closed_form(fitness, prior, chosen)


@wrong("score_gradient", "yours does it if frozen")
def the_other_way_round(fitness, prior, chosen=None, frozen=False):
    return closed_form(fitness, prior, chosen, not frozen)


@wrong("score_gradient", "yours freezes p(x) too")
def all_frozen(fitness, prior, chosen=None, frozen=False):
    more = prior * fitness.softmax(0) if frozen else torch.zeros_like(fitness)
    return closed_form(fitness, prior, chosen, frozen) + _only(more, chosen)


@wrong("score_gradient", "yours are kept")
def all_kept(fitness, prior, chosen=None, frozen=False):
    return closed_form(fitness, prior, frozen=frozen)


@wrong("score_gradient", "in yours a map counts only where it is chosen")
def dropped_too_early(fitness, prior, chosen=None, frozen=False):
    p = fitness.softmax(0)
    ell = _only((p / (p @ prior)[..., None]).log(), chosen)
    return _only(prior * p * (ell - (0 if frozen else (p * ell).sum(0))), chosen)


@wrong("score_gradient", "have the shape (N, C, T)")
def the_chosen_entries_alone(fitness, prior, chosen=None, frozen=False):
    slope = closed_form(fitness, prior, frozen=frozen)
    return slope if chosen is None else slope.gather(2, chosen[..., None])[..., 0]


@wrong("score_gradient", "counts all images alike")
def plain_mean(fitness, prior, chosen=None, frozen=False):
    p = fitness.softmax(0)
    ell = (p / (p @ prior)[..., None]).log()
    return _only(prior * p * (ell - (0 if frozen else ell.mean(0))), chosen)


@wrong("score_gradient", "sign, that of the loss")
def downhill(fitness, prior, chosen=None, frozen=False):
    return -closed_form(fitness, prior, chosen, frozen)


@wrong("score_gradient", "the factor p(T) is missing")
def no_prior(fitness, prior, chosen=None, frozen=False):
    return closed_form(fitness, prior, chosen, frozen) / prior


@wrong("score_gradient", "the factor p(x|T) is missing")
def no_likelihood(fitness, prior, chosen=None, frozen=False):
    return closed_form(fitness, prior, chosen, frozen) / fitness.softmax(0)


@wrong("score_gradient", "yours sums over the templates")
def wrong_softmax(fitness, prior, chosen=None, frozen=False):
    p = fitness.softmax(2)
    ell = (p / (p @ prior)[..., None]).log()
    return _only(prior * p * (ell - (0 if frozen else (p * ell).sum(0))), chosen)


@wrong("score_gradient", "in yours p(x) is missing")
def no_marginal(fitness, prior, chosen=None, frozen=False):
    p = fitness.softmax(0)
    return _only(prior * p * (p.log() - (0 if frozen else (p * p.log()).sum(0))), chosen)


@wrong("score_gradient", "yours goes over the templates")
def mean_over_templates(fitness, prior, chosen=None, frozen=False):
    p = fitness.softmax(0)
    ell = (p / (p @ prior)[..., None]).log()
    mean = 0 if frozen else (prior * ell).sum(2, keepdim=True)
    return _only(prior * p * (ell - mean), chosen)


@wrong("score_gradient", "yours is the mutual information")
def information_taken_off(fitness, prior, chosen=None, frozen=False):
    p = fitness.softmax(0)
    ell = (p / (p @ prior)[..., None]).log()
    mean = 0 if frozen else icnn.mutual_information(fitness, prior)[:, None]
    return _only(prior * p * (ell - mean), chosen)


@wrong("score_gradient", "log₂")
def in_bits(fitness, prior, chosen=None, frozen=False):
    return closed_form(fitness, prior, chosen, frozen) / math.log(2)


@wrong("score_gradient", "should sum to 0 over the images")
def a_constant_too_much(fitness, prior, chosen=None, frozen=False):
    return closed_form(fitness, prior, chosen, frozen) + 0.1


# --- paper_gradient ------------------------------------------------------------------------------


def _ingredients(x, beta):
    n = x.shape[-1]
    templates = icnn.part_templates(n, beta=beta, dtype=x.dtype)
    prior = icnn.template_prior(n, dtype=x.dtype)
    log_p = icnn.fitness(x, templates).log_softmax(0)
    return templates, prior, log_p, (prior.log() + log_p).logsumexp(-1)


@right("paper_gradient")
def with_gather(x, is_target, *, beta=4.0):
    templates, prior, log_p, log_x = _ingredients(x, beta)
    chosen = torch.where(is_target, x.flatten(2).argmax(2), len(templates) - 1)
    own = log_p.gather(2, chosen[..., None]).squeeze(2)
    weight = prior[chosen] * own.exp() * (own - log_x)
    return -weight[..., None, None] * templates[chosen] / x.shape[1]


@right("paper_gradient")
def with_two_loops(x, is_target, *, beta=4.0):
    templates, prior, log_p, log_x = _ingredients(x, beta)
    result = torch.empty_like(x)
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            t = int(x[b, c].argmax()) if is_target[b, c] else -1
            ratio = log_p[b, c, t] - log_x[b, c]
            result[b, c] = -prior[t] * log_p[b, c, t].exp() * ratio * templates[t] / x.shape[1]
    return result


@right("paper_gradient")
def with_one_hot(x, is_target, *, beta=4.0):
    templates, prior, log_p, log_x = _ingredients(x, beta)
    at = torch.nn.functional.one_hot(x.flatten(2).argmax(2), len(templates)).bool()
    last = torch.zeros_like(at)
    last[..., -1] = True
    chosen = torch.where(is_target[..., None], at, last).to(x.dtype)
    weight = chosen * prior * log_p.exp() * (log_x[..., None] - log_p)
    return torch.einsum("nct,tij->ncij", weight, templates) / x.shape[1]


@right("paper_gradient")
def numpy_version(x, is_target, *, beta=4.0):
    n = x.shape[-1]
    i = np.arange(n)
    gap = abs(i[:, None] - i)
    d = gap[:, None, :, None] + gap[None, :, None, :]
    tau = 0.5 / n**2
    shapes = np.vstack(
        [tau * np.maximum(1 - beta * d / n, -1).reshape(n * n, -1), [[-tau] * n * n]]
    )
    flat = x.numpy().reshape(*x.shape[:2], -1)
    e = np.exp(flat @ shapes.T)
    p = e / e.sum(0)
    t = np.where(is_target.numpy(), flat.argmax(-1), n * n)
    own = np.take_along_axis(p, t[..., None], -1)
    weight = -own * np.log(own / p.mean(-1, keepdims=True)) / (n * n + 1) / x.shape[1]
    return torch.from_numpy((weight * shapes[t]).reshape(x.shape).astype(flat.dtype))


@wrong("paper_gradient", "as equation 4 is printed")
def sign_as_printed(x, is_target, *, beta=4.0):
    return -with_gather(x, is_target, beta=beta)


@wrong("paper_gradient", "is divided by C; yours is not")
def not_divided(x, is_target, *, beta=4.0):
    return with_gather(x, is_target, beta=beta) * x.shape[1]


@wrong("paper_gradient", "the other way round")
def targets_exchanged(x, is_target, *, beta=4.0):
    return with_gather(x, ~is_target, beta=beta)


@wrong("paper_gradient", "in yours all images take the template at their peak")
def targets_ignored(x, is_target, *, beta=4.0):
    return with_gather(x, torch.ones_like(is_target), beta=beta)


@wrong("paper_gradient", "yours is the best-fitting one")
def best_fitting(x, is_target, *, beta=4.0):
    templates, prior, log_p, log_x = _ingredients(x, beta)
    fits = icnn.fitness(x, templates)[..., :-1].argmax(-1)
    chosen = torch.where(is_target, fits, len(templates) - 1)
    own = log_p.gather(2, chosen[..., None]).squeeze(2)
    weight = prior[chosen] * own.exp() * (own - log_x)
    return -weight[..., None, None] * templates[chosen] / x.shape[1]


@wrong("paper_gradient", "yours sums over the templates")
def z_over_templates(x, is_target, *, beta=4.0):
    templates, prior, _, _ = _ingredients(x, beta)
    p = icnn.fitness(x, templates).softmax(-1)
    chosen = torch.where(is_target, x.flatten(2).argmax(2), len(templates) - 1)
    own = p.gather(2, chosen[..., None]).squeeze(2)
    weight = prior[chosen] * own * (own / (p @ prior)).log()
    return -weight[..., None, None] * templates[chosen] / x.shape[1]


@wrong("paper_gradient", "the factor p(T) of the chosen template is missing")
def prior_forgotten(x, is_target, *, beta=4.0):
    return with_gather(x, is_target, beta=beta) * (x.shape[-1] ** 2 + 1)


@wrong("paper_gradient", "that is the exact gradient")
def exact_gradient(x, is_target, *, beta=4.0):
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(scale_the_fitness(x, beta=beta), x)
    return slope


@wrong("paper_gradient", "adds up all templates")
def all_templates(x, is_target, *, beta=4.0):
    templates, prior, log_p, log_x = _ingredients(x, beta)
    weight = prior * log_p.exp() * (log_p - log_x[..., None])
    return -torch.einsum("nct,tij->ncij", weight, templates) / x.shape[1]


@wrong("paper_gradient", "divided by the number of images")
def divided_by_images(x, is_target, *, beta=4.0):
    return with_gather(x, is_target, beta=beta) * x.shape[1] / x.shape[0]


@wrong("paper_gradient", "rows and columns are swapped")
def transposed_peak(x, is_target, *, beta=4.0):
    templates, prior, log_p, log_x = _ingredients(x, beta)
    chosen = torch.where(is_target, x.mT.flatten(2).argmax(2), len(templates) - 1)
    own = log_p.gather(2, chosen[..., None]).squeeze(2)
    weight = prior[chosen] * own.exp() * (own - log_x)
    return -weight[..., None, None] * templates[chosen] / x.shape[1]


@wrong("paper_gradient", "changes its argument is_target in place")
def target_changed(x, is_target, *, beta=4.0):
    is_target.logical_not_()
    return with_gather(x, ~is_target, beta=beta)
