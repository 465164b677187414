"""Exercises 3: the filter loss, its exact gradient, and equation 4."""

import torch
from torch import Tensor

import icnn
from icnn.course.check._runner import Given, Task, edited, gradient, random
from icnn.course.check.information import EXTREME, USUAL, WRONG_P_X, WRONG_Z, fitnesses, ln_p_x
from icnn.course.check.templates import at_largest

# The right value, and a gradient as if Z_T were constant; a constant p(x) would do no harm.
_frozen = edited(
    icnn.check.mutual_information.plain, ".log_softmax(0)", " - fitness.logsumexp(0).detach()"
)


def _filter_loss(x, *, sharpness=None, scale=None, beta=4.0):
    n = x.shape[-1]
    scores = icnn.fitness(x, icnn.part_templates(n, beta=beta, dtype=x.dtype))
    if sharpness is not None:
        tau = 0.5 / n**2
        gain = sharpness / scale / tau
        scores = scores * gain[:, None]
    information = icnn.mutual_information(scores, icnn.template_prior(n, dtype=x.dtype))
    return -information.mean()


TINY = torch.tensor([[[2.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]).double()[:, None]


def _scaled(sharpness: float, *scale: float, **options) -> dict:
    return {"sharpness": sharpness, "scale": torch.tensor(scale, dtype=torch.float64), **options}


filter_loss = Task(
    _filter_loss,
    outputs={"the loss": "()"},
    cases={
        Given(5 * random(3, 2, 3, 3, seed=1)): "the paper's constants and 3×3 maps",
        Given(random(3, 2, 3, 3, seed=2), **_scaled(3.0, 0.7, 1.3, beta=2.0)): "sharpness 3, two "
        "filters with scales 0.7 and 1.3, and β = 2",
        Given(random(2, 2, 1, 1, seed=3), **_scaled(2.0, 0.5, 2.0)): "two maps of one unit from "
        "two filters with scales 0.5 and 2",
        Given(TINY, **_scaled(2.0, 1.5, beta=1.0)): "`tiny` with sharpness 2, scale 1.5 and β = 1",
        Given(random(4, 3, 5, 5, seed=4), **_scaled(0.5, 0.4, 1.0, 1.7)): "four images, three "
        "filters and 5×5 maps",
        Given(TINY, beta=1.0): "`tiny` with the paper's constants and β = 1",
    },
    edges={
        Given(random(1, 2, 3, 3, seed=5)): "a batch of one image, which tells nothing",
        Given(
            random(4, 2, 4, 4, seed=6).float(), sharpness=2.0, scale=torch.tensor([0.5, 1.5])
        ): "maps in float32",
        Given(random(4, 2, 3, 3, seed=7), **_scaled(2.0, 0.7, 1.3), use=gradient): "the gradient, "
        "which should reach x exactly",
    },
    slips={
        ("beta=beta", "beta=4.0"): "β should go to the templates; yours are the same for every β",
        ("fitness(x,", "fitness(x * icnn.part_mask(x, beta=beta),"): "the loss looks at the maps "
        "before the mask; yours masks them first",
        ("-information.mean()", "information.mean()"): "a loss goes down when the information "
        "goes up; yours has the sign of the information",
        ("-information.mean()", "-information.sum()"): "the loss should be the mean over the "
        "filters; yours is the sum",
        ("-information.mean()", "-information"): "the loss should be one number, the mean over "
        "the filters; yours is one number each",
        ("-information.mean()", "-information.mean().detach()"): "the value is right, but no "
        "gradient reaches x, so nothing could be learned: no detach, item, NumPy or float on the "
        "way",
        ("* gain[:, None]", "* 1"): "with sharpness and scale the fitness should change; yours is "
        "always the one with the paper's constants",
        (" / tau", ""): "the scaled fitness takes T/τ, templates with a peak of 1; in yours the "
        "division by τ is missing",
        ("scale / tau", "scale * tau"): "the scaled fitness takes T/τ; yours multiplies by τ "
        "instead of dividing",
        ("sharpness / scale", "sharpness * scale"): "the scaled fitness takes x/scale; yours "
        "multiplies by the scale instead of dividing",
        ("sharpness / scale", "1 / scale"): "the scaled fitness should be multiplied by the "
        "sharpness; yours does not use it",
        ("sharpness / scale", "1 / sharpness / scale"): "the fitness should be multiplied by the "
        "sharpness; yours is divided by it",
        ("gain[:, None]", "sharpness / tau"): "the scaled fitness takes x/scale; yours does not "
        "use the scale",
        ("gain[:, None]", "sharpness / scale.mean() / tau"): "each filter should be divided by "
        "its own scale; yours uses the mean of all scales",
        ("[:, None]", ""): "the scale belongs to the filters, axis 1 of (N, C, T); yours meets "
        "the axis of the templates: give it one more axis, behind",
        ("[:, None]", "[:, None, None]"): "the scale belongs to the filters, axis 1 of (N, C, T); "
        "yours meets the axis of the images: give it one more axis behind, not two",
        ("0.5 / n**2", "0.5 / n"): "τ should be 0.5/n², with n the side of the map; yours is 0.5/n",
        ("icnn.mutual_information(", "_frozen("): "the value is right, but not its gradient: in "
        "yours Z_T is a constant, as in the paper's equation 4",
    },
    own=("_information",),
)


def _score_gradient(fitness, prior):
    log_p = fitness.log_softmax(0)
    p, surprise = log_p.exp(), log_p - ln_p_x(log_p, prior)
    change = surprise - (p * surprise).sum(0)
    return prior * p * change


def _law_of_slope(got: Tensor, want: Tensor, args: tuple) -> tuple:
    words = "the gradients of one template should sum to 0 over the images: if one gains, others "
    return got.sum(0).abs() > 1e-4, words + "lose; yours sum to {}", got.sum(0)


score_gradient = Task(
    _score_gradient,
    outputs={"the gradient": "(N, C, T)"},
    cases=USUAL,
    edges={
        Given(*fitnesses(1, 2, 5, seed=25)): "a batch of one image, where nothing can be gained",
        **EXTREME,
    },
    slips={
        ("(p * surprise).sum(0)", "0"): "the mean Σ p(x|T) ℓ should be taken off ℓ; without it, "
        "as in yours, Z_T is frozen: no image loses what another one gains",
        ("(p * surprise).sum(0)", "surprise.mean(0)"): "the mean of ℓ that is taken off should be "
        "weighted by p(x|T); yours counts all images alike",
        ("(p * surprise).sum(0)", "(prior * p * surprise).sum((0, 2), keepdim=True)"): "what is "
        "taken off ℓ should be a mean for each template; yours is the mutual information, over all "
        "templates",
        ("(p * surprise).sum(0)", "(prior * surprise).sum(2, keepdim=True)"): "the mean of ℓ "
        "should go over the images; yours goes over the templates",
        ("prior * p * change", "p * change"): "the factor p(T) is missing in front of yours",
        ("prior * p * change", "prior * change"): "the factor p(x|T) is missing in front of yours",
        ("prior * p * change", "-prior * p * change"): "the gradient should be that of the "
        "information; yours has the opposite sign, that of the loss",
        ("prior * p * change", "prior * p * change / p.shape[1]"): "the filters are added up, not "
        "averaged; yours is divided by C",
        ("prior * p * change", "prior * p * change / torch.tensor(2).log()"): "the logarithm "
        "should be the natural one; yours is log₂",
        ("prior * p * change", "(prior * p * change).sum(1)"): "each filter should keep a "
        "gradient of its own, (N, C, T); yours adds them up",
        **WRONG_Z,
        ("ln_p_x(log_p, prior)", "0"): "ℓ should be ln p(x|T)/p(x); in yours p(x) is missing",
        **WRONG_P_X,
    },
    own=("filter_loss", "_information"),
    by_hand=True,
    law=_law_of_slope,
)


def _paper_gradient(x, is_target, *, beta=4.0):
    n = x.shape[-1]
    templates = icnn.part_templates(n, beta=beta, dtype=x.dtype)
    prior = icnn.template_prior(n, dtype=x.dtype)
    scores = icnn.fitness(x, templates)
    chosen = torch.where(is_target, at_largest(x), n * n)
    log_p = scores.log_softmax(0)
    log_x = ln_p_x(log_p, prior)[..., 0]
    log_own = log_p.gather(-1, chosen[..., None])[..., 0]
    weight = prior[chosen] * log_own.exp() * (log_own - log_x)
    slope = weight[..., None, None] * templates[chosen]
    return -slope / x.shape[1]


def _all_frozen(x, is_target, *, beta=4.0):
    templates = icnn.part_templates(x.shape[-1], beta=beta, dtype=x.dtype)
    prior = icnn.template_prior(x.shape[-1], dtype=x.dtype)
    frozen = edited(_score_gradient, "(p * surprise).sum(0)", "0")
    slope = frozen(icnn.fitness(x, templates), prior)
    return -torch.einsum("bct,tij->bcij", slope, templates) / x.shape[1]


MIXED = torch.tensor([[True, False, True], [False, False, True], [True, True, False]])

paper_gradient = Task(
    _paper_gradient,
    outputs={"the gradient": "(N, C, n, n)"},
    cases={
        Given(4 * random(3, 2, 3, 3, seed=31), MIXED[:, :2], beta=2.0): "three images, two "
        "filters, 3×3 maps and β = 2",
        Given(TINY, torch.tensor([[True], [False]]), beta=1.0): "`tiny` and β = 1",
        Given(4 * random(3, 3, 4, 4, seed=32), MIXED, beta=1.5): "three images, three filters and "
        "4×4 maps",
        Given(4 * random(3, 3, 5, 5, seed=33), ~MIXED): "5×5 maps and the usual β",
    },
    edges={
        Given(4 * random(4, 2, 3, 3, seed=34), torch.zeros(4, 2, dtype=torch.bool)): "a batch "
        "without any image of the category",
        Given(random(1, 2, 3, 3, seed=35), torch.tensor([[True, False]])): "a batch of one image, "
        "where p(x|T) and p(x) are both 1",
        Given(20 * random(4, 2, 2, 2, seed=36).float(), MIXED[[0, 1, 2, 2], :2]): "maps in float32",
    },
    slips={
        ("beta=beta", "beta=4.0"): "β should go to the templates; yours are the same for every β",
        ("-slope / x.shape[1]", "slope / x.shape[1]"): "the result should have the sign of the "
        "loss, to descend; yours has the sign of the information, as equation 4 is printed",
        ("-slope / x.shape[1]", "-slope"): "filter_loss is a mean over the filters, so its "
        "gradient is divided by C; yours is not",
        ("-slope / x.shape[1]", "-slope / x.shape[0]"): "the result should be divided by the "
        "number of filters C; yours is divided by the number of images N",
        ("at_largest(x), n * n", "n * n, at_largest(x)"): "images of the category take the "
        "template at their peak, all others T⁻; yours are the other way round",
        ("is_target, at", "is_target | True, at"): "images of another category should take T⁻; in "
        "yours all images take the template at their peak",
        ("is_target, at", "is_target & False, at"): "images of the category should take the "
        "template at their peak; in yours all take T⁻",
        ("at_largest(x)", "scores[..., :-1].argmax(-1)"): "the template should be the one at the "
        "map's peak, argmax x; yours is the best-fitting one",
        ("at_largest(x)", "at_largest(x.mT)"): "template r·n + c has its peak at row r and column "
        "c; in yours rows and columns are swapped",
        **WRONG_Z,
        ("prior[chosen] * ", ""): "the factor p(T) of the chosen template is missing in yours",
        ("log_own.exp() * ", ""): "the factor p(x|T) of the chosen template is missing in yours",
        (" * (log_own - log_x)", ""): "the factor ln p(x|T)/p(x) is missing in yours",
        ("(log_own - log_x)", "log_own"): "the logarithm should be of p(x|T)/p(x); in yours p(x) "
        "is missing",
        ("templates[chosen]", "templates[chosen] * 2 * n**2"): "the template at the end should "
        "have the paper's τ as well; yours has a peak of 1",
    },
    others={
        lambda x, *_, beta=4.0: gradient(
            icnn.filter_loss, x.clone(), beta=beta
        ): "that is the exact gradient, of all templates and nothing frozen; equation 4 "
        "keeps one template for each map",
        _all_frozen: "equation 4 keeps one template for each map; yours freezes Z_T as well, but "
        "adds up all templates",
    },
    same_dtype=True,
)
