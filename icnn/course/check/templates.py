"""Exercises 1: templates, their prior, and the mask."""

import torch
from torch import Tensor

from icnn.course.check._runner import Given, Task, random


def _part_templates(n, *, beta=4.0, tau=None):
    tau = 0.5 / n**2 if tau is None else tau
    unit = torch.arange(float(n))
    r, c, i, j = torch.meshgrid(unit, unit, unit, unit, indexing="ij")
    rows, columns = (i - r).abs(), (j - c).abs()
    d = rows + columns
    positive = (tau * (1 - beta * d / n).clamp(min=-1)).reshape(n * n, n, n)
    negative = torch.full((1, n, n), -float(tau))
    return torch.cat([positive, negative])


def _law_of_templates(got: Tensor, want: Tensor, args: tuple) -> tuple:
    negative, wanted = got[-1], want[-1]
    broken = (negative - wanted).abs() > 1e-4 * wanted.abs()
    middle = (len(broken) // 2,) * 2
    place = middle if broken[middle] else divmod(int(broken.int().argmax()), len(broken))
    where = "the centre" if place == middle else place
    words = f"the negative template should be −τ everywhere, here {{}}: yours is {{}} at {where}"
    return broken.any(), words, wanted[place], negative[place]


DISTANCE = "the distance should be |i − r| + |j − c|; yours "
BY_N = "β times the distance should be divided by n; yours is "
part_templates = Task(
    _part_templates,
    outputs={"the templates": "(n²+1, n, n)"},
    cases={
        Given(3, beta=1.0, tau=1.0): "n = 3, β = 1 and τ = 1",
        Given(5): "n = 5 and the usual β and τ",
        Given(4, beta=2.5, tau=2.0): "n = 4, β = 2.5 and τ = 2",
        Given(3): "n = 3 and the usual β and τ",
        Given(7, beta=1.5): "n = 7, β = 1.5 and the usual τ",
    },
    edges={
        Given(2, beta=1.0): "maps of 2×2 units",
        Given(1): "a map of one unit, which has one place and two templates",
    },
    slips={
        ("tau * (1 - beta * d / n).clamp", "(tau * (1 - beta * d / n)).clamp"): "a template "
        "should stop falling at −τ; yours stops at −1: take max(…, −1) first, and multiply by τ "
        "afterwards",
        ("beta * d", "4.0 * d"): "β should decide how fast a template falls; yours are the same "
        "for every β",
        ("beta * d", "d"): "the distance should be multiplied by β, so that a template falls "
        "faster; in yours there is no β",
        (" if tau is None else tau", ""): "a given τ should be the height of the peak; yours is "
        "0.5/n² whatever τ is",
        ("rows + columns", "(rows**2 + columns**2).sqrt()"): "the distance should be in city "
        "blocks, |i − r| + |j − c|; yours is the straight line, √((i − r)² + (j − c)²)",
        ("rows + columns", "rows**2 + columns**2"): f"{DISTANCE}adds the squares of the two",
        ("rows + columns", "torch.maximum(rows, columns)"): "the distance should be the sum |i − "
        "r| + |j − c|; yours is the larger of the two",
        ("rows + columns", "rows"): f"{DISTANCE}leaves out the columns",
        ("rows + columns", "columns"): f"{DISTANCE}leaves out the rows",
        ("(unit, unit,", "(unit + 1, unit + 1,"): "rows and columns are counted from 0; your "
        "places are off by one, as if counted from 1",
        ("d / n", "d"): "β times the distance should be divided by n, so that large maps get "
        "large templates; yours is not divided",
        ("d / n", "d / n**2"): f"{BY_N}divided by n²",
        ("d / n", "d / 3"): f"{BY_N}right for 3×3 maps only",
        (".clamp(min=-1)", ""): "far from its place a template should stop falling at −τ; yours "
        "goes on below: max(…, −1) is missing",
        (".clamp(min=-1)", ".clamp(min=0)"): "a template should fall to −τ; yours stops at 0, "
        "which makes it a mask",
        (".clamp(min=-1)", ".clamp(max=-1)"): "max(…, −1) keeps what is above −1, so as a clamp "
        "it is min=-1; yours cuts off what is above −1",
        ("1 - beta", "1 + beta"): "a template should fall with the distance from its place; yours "
        "rises: what is the sign of β?",
        ("tau * (1", "(1"): "the peak of a positive template should be τ; yours is 1: the factor "
        "τ is missing",
        ("0.5 / n**2", "0.5 / n"): "when τ is not given it should be 0.5/n²; yours is 0.5/n",
        ("0.5 / n**2", "0.5"): "when τ is not given it should be 0.5/n²; yours is 0.5",
        ("positive, negative", "positive"): "there should be n²+1 templates, and yours are n²: "
        "the negative template is missing",
        ("positive, negative", "negative, positive"): "the negative template should come last; "
        "yours comes first",
        ("positive, negative", "positive.mT, negative"): "template r·n + c should have its peak "
        "at row r, column c; yours has it at row c, column r: rows and columns are swapped",
        ("negative])", "negative]).permute(1, 2, 0)"): "the templates should come one after the "
        "other along the first axis, (n²+1, n, n); yours are along the last",
        ("negative])", "negative]).flatten(1)"): "each template should be an n×n map; yours are "
        "flat, (n²+1, n²)",
    },
    others={
        lambda n, **options: _part_templates(3, **options): "there should be n²+1 templates of "
        "n×n units; yours are those of n = 3 for every n",
    },
    same_dtype=True,
    law=_law_of_templates,
)


def _template_prior(n, *, alpha=None):
    alpha = n**2 / (1 + n**2) if alpha is None else alpha
    prior = torch.tensor([alpha / n**2] * (n * n) + [1 - alpha])
    return prior


def _law_of_prior(got: Tensor, want: Tensor, args: tuple) -> tuple:
    total = got.double().sum()
    return (total - 1).abs() > 1e-4, "the probabilities should sum to 1; yours sum to {}", total


template_prior = Task(
    _template_prior,
    outputs={"the prior": "(n²+1,)"},
    cases={
        Given(2, alpha=0.6): "n = 2 and α = 0.6",
        Given(3): "n = 3 and the usual α",
        Given(5, alpha=0.25): "n = 5 and α = 0.25",
    },
    edges={
        Given(1, alpha=0.3): "a map of one unit, n = 1 and α = 0.3",
        Given(7): "n = 7 and the usual α",
    },
    slips={
        ("prior = ", "alpha = 1 - alpha; prior = "): "α is the probability that the part is "
        "somewhere; yours uses it as that of “nowhere”",
        (" if alpha is None else alpha", ""): "the prior should depend on α; yours is the same "
        "for all templates whatever α is",
        ("[alpha / n**2]", "[1 - alpha]"): "only the last entry, “nowhere”, should be 1 − α; "
        "yours are all 1 − α",
        ("[alpha / n**2]", "[alpha]"): "the n² places share α, so that each gets α/n²; yours gets "
        "the whole α each",
        ("[alpha / n**2]", "[alpha / (n**2 + 1)]"): "α is shared by the n² places; yours divides "
        "by n²+1, as if T⁻ were one of them",
        ("[alpha / n**2]", "[alpha / n]"): "an n×n map has n² places to share α; yours divides by "
        "n",
        ("[1 - alpha]", "[alpha]"): "the last entry, for T⁻, should be 1 − α; yours is α",
        ("n**2 / (1 + n**2)", "0.5"): "when α is not given it should be n²/(1 + n²); yours is 0.5",
        ("return prior", "return prior.roll(1)"): "the entry of T⁻ should come last; yours comes "
        "first",
        ("return prior", "return prior[:-1]"): "there should be n²+1 entries, and yours are n²: "
        "that of T⁻ is missing",
        ("return prior", "return torch.cat([prior[:n], prior[-1:].repeat(n * n + 1 - n)])"): "all "
        "n² places should get α/n²; yours stop after the first row, at n of them",
        ("return prior", "return torch.cat([prior[:-2], prior[-1:], prior[-1:]])"): "only the "
        "last entry belongs to T⁻; yours is off by one and gives it the last place as well",
        ("return prior", "return prior.log()"): "the entries should be probabilities; yours are "
        "their logarithms",
    },
    same_dtype=True,
    law=_law_of_prior,
)


def at_largest(x: Tensor) -> Tensor:
    """Where a map has its peak, as a flat index."""
    return x.flatten(-2).argmax(-1)


def _part_mask(x, *, beta=4.0):
    n = x.shape[-1]
    axis, peak = torch.arange(n), at_largest(x)[..., None, None]
    rows = (axis[:, None] - peak // n).abs().to(x.dtype)
    columns = (axis - peak % n).abs().to(x.dtype)
    d = rows + columns
    mask = (1 - beta * d / n).clamp(min=0)
    return mask


def _law_of_mask(got: Tensor, want: Tensor, args: tuple) -> tuple:
    peaks = got.double().amax((-2, -1))
    return (peaks - 1).abs() > 1e-2, "a mask should be 1 at its peak; yours is {}", peaks


WORKED_MAP = torch.tensor([[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 3.0]])
TIED_MAPS = torch.tensor([[[0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [2.0, 0.0, 2.0]], [[0.0] * 3] * 3])

part_mask = Task(
    _part_mask,
    outputs={"the mask": "(…, n, n)"},
    cases={
        Given(random(2, 3, 4, 4), beta=2.0): "a batch of 4×4 maps and β = 2",
        Given(random(4, 5, 5, seed=1)): "four 5×5 maps and the usual β",
        Given(WORKED_MAP, beta=1.0): "one 3×3 map and β = 1",
        Given(random(5, 5, seed=6), beta=0.5): "a 5×5 map and β = 0.5",
        Given(random(2, 2, 7, 7, seed=2), beta=3.0): "four 7×7 maps and β = 3",
    },
    edges={
        Given(TIED_MAPS): "two equal peaks, of which the first one, row by row, counts",
        Given(random(2, 2, 4, 4, seed=3) - 1, beta=2.0): "maps that are negative everywhere, whose "
        "peak is still the largest value",
        Given(random(3, 2, 2, seed=4), beta=1.0): "maps of 2×2 units",
        Given(random(1, 1, 1, 1)): "a map of one unit",
        Given(random(2, 5, 5, seed=5).half(), beta=2.0): "maps in half precision",
    },
    slips={
        ("beta * d", "4.0 * d"): "β should decide how fast the mask falls; yours is the same for "
        "every β",
        ("beta * d", "d"): "the distance should be multiplied by β, so that the mask falls "
        "faster; in yours there is no β",
        ("return mask", "return mask * x"): "the mask is a shape between 0 and 1, without the "
        "activations; yours is already multiplied by the map",
        ("return mask", "return mask / mask.sum((-2, -1), keepdim=True)"): "the mask should be 1 "
        "at its peak; yours is scaled so that it sums to 1",
        ("return mask", "return 1 - mask"): "the mask should be 1 at the peak and 0 far away; "
        "yours is the other way round",
        (".clamp(min=0)", ".clamp(min=-1)"): "far from the peak the mask should be 0; yours goes "
        "down to −1, like a template: the negative part should be cut off",
        (".clamp(min=0)", ""): "far from the peak the mask should be 0; yours goes on falling: "
        "max(…, 0) is missing",
        (".clamp(min=0)", ".clamp(min=0) * 0.5 / n**2"): "the mask should be 1 at its peak; yours "
        "is τ = 0.5/n² there and would shrink the map",
        ("d / n)", "d)"): f"{BY_N}not divided, so your masks are too small",
        ("d / n)", "d / 3)"): f"{BY_N}right for 3×3 maps only",
        ("(1 - beta * d / n).clamp(min=0)", "(1 - beta * d / n > 0).to(d.dtype)"): "the mask "
        "should fall with the distance from the peak; yours is 1 or 0 only",
        ("(1 - beta * d / n).clamp(min=0)", "(d == 0).to(d.dtype)"): "the mask should fall step "
        "by step with the distance from the peak; yours is 1 at the peak and 0 at once beside it",
        ("rows + columns", "(rows**2 + columns**2).sqrt()"): "the distance should be in city "
        "blocks, rows plus columns; yours is the straight line",
        ("rows + columns", "torch.maximum(rows, columns)"): "the distance should be rows plus "
        "columns; yours is the larger of the two",
        ("at_largest(x)", "at_largest(x.mT)"): "the peak of the mask should be at the row and "
        "column of the largest value; in yours rows and columns are swapped",
        ("at_largest(x)", "(x.argmax() % n**2).expand(x.shape[:-2])"): "each map of the batch "
        "should get its own mask; yours is around the largest value of the whole batch",
        ("(x)[", "(x.sum(-3, keepdim=True).expand_as(x) if x.ndim > 2 else x)["): "each map "
        "should get its own mask; yours share one along the axis before the map, as if the maps "
        "were added up",
        ("at_largest(x)", "at_largest(-x)"): "the mask should be around the largest value; yours "
        "is around the smallest",
    },
    own=("mask_at",),
    same_dtype=True,
    law=_law_of_mask,
)
