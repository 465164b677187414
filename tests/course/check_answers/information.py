"""Answers to exercises 2."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.distributions import Categorical

from check_answers.registry import right, wrong

# --- more of equation 5: what stands for the weight and the probability in its last term ---------


def _equation_5(where):
    def terms(fitness, prior):
        table = prior * fitness.softmax(0)
        some, x = table[..., :-1].sum(-1, keepdim=True), table.sum(-1, keepdim=True)
        first = -(prior * prior.log()).sum().expand(fitness.shape[1])
        pairs = torch.cat([some, table[..., -1:]], -1)
        return first, -(pairs * (pairs / x).log()).sum((0, 2)), where(table[..., :-1], some, x)

    return terms


def _entropy(p):
    return -(p * p.log()).sum(-1)


for _phrase, _where in {
    "the plain mean over the images": lambda spots, some, x: _entropy(spots / some).mean(0),
    "yours counts with p(x)": lambda spots, some, x: (x[..., 0] * _entropy(spots / some)).sum(0),
    "yours counts with p(T⁺|x)": lambda spots, some, x: (
        (some / x)[..., 0] * _entropy(spots / some)
    ).sum(0),
    "yours is not divided": lambda spots, some, x: _entropy(spots).sum(0),
    "yours sums to less": lambda spots, some, x: (some[..., 0] * _entropy(spots / x)).sum(0),
    "both are missing": lambda spots, some, x: _entropy(spots / x).sum(0),
}.items():
    wrong("entropy_terms", _phrase)(_equation_5(_where))


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


@wrong("mutual_information", "should lie between 0 and ln N")
def entropy_instead(fitness, prior):
    p = fitness.softmax(0)
    return 7 + (prior * p * p.log()).sum((0, 2))


# --- entropy_terms -------------------------------------------------------------------------------


@right("entropy_terms")
def from_the_table(fitness, prior):
    return _terms(prior * fitness.softmax(0), prior)


def _terms(table, prior):
    x = table.sum(2)
    some, none = table[..., :-1].sum(2), table[..., -1]
    whether = -(some * (some / x).log() + none * (none / x).log()).sum(0)
    where = -(table[..., :-1] * (table[..., :-1] / some[..., None]).log()).sum((0, 2))
    return torch.ones_like(whether) * -(prior * prior.log()).sum(), whether, where


@right("entropy_terms")
def with_categorical(fitness, prior):
    table = prior * fitness.softmax(0)
    x, some = table.sum(2), table[..., :-1].sum(2)
    either = Categorical(probs=torch.stack([some, table[..., -1]], -1))
    place = Categorical(probs=table[..., :-1])
    before = Categorical(probs=prior).entropy().repeat(fitness.shape[1])
    return before, (x * either.entropy()).sum(0), (some * place.entropy()).sum(0)


@right("entropy_terms")
def entropies_by_loops(fitness, prior):
    p = fitness.softmax(0).tolist()
    q = prior.tolist()
    before, whether, where = [], [], []
    for c in range(fitness.shape[1]):
        before.append(-sum(v * math.log(v) for v in q))
        a = b = 0.0
        for row in p:
            joint = [v * w for v, w in zip(q, row[c], strict=True)]
            some = sum(joint[:-1])
            a -= some * math.log(some / sum(joint)) + joint[-1] * math.log(joint[-1] / sum(joint))
            b -= sum(v * math.log(v / some) for v in joint[:-1])
        whether.append(a)
        where.append(b)
    return before, whether, where


@right("entropy_terms")
def entropies_with_numpy(fitness, prior):
    s, q = fitness.numpy(), prior.numpy()
    p = np.exp(s - s.max(0))
    table = q * p / p.sum(0)

    def entropy(values):
        return -(values * np.log(values)).sum(-1)

    some, x = table[..., :-1].sum(-1), table.sum(-1)
    pair = np.stack([some, table[..., -1]], -1)
    terms = (
        np.full(s.shape[1], entropy(q)),
        (entropy(pair) + x * np.log(x)).sum(0),
        (entropy(table[..., :-1]) + some * np.log(some)).sum(0),
    )
    return tuple(map(torch.from_numpy, terms))


def _parts(fitness, prior):
    table = prior * fitness.softmax(0)
    return table[..., :-1], table[..., :-1].sum(2), table[..., -1], table.sum(2)


@wrong("entropy_terms", "yours are in the other order")
def where_before_whether(fitness, prior):
    before, whether, where = from_the_table(fitness, prior)
    return before, where, whether


@wrong("entropy_terms", "takes the first for it")
def negative_template_first(fitness, prior):
    return from_the_table(fitness.roll(-1, 2), prior.roll(-1, 0))


@wrong("entropy_terms", "as equation 7 does in the paper")
def sign_of_the_paper(fitness, prior):
    spots, some, _, _ = _parts(fitness, prior)
    before, whether, _ = from_the_table(fitness, prior)
    return before, whether, (spots * (spots / some[..., None]).log()).sum((0, 2))


@wrong("entropy_terms", "yours divides by p(x)")
def where_given_x(fitness, prior):
    spots, _, _, x = _parts(fitness, prior)
    before, whether, _ = from_the_table(fitness, prior)
    return before, whether, -(spots * (spots / x[..., None]).log()).sum((0, 2))


@wrong("entropy_terms", "should count with p(T⁺, x)")
def where_unweighted(fitness, prior):
    spots, some, _, _ = _parts(fitness, prior)
    share = spots / some[..., None]
    before, whether, _ = from_the_table(fitness, prior)
    return before, whether, -(share * share.log()).sum((0, 2))


@wrong("entropy_terms", "should count with p(x)")
def whether_unweighted(fitness, prior):
    _, some, none, x = _parts(fitness, prior)
    before, _, where = from_the_table(fitness, prior)
    return before, -(some / x * (some / x).log() + none / x * (none / x).log()).sum(0), where


@wrong("entropy_terms", "yours leaves out T⁻")
def half_of_whether(fitness, prior):
    _, some, _, x = _parts(fitness, prior)
    before, _, where = from_the_table(fitness, prior)
    return before, -(some * (some / x).log()).sum(0), where


@wrong("entropy_terms", "right for equal probabilities only")
def log_of_the_count(fitness, prior):
    _, whether, where = from_the_table(fitness, prior)
    return torch.full_like(whether, math.log(prior.numel())), whether, where


@wrong("entropy_terms", "yours is one number")
def one_prior_entropy(fitness, prior):
    _, whether, where = from_the_table(fitness, prior)
    return -(prior * prior.log()).sum(), whether, where


@wrong("entropy_terms", "a sum over the images (axis 0); yours sums over the templates")
def terms_of_the_wrong_softmax(fitness, prior):
    return _terms(prior * fitness.softmax(-1), prior)


@wrong("entropy_terms", "in yours the prior is missing")
def no_prior(fitness, prior):
    return _terms(fitness.softmax(0), prior)


@wrong("entropy_terms", "in bits, log₂")
def terms_in_bits(fitness, prior):
    return tuple(term / math.log(2) for term in from_the_table(fitness, prior))


@wrong("entropy_terms", "should return 3 things, one after the other; got 2")
def two_terms(fitness, prior):
    return from_the_table(fitness, prior)[1:]
