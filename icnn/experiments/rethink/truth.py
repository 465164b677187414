"""Which explanation names the things that matter? Judged on pictures drawn again without them.

A *thing* is a part of a creature, or a loose shape of the background. Taught in lesson 10.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor, nn

import icnn
from icnn.data import PartDataset
from icnn.data.shipped import PARTS
from icnn.experiments.rethink import faithfulness
from icnn.explain import by_part, contributions
from icnn.network import SmallCNN

K, LEAST = len(PARTS), 8  # a thing that changes fewer pixels is not in the picture
PLACES = {"parts": "parts, by place"}
PLACES |= {name: name for name in ("Grad-CAM", "integrated gradients", "occlusion")}
EXPLANATIONS = ("parts, by name", *PLACES.values())
METHODS = (*EXPLANATIONS, "truth, moved", "area", "random")
ANOTHER, SAME = "another picture", "same answer"
Tallies = dict[tuple[str, str], Tensor]


class Drawings(NamedTuple):
    """Pictures (N, 3, 64, 64) uint8, and the same without each thing (M, N, …), parts first."""

    whole: Tensor
    without: Tensor


class Judged(NamedTuple):
    """What is said of pictures (N,). For things (N, M): are they there, what the score loses
    without them, is something else said then, claims by method; and losses and claims once more,
    for the score of the category that came second.
    """

    said: Tensor
    there: Tensor
    decisive: Tensor
    loss: Tensor
    claims: dict[str, Tensor]
    second: tuple[Tensor, dict[str, Tensor]]


@torch.no_grad()
def judge(model: SmallCNN, drawn: Drawings, moved: Drawings, known: PartDataset) -> Judged:
    """Take away each thing, and ask each explanation what it is worth.

    By place, a claim is what a map adds up to on the pixels that a thing changes; "parts, by name"
    adds up the filters called after a part, by the `known` pictures, and claims 0 for loose shapes.
    "truth, moved" is what a part costs the same creature before another background.
    """
    images, here = drawn.whole.float() / 255, torch.arange(len(drawn.whole))
    names, filters = faithfulness.named_filters(model, known), contributions(model, images).filters
    (before, after), before_another = _scores(model, drawn), _scores(model, moved)
    changed = (drawn.without != drawn.whole).any(2).transpose(0, 1)
    share, rest = nn.functional.avg_pool2d(changed.float(), 4), (0, changed.shape[1] - K)

    def of(category: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        maps = attributions(model, images, category)
        named = by_part(filters[here, category], names, K)[:, :K]
        again = (before_another[0][:, None] - before_another[1])[here, :, category]
        return (before[:, None] - after)[here, :, category], {
            "parts, by name": nn.functional.pad(named, rest),
            **{name: (maps[key][:, None] * share).sum((2, 3)) for key, name in PLACES.items()},
            "truth, moved": nn.functional.pad(again, rest),
            "area": share.sum((2, 3)),
            "random": torch.zeros(share.shape[:2]),  # all equal: what chance gives
        }

    said, second = before.topk(2).indices.T
    there, decisive = changed.sum((2, 3)) >= LEAST, after.argmax(2) != said[:, None]
    return Judged(said, there, decisive, *of(said), of(second))


def _scores(model: SmallCNN, drawn: Drawings) -> tuple[Tensor, Tensor]:
    """Of the whole pictures (N, categories), and without each thing (N, M, categories)."""
    whole, *without = (
        icnn.predict(model, images.float() / 255) for images in (drawn.whole, *drawn.without)
    )
    return whole, torch.stack(without, 1)


def attributions(model: SmallCNN, images: Tensor, categories: Tensor) -> dict[str, Tensor]:
    """Those of `faithfulness`, and occlusion: what the score loses under grey 8 × 8 squares."""
    from captum.attr import Occlusion

    window = {"sliding_window_shapes": (3, 8, 8), "strides": (3, 4, 4), "baselines": 0.5}
    loss = Occlusion(model).attribute(images, target=categories, **window)
    occlusion = faithfulness.squares(loss.sum(1))
    return faithfulness.attributions(model, images, categories) | {"occlusion": occlusion}


# A tally (T, 2, N) has T counts and what they are counted of, for each picture.


def first(claim: Tensor, loss: Tensor, there: Tensor) -> Tensor:
    """Is the greatest claim of a picture its greatest loss? Equal claims share the hit."""
    claim, loss = (x.masked_fill(~there, -torch.inf) for x in (claim, loss))
    top = claim == claim.amax(1, keepdim=True)
    hits = top[torch.arange(len(top)), loss.argmax(1)] / top.sum(1)
    return torch.stack([hits, torch.ones_like(hits)])[None]


def pairs(claim: Tensor, loss: Tensor, there: Tensor) -> Tensor:
    """Of two things, has the one with the greater claim the greater loss? Equal claims: a half."""
    greater, truly = ((x[:, :, None] - x[:, None]).sign() for x in (claim, loss))
    both = (there[:, :, None] & there[:, None]).triu(1)
    right = (1 + greater * truly) / 2
    return torch.stack([(right * both).sum((1, 2)), both.sum((1, 2)).float()])[None]


def found(claim: Tensor, limit: float, decisive: Tensor, there: Tensor) -> Tensor:
    """Decisive things with a claim of the limit or more; others with less."""
    counted = ((claim >= limit) & decisive, decisive, (claim < limit) & ~decisive, ~decisive)
    return torch.stack([(of & there).sum(1).float() for of in counted]).unflatten(0, (2, 2))


def threshold(claim: Tensor, decisive: Tensor, there: Tensor) -> float:
    """The claim from which on a thing is best called decisive."""
    limits = claim[there].unique().tolist()
    return max(limits, key=lambda x: float(value(found(claim, x, decisive, there))))


def loose(claim: Tensor, there: Tensor) -> Tensor:
    """How much of all that is claimed, for or against, is claimed for loose shapes?"""
    size = claim.abs() * there
    return torch.stack([size[:, K:].sum(1), size.sum(1)])[None]


def value(tally: Tensor) -> Tensor:
    """The mean over its counts of what a tally (…, T, 2, N) comes to."""
    above, below = tally.double().sum(-1).unbind(-1)
    return (above / below).mean(-1)


def another(said: Tensor) -> Tensor:
    """For each picture the next one of which the same is said (N,); after the last the first."""
    partner = torch.arange(len(said))
    for category in said.unique():
        partner[said == category] = partner[said == category].roll(-1)
    return partner


def tallies(test: Judged, validation: Judged) -> Tallies:
    """(method, measure) → tally of test pictures; the thresholds are those of validation pictures.

    Each method is also tried with its claims about another picture, and for the category that came
    second with the same answer as for the first.
    """
    there, decisive, loss = (x[:, :K] for x in test[1:4])
    result = {("truth", "loose shapes"): loose(test.loss, test.there)}
    result["truth", "decisive parts"] = torch.stack([(decisive & there).sum(1), there.sum(1)])[None]
    for method, suffix in product(METHODS, ("", f", {ANOTHER}")):
        claim, chosen = (
            it.claims[method][another(it.said) if suffix else slice(None), :K]
            for it in (test, validation)
        )
        limit = threshold(chosen, validation.decisive[:, :K], validation.there[:, :K])
        result[method + suffix, "first"] = first(claim, loss, there)
        result[method + suffix, "pairs"] = pairs(claim, loss, there)
        result[method + suffix, "decisive"] = found(claim, limit, decisive, there)
    for method in (*EXPLANATIONS, "area"):
        result[method, "loose shapes"] = loose(test.claims[method], test.there)
    for method, suffix in product(EXPLANATIONS, ("", f", {SAME}")):
        claim = (test.claims if suffix else test.second[1])[method]
        result[method + suffix, "second"] = pairs(claim[:, :K], test.second[0][:, :K], there)
    return result


def rows(seeds: list[Tallies]) -> Iterator[list]:
    """Method, measure, control (or ""), then their difference: each seed, mean, 95 % interval."""
    for method, measure in seeds[0]:
        controls = (f"{method}, {ANOTHER}", f"{method}, {SAME}", "area", "random", "truth")
        for control in ("", *(controls if method in METHODS else ())):
            keys = [(name, measure) for name in (method, control) if name]
            if control != method and all(key in seeds[0] for key in keys):
                yield [method, measure, control, *_interval(seeds, *keys)]


def _interval(seeds: list[Tallies], *keys: tuple[str, str]) -> list[float]:
    tallies = [torch.stack([one[key] for one in seeds]) for key in keys]

    def difference(images: Tensor) -> Tensor:
        first, *rest = (value(tally[..., images]) for tally in tallies)
        return first - sum(rest)

    count = tallies[0].shape[-1]
    each = difference(torch.arange(count))
    return [*each.tolist(), each.mean().item(), *icnn.measure.bootstrap(difference, count)]
