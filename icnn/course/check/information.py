"""Exercises 2: fitness, mutual information, and equation 5."""

import math

import torch
from torch import Tensor

import icnn
from icnn.course.check._runner import Given, Task, random


def _prior(size: int, *, seed: int) -> Tensor:
    prior = 0.2 + random(size, seed=seed)
    return prior / prior.sum()


def fitnesses(*shape: int, seed: int, least=-3.0, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    """Fitnesses in a range of 6, (N, C, T), and a prior that is not uniform, (T,)."""
    prior = _prior(shape[-1], seed=seed + 1)
    return (6 * random(*shape, seed=seed) + least).to(dtype), prior.to(dtype)


def _signed(*shape: int, seed: int) -> Tensor:
    return 2 * random(*shape, seed=seed) - 1


def _fitness(x, templates):
    fitness = torch.einsum("bcij,tij->bct", x, templates)
    return fitness


AXES = "the axes should be (image, filter, template); yours "
fitness = Task(
    _fitness,
    outputs={"the fitness": "(N, C, n²+1)"},
    cases={
        Given(random(3, 2, 4, 4), _signed(17, 4, 4, seed=1)): "three images, two filters and 4×4 "
        "maps",
        Given(random(2, 4, 3, 3, seed=2), icnn.part_templates(3, dtype=torch.float64)): "maps of "
        "3×3 units and real templates",
        Given(_signed(4, 3, 2, 2, seed=3), _signed(5, 2, 2, seed=4)): "maps with negative values",
    },
    edges={
        Given(random(1, 1, 5, 5, seed=5), _signed(26, 5, 5, seed=6)): "a batch of one image with "
        "one filter",
        Given(random(3, 2, 1, 1, seed=7), _signed(2, 1, 1, seed=8)): "maps of one unit",
        Given(random(3, 2, 4, 4).float(), _signed(17, 4, 4, seed=1).float()): "maps in float32",
    },
    slips={
        (", templates)\n", ", templates.mT)\n"): "unit (i, j) of the map belongs to unit (i, j) "
        "of the template; yours pairs it with (j, i), as the trace of a matrix product does",
        (", templates)\n", ", templates.relu())\n"): "the negative part of a template counts, "
        "too: that is what punishes activation in the wrong place; yours cuts it off",
        ("return fitness", "return fitness / templates[0].numel()"): "the fitness is the sum over "
        "the n² units; yours is their mean",
        ("return fitness", "return fitness[..., :-1]"): "there should be a fitness for each of "
        "the n²+1 templates; yours leaves out the negative one",
        ("return fitness", "return fitness.transpose(1, 2)"): f"{AXES}are (image, template, "
        "filter)",
        ("return fitness", "return fitness.transpose(0, 1)"): f"{AXES}are (filter, image, "
        "template)",
        ("return fitness", "return fitness.permute(2, 0, 1)"): f"{AXES}begin with the template",
        ("return fitness", "return fitness.sum(1)"): "every filter has fitnesses of its own; "
        "yours adds up the filters",
        ("return fitness", "return fitness.amax(-1)"): "every template should get its fitness; "
        "yours keeps the best one only",
        ("return fitness", "return fitness.exp()"): "the fitness is the sum itself; yours is its "
        "exponential, which comes later, in p(x|T)",
        (
            "return fitness",
            "return torch.cosine_similarity(x.flatten(2)[:, :, None], templates.flatten(1), -1)",
        ): "the fitness is the plain sum; yours is divided by the lengths of map and template, "
        "which forgets how strong the map is",
        ("return fitness", "return -((x[:, :, None] - templates) ** 2).sum((-2, -1))"): "the "
        "fitness is the sum of products x·t; yours is minus the squared difference",
        ("x, templates)\n", "x.relu(), templates)\n"): "the fitness takes the map as it is; yours "
        "cuts off what is negative",
        ("->bct", "->bcti"): "the sum should go over rows and columns; yours adds up the columns "
        "only",
    },
    same_dtype=True,
)


def ln_p_x(log_p: Tensor, prior: Tensor) -> Tensor:
    """Of ln p(x|T), (N, C, T): one for each map, (N, C, 1)."""
    return (prior.log() + log_p).logsumexp(-1, keepdim=True)


def _mutual_information(fitness, prior):
    """The mutual information, plainly written."""
    log_p = fitness.log_softmax(0)
    p, ratio = log_p.exp(), log_p - ln_p_x(log_p, prior)
    return (prior * p * ratio).sum((0, 2))


WRONG_Z = {
    (".log_softmax(0)", ".log_softmax(2)"): "Z_T should sum over the images (axis 0); yours sums "
    "over the templates",
}
WRONG_P_X = {
    ("ln_p_x(log_p, prior)", "log_p.exp().mean(-1, keepdim=True).log()"): "p(x) should be Σ_T "
    "p(T) p(x|T); yours takes the plain mean over the templates",
}


def _law_of_information(got: Tensor, want: Tensor, args: tuple) -> tuple:
    most = math.log(len(args[0]))
    words = f"the mutual information should lie between 0 and ln N = {most:.3g}, and be {{}}"
    return (got < -1e-4) | (got > most + 1e-4), words + "; yours is {}", want, got


WORKED_SCORES = torch.tensor([[2.0, 0.0, 1.0], [0.0, 2.0, 1.0]], dtype=torch.float64)[:, None]
THIRDS = torch.full((3,), 1 / 3, dtype=torch.float64)
# For every function that is handed fitnesses: usual ones, and those that it must bear.
USUAL = {
    Given(*fitnesses(4, 2, 5, seed=1)): "four images, two filters and five templates",
    Given(WORKED_SCORES, THIRDS): "the worked example",
    Given(*fitnesses(3, 4, 10, seed=3)): "three images, four filters and ten templates",
}
EXTREME = {
    Given(*fitnesses(4, 2, 5, seed=19, least=997.0)): "fitnesses of 1000, where exp overflows "
    "(softmax, log_softmax and logsumexp do not)",
    Given(*fitnesses(4, 3, 5, seed=1, dtype=torch.float32)): "fitnesses in float32",
}

mutual_information = Task(
    _mutual_information,
    outputs={"the mutual information": "(C,)"},
    cases=USUAL,
    edges={
        Given(*fitnesses(1, 2, 5, seed=5)): "a batch of one image, which can tell nothing",
        Given(fitnesses(1, 2, 5, seed=8)[0].repeat(3, 1, 1), _prior(5, seed=9)): "identical maps, "
        "which tell nothing",
        **EXTREME,
    },
    slips={
        (".sum((0, 2))", ".sum((0, 2)) / math.log(2)"): "the result should be in nats, with the "
        "natural logarithm; yours is in bits, log₂",
        (".sum((0, 2))", ".sum(2).mean(0)"): "the probabilities p(x|T) already weigh the images, "
        "so they are summed; yours takes the mean over the images, and is N times too small",
        (".sum((0, 2))", ".sum()"): "each filter should get a number of its own, (C,); yours adds "
        "them up",
        (".sum((0, 2))", ".sum((0, 2)).mean()"): "each filter should get a number of its own, "
        "(C,); yours is the mean over the filters",
        (".sum((0, 2))", ".sum(2)"): "the result should be one number for each filter; yours "
        "still has the axis of the images, (N, C)",
        (".sum((0, 2))", ".sum(0)"): "the result should be one number for each filter; yours "
        "still has the axis of the templates, (C, T)",
        ("return (", "return -("): "mutual information is never negative; yours has the opposite "
        "sign, that of the loss or of ln p(x)/p(x|T)",
        ("log_p = f", "prior = 0 * prior + 1 / len(prior); log_p = f"): "the templates should be "
        "weighted by the given prior; yours are all equally likely",
        **WRONG_Z,
        (".log_softmax(0)", ".log_softmax(1)"): "Z_T should sum over the images (axis 0); yours "
        "sums over the filters, which should not know of each other",
        (".log_softmax(0)", " - fitness.logsumexp((0, 2), keepdim=True)"): "each template should "
        "have its own Z_T, a sum over the images; yours has one sum over images and templates",
        (".log_softmax(0)", ""): "p(x|T) should be divided by Z_T, so that it sums to 1 over the "
        "images; yours is exp of the fitness alone",
        ("ln_p_x(log_p, prior)", "-math.log(len(log_p))"): "p(x) should be Σ_T p(T) p(x|T), "
        "another number for each image; yours is 1/N",
        ("ln_p_x(log_p, prior)", "log_p.logsumexp(-1, keepdim=True)"): "p(x) should be Σ_T p(T) "
        "p(x|T); in yours the weights p(T) are missing",
        **WRONG_P_X,
        ("ln_p_x(log_p, prior)", "(prior.log() + log_p).logsumexp(0, keepdim=True)"): "p(x) "
        "should be a sum over the templates, one number for each image; yours sums over the images",
        ("ln_p_x(log_p, prior)", "0"): "the logarithm should be of p(x|T)/p(x); yours is of "
        "p(x|T) alone",
        ("prior * p * ratio", "p * ratio"): "the sum over the templates should be weighted by "
        "p(T); yours is not weighted",
        ("prior * p * ratio", "prior * ratio"): "inside, each image should count with p(x|T); in "
        "yours this factor is missing",
        ("(prior * p * ratio).sum((0, 2))", "(p * ratio).sum(0).mean(-1)"): "the outer sum should "
        "be weighted by the given p(T); yours is a plain mean over the templates",
    },
    own=("entropy_terms",),
    law=_law_of_information,
)


def _unsure(p, given=0.0):
    """−p ln(p/given), of logarithms."""
    return -(p.exp() * (p - given))


def _entropy_terms(fitness, prior):
    table = prior.log() + fitness.log_softmax(0)
    spots, none = table[..., :-1], table[..., -1]
    some, x = spots.logsumexp(-1), table.logsumexp(-1)
    there = some[..., None]
    before = _unsure(prior.log()).sum().expand(fitness.shape[1])
    doubt = _unsure(some, x) + _unsure(none, x)
    whether = doubt.sum(0)
    where = _unsure(spots, there).sum((0, 2))
    terms = before, whether, where
    return terms


COUNTS = "in “where” each image should count with p(T⁺, x); "

entropy_terms = Task(
    _entropy_terms,
    outputs={"H(T)": "(C,)", "the “whether” term, H(T′|X)": "(C,)", "the “where” term": "(C,)"},
    cases=USUAL,
    edges={
        Given(*fitnesses(1, 2, 5, seed=15)): "a batch of one image, after which one is as unsure "
        "as before",
        Given(*fitnesses(4, 2, 2, seed=17)): "maps of one unit, where there is nothing to be "
        "unsure of",
        **EXTREME,
    },
    slips={
        ("before, whether, where", "before, where, whether"): "“whether” should come before "
        "“where”; yours are in the other order",
        ("return terms", "return tuple(term / math.log(2) for term in terms)"): "entropies should "
        "be in nats, with the natural logarithm; yours are in bits, log₂",
        ("before, whether, where", "before, whether, -where"): "“where” is an entropy and never "
        "negative; yours lacks the minus sign, as equation 7 does in the paper",
        ("before, whether, where", "before, -whether, where"): "“whether” is an entropy and never "
        "negative; yours lacks the minus sign",
        ("before, whether, where", "-before, -whether, -where"): "entropies are never negative; "
        "in yours all three minus signs are missing",
        ("before, whether, where", "before, before - whether - where, where"): "the second term "
        "should be what stays unsure about “whether”; yours is the mutual information",
        ("table[..., :-1], table[..., -1]", "table[..., 1:], table[..., 0]"): "the negative "
        "template is the last one; yours takes the first for it",
        ("log_softmax(0)", "log_softmax(2)"): "p(x|T) should be divided by Z_T, a sum over the "
        "images (axis 0); yours sums over the templates",
        ("prior.log() + fitness", "fitness"): "p(T, x) should be p(T)·p(x|T); in yours the prior "
        "is missing",
        ("spots, there", "spots, x[..., None]"): "“where” is asked given that the part is there: "
        "inside the logarithm, divide by p(T⁺, x); yours divides by p(x)",
        ("spots, there", "spots - there"): f"{COUNTS}in yours all images count alike",
        ("spots, there", "spots"): "“where” is asked given the map and that the part is there: "
        "p(T_μ, x) should be divided by p(T⁺, x), so that it sums to 1 over the places; yours is "
        "not divided",
        ("spots, there", "spots - x[..., None]"): f"{COUNTS}and p(T_μ|x) be divided by p(T⁺|x); "
        "in yours both are missing",
        ("(spots, there).sum((0, 2))", "(spots - there).sum(2).mean(0)"): f"{COUNTS}yours is the "
        "plain mean over the images",
        ("_unsure(spots, there)", "(x.exp()[..., None] * _unsure(spots - there))"): f"{COUNTS}"
        "yours counts with p(x), also where there is no part",
        (
            "_unsure(spots, there)",
            "((some - x).exp()[..., None] * _unsure(spots - there))",
        ): f"{COUNTS}yours counts with p(T⁺|x): the factor p(x) is missing",
        ("_unsure(spots, there)", "(there.exp() * _unsure(spots - x[..., None]))"): "“where” is "
        "asked given that the part is there: p(T_μ|x) should be divided by p(T⁺|x), so that it "
        "sums to 1 over the places; yours sums to less",
        ("_unsure(some, x) + _unsure(none, x)", "_unsure(some - x) + _unsure(none - x)"): "in "
        "“whether” each image should count with p(x); in yours all images count alike",
        ("_unsure(some, x) + _unsure(none, x)", "_unsure(some) + _unsure(none)"): "“whether” is "
        "an entropy given the map: inside the logarithm, divide by p(x); yours does not divide",
        ("doubt.sum(0)", "(_unsure(some - x) + _unsure(none - x)).mean(0)"): "in “whether” each "
        "image should count with p(x); yours is the plain mean",
        ("doubt.sum(0)", "_unsure(some.logsumexp(0)) + _unsure(none.logsumexp(0))"): "“whether” "
        "is what stays unsure after a map was seen; yours is H(T′), from before",
        (" + _unsure(none, x)", ""): "“whether” has two outcomes, T⁺ and T⁻; yours leaves out T⁻",
        ("_unsure(some, x) + ", ""): "“whether” has two outcomes, T⁺ and T⁻; yours leaves out T⁺",
        ("_unsure(prior.log()).sum()", "torch.tensor(math.log(len(prior))).to(prior)"): "H(T) = "
        "−Σ p(T) ln p(T) depends on the prior; yours is ln of the number of templates, right for "
        "equal probabilities only",
        ("prior.log())", "torch.stack([prior[:-1].sum(), prior[-1]]).log())"): "H(T) is the "
        "entropy of all n²+1 templates; yours is that of T⁺ against T⁻",
        (".expand(fitness.shape[1])", ""): "H(T) should be given for every filter, (C,), although "
        "it is the same; yours is one number",
    },
)
