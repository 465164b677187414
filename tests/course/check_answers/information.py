"""Answers to exercises 2."""

from __future__ import annotations

import math

import numpy as np
import torch

from check_answers.registry import right, wrong

# --- fitness -------------------------------------------------------------------------------------


@right("fitness")
def matrix_product(x, templates):
    return x.flatten(2) @ templates.flatten(1).T


@right("fitness")
def broadcast_and_sum(x, templates):
    return (x[:, :, None] * templates[None, None]).sum(dim=(-1, -2))


@right("fitness")
def tensordot(x, templates):
    return torch.tensordot(x, templates, dims=([2, 3], [1, 2]))


@right("fitness")
def numpy_einsum(x, templates):
    return torch.from_numpy(np.einsum("ncij,tij->nct", x.numpy(), templates.numpy()))


@right("fitness")
def loops_in_lists(x, templates):
    result = []
    for image in x:
        rows = []
        for one in image:
            rows.append([float((one * template).sum()) for template in templates])
        result.append(rows)
    return result


@right("fitness")
def by_convolution(x, templates):
    n, c, side, _ = x.shape
    maps = x.reshape(n * c, 1, side, side)
    return torch.nn.functional.conv2d(maps, templates[:, None]).view(n, c, -1)


@wrong("fitness", "pairs it with (j, i)")
def literal_trace(x, templates):
    products = x[:, :, None] @ templates
    return products.diagonal(dim1=-2, dim2=-1).sum(-1)


@wrong("fitness", "yours is their mean")
def mean_not_sum(x, templates):
    return (x[:, :, None] * templates).mean((-1, -2))


@wrong("fitness", "yours is cut off at 0")
def never_below_zero(x, templates):
    return torch.einsum("ncij,tij->nct", x, templates).clamp(min=0)


@wrong("fitness", "yours is its softmax")
def probabilities_too_early(x, templates):
    return (x.flatten(2) @ templates.flatten(1).T).softmax(2)


@wrong("fitness", "yours is the largest of them")
def best_unit(x, templates):
    return (x.unsqueeze(2) * templates).flatten(3).max(-1).values


@wrong("fitness", "leaves out the negative one")
def positives_only(x, templates):
    return torch.einsum("ncij,tij->nct", x, templates[:-1])


@wrong("fitness", "yours are (image, template, filter)")
def templates_in_the_middle(x, templates):
    return torch.einsum("ncij,tij->ntc", x, templates)


@wrong("fitness", "adds up the filters")
def filters_lost(x, templates):
    return torch.einsum("ncij,tij->nt", x, templates)


@wrong("fitness", "adds up the columns only")
def one_axis(x, templates):
    return (x[:, :, None] * templates).sum(-1)


@wrong("fitness", "cuts off what is negative")
def relu_first(x, templates):
    return torch.einsum("ncij,tij->nct", torch.relu(x), templates)


@wrong("fitness", "its exponential")
def already_exp(x, templates):
    return matrix_product(x, templates).exp()


@wrong("fitness", "minus the squared difference")
def distance(x, templates):
    return -torch.cdist(x.flatten(2), templates.flatten(1)).square()


@wrong("fitness", "dtype torch.float64; yours is torch.float32")
def single_precision(x, templates):
    return matrix_product(x.float(), templates.float())


@wrong("fitness", "only the first digits are right")
def single_precision_inside(x, templates):
    return matrix_product(x.float(), templates.float()).to(x.dtype)


@wrong("fitness", "changes its argument templates in place")
def templates_changed(x, templates):
    templates *= 1.5
    return matrix_product(x, templates) / 1.5


@wrong("fitness", "stops at the line “return x.flatten(2) @ templates.flatten(1)”")
def shapes_do_not_fit(x, templates):
    return x.flatten(2) @ templates.flatten(1)


# --- mutual_information --------------------------------------------------------------------------


@right("mutual_information")
def with_logarithms(fitness, prior):
    log_p = fitness.log_softmax(0)
    log_x = torch.logsumexp(prior.log() + log_p, -1, keepdim=True)
    return (prior * log_p.exp() * (log_p - log_x)).sum(2).sum(0)


@right("mutual_information")
def plain_loops(fitness, prior):
    images, filters, count = fitness.shape
    result = []
    for c in range(filters):
        p = [[0.0] * count for _ in range(images)]
        for t in range(count):
            top = max(float(fitness[b, c, t]) for b in range(images))
            weights = [math.exp(float(fitness[b, c, t]) - top) for b in range(images)]
            for b in range(images):
                p[b][t] = weights[b] / sum(weights)
        total = 0.0
        for b in range(images):
            p_x = sum(float(prior[t]) * p[b][t] for t in range(count))
            for t in range(count):
                if p[b][t] > 0:
                    total += float(prior[t]) * p[b][t] * math.log(p[b][t] / p_x)
        result.append(total)
    return result


@right("mutual_information")
def as_a_difference_of_entropies(fitness, prior):
    p = torch.softmax(fitness, dim=0)
    p_x = p @ prior
    inside = torch.xlogy(p, p).sum(0) @ prior
    return inside - torch.xlogy(p_x, p_x).sum(0)


@right("mutual_information")
def with_numpy(fitness, prior):
    s, q = fitness.numpy(), prior.numpy()
    s = s - s.max(0)
    p = np.exp(s) / np.exp(s).sum(0)
    p_x = (p * q).sum(-1, keepdims=True)
    safe = np.where(p > 0, p, 1)
    return torch.from_numpy(np.einsum("t,nct->c", q, p * np.log(safe / p_x)))


@right("mutual_information")
def filter_by_filter(fitness, prior):
    values = []
    for scores in fitness.unbind(1):
        log_p = scores - scores.logsumexp(0)
        log_x = (log_p + prior.log()).logsumexp(1)
        values.append(torch.sum(prior * torch.exp(log_p) * (log_p - log_x[:, None])))
    return torch.stack(values)


@wrong("mutual_information", "yours sums over the templates")
def softmax_over_templates(fitness, prior):
    p = fitness.softmax(-1)
    p_x = (prior * p).sum(-1, keepdim=True)
    return (prior * p * (p / p_x).log()).sum((0, 2))


@wrong("mutual_information", "yours sums over the filters")
def softmax_over_filters(fitness, prior):
    p = fitness.softmax(1)
    p_x = (prior * p).sum(-1, keepdim=True)
    return (prior * p * (p / p_x).log()).sum((0, 2))


@wrong("mutual_information", "opposite sign")
def minus_sign(fitness, prior):
    return -1 * filter_by_filter(fitness, prior)


@wrong("mutual_information", "in bits, log₂")
def bits(fitness, prior):
    p = fitness.softmax(0)
    p_x = (prior * p).sum(-1, keepdim=True)
    return (prior * p * (p / p_x).log2()).sum((0, 2))


@wrong("mutual_information", "the weights p(T) are missing")
def marginal_without_prior(fitness, prior):
    p = fitness.softmax(0)
    return (prior * p * (p / p.sum(-1, keepdim=True)).log()).sum((0, 2))


@wrong("mutual_information", "yours is 1/N")
def uniform_images(fitness, prior):
    p = fitness.softmax(0)
    return (prior * p * (p * len(p)).log()).sum((0, 2))


@wrong("mutual_information", "yours is not weighted")
def prior_forgotten_outside(fitness, prior):
    p = fitness.softmax(0)
    p_x = (prior * p).sum(-1, keepdim=True)
    return (p * (p / p_x).log()).sum((0, 2))


@wrong("mutual_information", "this factor is missing")
def no_p_x_given_t(fitness, prior):
    p = fitness.softmax(0)
    p_x = (prior * p).sum(-1, keepdim=True)
    return (prior * (p / p_x).log()).sum((0, 2))


@wrong("mutual_information", "N times too small")
def mean_over_images(fitness, prior):
    p = fitness.softmax(0)
    p_x = (prior * p).sum(-1, keepdim=True)
    return (prior * p * (p / p_x).log()).sum(2).mean(0)


@wrong("mutual_information", "exp of the fitness alone")
def no_normalisation(fitness, prior):
    p = fitness.exp()
    p_x = (prior * p).sum(-1, keepdim=True)
    return (prior * p * (p / p_x).log()).sum((0, 2))


@wrong("mutual_information", "yours adds them up")
def one_number(fitness, prior):
    return filter_by_filter(fitness, prior).sum()


@wrong("mutual_information", "of p(x|T) alone")
def negative_conditional_entropy(fitness, prior):
    p = fitness.softmax(0)
    return (prior * p * p.log()).sum((0, 2))


@wrong("mutual_information", "yours are all equally likely")
def uniform_prior(fitness, prior):
    return filter_by_filter(fitness, torch.full_like(prior, 1 / len(prior)))


@wrong("mutual_information", "where exp overflows")
def overflows(fitness, prior):
    p = fitness.exp() / fitness.exp().sum(0)
    p_x = (prior * p).sum(-1, keepdim=True)
    return (prior * p * (p / p_x).log()).sum((0, 2))


@wrong("mutual_information", "where 0·ln 0 is NaN")
def logarithms_late(fitness, prior):
    p = fitness.softmax(0)
    p_x = (prior * p).sum(-1, keepdim=True)
    return (prior * p * (p / p_x).log()).sum((0, 2))


@wrong("mutual_information", "should lie between 0 and ln N")
def entropy_instead(fitness, prior):
    p = fitness.softmax(0)
    return 7 + (prior * p * p.log()).sum((0, 2))


# --- told_by_each --------------------------------------------------------------------------------


def _beliefs(fitness, prior):
    """p(x), p(T|x), ln p(T|x)/p(T)."""
    log_p = fitness.log_softmax(0)
    log_x = torch.logsumexp(prior.log() + log_p, -1)
    news = log_p - log_x[..., None]
    return log_x.exp(), (prior.log() + news).exp(), news


@right("told_by_each")
def mean_news(fitness, prior):
    often, after, news = _beliefs(fitness, prior)
    return often, torch.einsum("nct,nct->nc", after, news)


@right("told_by_each")
def kl_divergence(fitness, prior):
    often, after, _ = _beliefs(fitness, prior)
    logs = prior.log().expand_as(after)
    return often, torch.nn.functional.kl_div(logs, after, reduction="none").sum(-1)


@right("told_by_each")
def with_xlogy(fitness, prior):
    table = prior * fitness.softmax(0)
    often = table.sum(-1)
    after = table / often[..., None]
    return often, torch.xlogy(after, after / prior).sum(-1)


@right("told_by_each")
def told_with_numpy(fitness, prior):
    s, q = fitness.numpy(), prior.numpy()
    p = np.exp(s - s.max(0))
    table = q * p / p.sum(0)
    often = table.sum(-1)
    after = table / often[..., None]
    news = np.log(np.where(after > 0, after, 1) / q)
    return torch.from_numpy(often), torch.from_numpy((after * news).sum(-1))


def _told(phrase):
    """A wrong answer whose second output is a function of p(x), p(T|x), ln p(T|x)/p(T), p(T)."""

    def decorate(formula):
        def answer(fitness, prior):
            often, after, news = _beliefs(fitness, prior)
            return often, formula(often, after, news, prior)

        answer.__name__ = formula.__name__
        return wrong("told_by_each", phrase)(answer)

    return decorate


@_told("yours has the opposite sign")
def minus_told(often, after, news, prior):
    return -(after * news).sum(2)


@_told("with before and after exchanged")
def the_other_way_round(often, after, news, prior):
    return (prior * (prior / after).log()).sum(2)


@wrong("told_by_each", "yours sums over the filters")
def told_over_the_filters(fitness, prior):
    often, after, news = _beliefs(fitness.transpose(0, 1), prior)
    return often.T, (after * news).sum(2).T


@wrong("told_by_each", "the weights p(T) are missing")
def told_without_weights(fitness, prior):
    log_p = fitness.log_softmax(0)
    log_x = log_p.logsumexp(2)
    news = log_p - log_x[..., None]
    return log_x.exp(), (prior * news.exp() * news).sum(2)


@_told("in bits, log₂")
def told_in_bits(often, after, news, prior):
    return (after * news).sum(2) / math.log(2)


@_told("the map's share of the mutual information")
def shares(often, after, news, prior):
    return often * (after * news).sum(2)


@_told("yours are weighted by p(T)")
def weighted_by_the_prior(often, after, news, prior):
    return (prior * news).sum(2)


@_told("yours are weighted by p(x|T)")
def weighted_by_the_lots(often, after, news, prior):
    return (after / prior * often[..., None] * news).sum(2)


@_told("in yours all count alike")
def unweighted(often, after, news, prior):
    return news.sum(2)


@_told("what stays unsure after it")
def doubt_after(often, after, news, prior):
    return torch.special.entr(after).sum(2)


@_told("which has the same mean")
def doubt_taken_away(often, after, news, prior):
    return torch.special.entr(prior).sum() - torch.special.entr(after).sum(2)


@_told("added up over the images")
def told_by_all(often, after, news, prior):
    return (after * news).sum((0, 2))


@wrong("told_by_each", "yours sums over the templates")
def told_of_the_wrong_softmax(fitness, prior):
    p = fitness.softmax(-1)
    often = (prior * p).sum(-1)
    return often, (prior * p / often[..., None] * (p / often[..., None]).log()).sum(-1)


@wrong("told_by_each", "yours are in the other order")
def told_before_often(fitness, prior):
    return mean_news(fitness, prior)[::-1]


@wrong("told_by_each", "yours is its logarithm")
def logarithm_of_often(fitness, prior):
    often, told = mean_news(fitness, prior)
    return often.log(), told


@wrong("told_by_each", "where 0·ln 0 is NaN")
def plain_logarithms(fitness, prior):
    table = prior * fitness.softmax(0)
    often = table.sum(-1)
    after = table / often[..., None]
    return often, (after * (after / prior).log()).sum(-1)


# --- told_whether_where --------------------------------------------------------------------------


def _parts(fitness, prior):
    """ln of p(T_μ, x), p(T⁺, x), p(T⁻, x), p(x), p(T_μ) and p(T⁺)."""
    table = prior.log() + fitness.log_softmax(0)
    some = table[..., :-1].logsumexp(2)
    before = prior[:-1].log()
    return table[..., :-1], some, table[..., -1], table.logsumexp(2), before, before.logsumexp(0)


@right("told_whether_where")
def both_by_logarithms(fitness, prior):
    spots, some, none, x, before, there = _parts(fitness, prior)
    gone = prior[-1].log()
    whether = torch.exp(some) * (some - x - there) + torch.exp(none) * (none - x - gone)
    where = torch.exp(spots) * (spots - some[..., None] - before + there)
    return whether.sum(0), where.sum(2).sum(0)


@right("told_whether_where")
def as_differences_of_entropies(fitness, prior):
    spots, some, none, x, before, there = _parts(fitness, prior)

    def doubt(logs, given):
        return -(logs.exp() * (logs - given)).sum()

    either = torch.stack([there, prior[-1].log()])
    whether, where = [], []
    for c in range(fitness.shape[1]):
        after = doubt(some[:, c], x[:, c]) + doubt(none[:, c], x[:, c])
        whether.append(doubt(either, 0) - after)
        where.append(doubt(before, there) - doubt(spots[:, c], some[:, c, None]))
    return torch.stack(whether), torch.stack(where)


@right("told_whether_where")
def what_is_left_of_the_whole(fitness, prior):
    spots, some, none, x, _, there = _parts(fitness, prior)
    pair = torch.stack([some, none], -1)
    either = torch.stack([there, prior[-1].log()])
    whether = (pair.exp() * (pair - x[..., None] - either)).sum((0, 2))
    table = torch.cat([spots, none[..., None]], -1)
    return whether, (table.exp() * (table - x[..., None] - prior.log())).sum((0, 2)) - whether


def _halves(phrase):
    """A wrong answer that changes the right halves, given the parts."""

    def decorate(formula):
        def answer(fitness, prior):
            return formula(*both_by_logarithms(fitness, prior), *_parts(fitness, prior))

        answer.__name__ = formula.__name__
        return wrong("told_whether_where", phrase)(answer)

    return decorate


@wrong("told_whether_where", "yours sums over the filters")
def halves_over_the_filters(fitness, prior):
    table = prior * fitness.softmax(1)
    some, none, x = table[..., :-1].sum(2), table[..., -1], table.sum(2)
    before = prior[:-1].sum()
    whether = some * (some / before / x).log() + none * (none / prior[-1] / x).log()
    spots = table[..., :-1]
    where = spots * (spots / some[..., None] / prior[:-1] * before).log()
    return whether.sum(0), where.sum((0, 2))


@_halves("divide p(T_μ, x) by p(T⁺, x); yours is not divided")
def where_of_the_joint(whether, where, spots, some, none, x, before, there):
    return whether, (spots.exp() * (spots - (before - there))).sum((0, 2))


@_halves("yours are in the other order")
def where_before_whether(whether, where, *_):
    return where, whether


@_halves("yours is the whole mutual information")
def all_of_it(whether, where, *_):
    return whether, whether + where


@_halves("in bits, log₂")
def halves_in_bits(whether, where, *_):
    return whether / math.log(2), where / math.log(2)


@wrong("told_whether_where", "yours are the two doubts of equation 5")
def doubts_of_the_lesson(fitness, prior):
    def entropy(p):
        return torch.special.entr(p).sum(-1)

    joint = prior * fitness.softmax(0)
    x = joint.sum(2)
    after = joint / x[..., None]
    there = after[..., :-1].sum(2)
    whether = x * entropy(torch.stack([there, 1 - there], -1))
    return whether.sum(0), (x * there * entropy(after[..., :-1] / there[..., None])).sum(0)


@_halves("yours is what stays unsure, H(T′|X)")
def doubt_of_whether(whether, where, spots, some, none, x, before, there):
    return -(some.exp() * (some - x) + none.exp() * (none - x)).sum(0), where


@_halves("yours leaves out T⁻")
def half_of_whether(whether, where, spots, some, none, x, before, there):
    return (some.exp() * (some - x - there)).sum(0), where


@_halves("“where”; yours is what stays unsure")
def doubt_of_where(whether, where, spots, some, none, x, before, there):
    return whether, -(spots.exp() * (spots - some[..., None])).sum((0, 2))


@_halves("yours divides by p(x), and so counts part of “whether” again")
def where_given_x(whether, where, spots, some, none, x, before, there):
    return whether, (spots.exp() * (spots - x[..., None] - before)).sum((0, 2))


@_halves("yours is p(T_μ)")
def prior_of_a_place_not_scaled(whether, where, spots, some, none, x, before, there):
    return whether, where - there * some.exp().sum(0)


@_halves("in yours all images count alike")
def where_unweighted(whether, where, spots, some, none, x, before, there):
    place = spots - some[..., None]
    return whether, (place.exp() * (place - before + there)).sum((0, 2))


@wrong("told_whether_where", "takes the first for it")
def negative_template_first(fitness, prior):
    return both_by_logarithms(fitness.roll(-1, 2), prior.roll(-1, 0))


@wrong("told_whether_where", "should return 2 things")
def one_half(fitness, prior):
    return both_by_logarithms(fitness, prior)[:1]


@wrong("told_whether_where", "where 0·ln 0 is NaN")
def without_logarithms(fitness, prior):
    table = prior * fitness.softmax(0)
    spots, none, x = table[..., :-1], table[..., -1], table.sum(-1)
    some, there = spots.sum(-1), prior[:-1].sum()
    whether = some * (some / x / there).log() + none * (none / x / prior[-1]).log()
    where = spots * (spots / some[..., None] / prior[:-1] * there).log()
    return whether.sum(0), where.sum((0, 2))
