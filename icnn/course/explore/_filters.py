"""Filter explorer: any filter of two trained networks, or of your own, on any of many pictures.

Used in lessons 6 and 11.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

import icnn
from icnn._check_args import Value, checked
from icnn.course import show
from icnn.course.explore._explorer import Choice, Explorer, Picture, Slider
from icnn.data import PartDataset
from icnn.network import InterpretableCNN
from icnn.receptive_field import ReceptiveField

NETWORKS = {"interpretable": show.COLOURS[2], "plain": show.COLOURS[0]}
FILTERS = (16, 32, 48, 48, 48)  # of the five conv layers
PER_BLOCK = 3  # convolution, batch normalisation, ReLU
PICTURES = 100  # of the test split that can be chosen
TOP = 5


class Layer(NamedTuple):
    """What the filters of one layer do on a data set: N pictures, C filters."""

    name: str
    data: PartDataset
    maps: Callable[[Tensor], Tensor]  # pictures → maps (N, C, n, n)
    field: ReceptiveField
    units: Tensor  # (N, C, 2), where each filter peaks
    scores: Tensor  # (N, C), how strongly
    part: Tensor  # (C,), the part it tracks best; −1 is none
    tracking: Tensor  # (C,)
    instability: Tensor  # (C,)
    category: Tensor  # (C,), with the highest mean activation
    share: Tensor  # (C,), of the mean activation, on that category


pictures = cache(partial(icnn.data.creatures, "test"))


@cache
def layers() -> dict[str, list[Layer]]:
    """What every layer of the shipped networks does, seed 0; takes some seconds, once."""
    return {name: _measure(name, icnn.checkpoints.load(name).backbone) for name in NETWORKS}


def _measure(name: str, features: torch.nn.Sequential) -> list[Layer]:
    test, found = pictures(), []
    maps = test.floats()
    for number in range(1, len(FILTERS) + 1):
        until = features[: PER_BLOCK * number]
        maps = icnn.predict(until[-PER_BLOCK:], maps)
        field = icnn.unit_centres(until, test.images.shape[-1])
        found.append(_layer(f"conv layer {number} of the {name} network", test, until, field, maps))
    return found


def _layer(name, data, model, field: ReceptiveField, maps: Tensor, order=slice(None)) -> Layer:
    """Measured on the maps of all pictures, for tracking in some order; parts need landmarks."""
    units, scores = icnn.peaks(maps)
    places = [x[order] for x in (field.pixels(units), scores, data.landmarks)]
    unstable = torch.full(scores.shape[1:], torch.nan)
    tracked = torch.full(unstable.shape, -1), unstable
    if data.parts:
        tracked = icnn.best_part_tracking(*places)
        unstable = icnn.location_instability(*places, data.images.shape[-1])
    means = maps.mean((2, 3), keepdim=True)  # all that the last two need
    category = icnn.assign_categories(means, data.labels, len(data.categories))
    share = icnn.category_selectivity(means, data.labels)
    return Layer(name, data, model, field, units, scores, *tracked, unstable, category, share)


@checked(
    model=Value("a model with maps, as make_interpretable gives", InterpretableCNN),
    data=Value("a PartDataset of 2 pictures or more", PartDataset, lambda data: len(data) > 1),
)
def of_model(model: InterpretableCNN, data: PartDataset) -> Explorer:
    """The explorer of one's own model, on its maps of one's own pictures."""
    field = icnn.unit_centres(model, data.images.shape[-1])
    maps = icnn.predict(model.maps, data)
    pictures, filters = maps.shape[:2]
    mixed = torch.randperm(pictures, generator=torch.Generator().manual_seed(0))
    layer = _layer("the last conv layer", data, model.maps, field, maps, mixed)
    controls = (
        Slider("filter", "filter", 0, filters - 1, 0),
        Slider("picture", "picture", 0, pictures - 1, 0),
    )
    name = f"{filters} filters on {pictures} pictures"
    return Explorer(name, controls, partial(draw_filter, layer), subject=SUBJECT)


def draw(network: str, layer: int, filter: int, picture: int) -> Picture:
    """One filter of a shipped network on one test picture."""
    return draw_filter(layers()[network][layer - 1], filter, picture, NETWORKS[network])


def draw_filter(of: Layer, filter: int, picture: int, colour=show.COLOURS[2]) -> Picture:
    """The picture, map, mask and masked map of one filter; below, its top pictures."""
    test, scores = of.data, of.scores[:, filter]
    top = scores.topk(min(TOP, len(scores))).indices.tolist()
    maps = icnn.predict(of.maps, test.floats([picture, *top]))[:, filter]
    masks = icnn.part_mask(maps)
    masked = maps * masks
    part, limit = int(of.part[filter]), float(scores[top[0]])

    fig = Figure(figsize=(8.4, 4.9), layout="none")
    above = fig.subplots(1, 4, gridspec_kw={"top": 0.94, "bottom": 0.5})
    fig.subplots_adjust(left=0.01, right=0.99, wspace=0.06)
    animal = test.categories[test.labels[picture]]
    show.image(above[0], test.images[picture], title=f"picture {picture}: {animal}")
    above[0].autoscale(False)
    show.maps(above[1], maps[0], limit=limit, title="map x")
    show.maps(above[2], masks[0], limit=1, title="mask at its peak")
    look = {"colour": colour, "limit": limit}
    show.overlay(above[3], test.images[picture], masked[0], **look)
    above[3].set_title("where x ∘ mask is")
    peak = of.field.pixels(of.units[picture, filter])
    marks = test.landmarks[[picture, *top], part] if part >= 0 else [None] * (1 + len(top))
    (row, column), (height, width) = peak.tolist(), of.field.size
    corner = column - width / 2, row - height / 2
    above[0].add_patch(Rectangle(corner, width, height, fill=False, ec=show.COLOURS[5], lw=2))
    show.mark(above[0], peak, marks[0])
    show.mark(above[1], of.units[picture, filter])
    shown = zip(test.images[top], masked[1:], marks[1:], strict=True)
    show.contact_sheet(fig.add_axes((0.01, 0.01, 0.98, 0.36)), shown, columns=TOP, **look)
    name = test.parts[part] if part >= 0 else "no part"
    tracks = f"{name} ({float(of.tracking[filter]):.2f})" if part >= 0 else name
    signs = "ring: its peak · box: what it can see"
    most = f"the {len(top)} pictures on which filter {filter} fires most"
    if test.parts:
        signs, most = f"{signs} · cross: the part it tracks", f"{most}; tracks: {tracks}"
    fig.text(0.01, 0.455, signs)
    fig.text(0.01, 0.385, most)

    rank = int((scores > scores[picture]).sum()) + 1
    category = test.categories[of.category[filter]]
    size, share = of.field.size[0], float(of.share[filter])
    named = f"Tracks {tracks} · category" if test.parts else "Category"
    unstable = f"instability {float(of.instability[filter]):.3f} · " if test.parts else ""
    numbers = (
        f"{named} {category} (share {share:.2f}) · "
        f"{unstable}peak {float(scores[picture]):.2f} at unit "
        f"{tuple(of.units[picture, filter].int().tolist())}, rank {rank} of {len(test)} pictures "
        f"· sees {size}×{size} pixels"
    )
    alt = (
        f"Filter {filter} of {of.name} on picture {picture}, "
        f"{animal}: its map, its mask, the masked map over the picture; below, the {len(top)} "
        f"pictures on which it fires most, grey where the masked map is weak. {numbers}"
    )
    return Picture(fig, alt, numbers)


class Filters(Explorer):
    """Of the shipped networks, or of a model (`make_interpretable`) and pictures of your own."""

    def show(self, model: InterpretableCNN | None = None, data: PartDataset | None = None) -> None:
        """Show it; `data` may have landmarks: then it says which part a filter tracks."""
        super().show() if model is None else of_model(model, data).show()


SUBJECT = (
    "One filter of a trained network on one test picture: the picture with the filter's "
    "peak and receptive field, its map, its mask, the masked map, and its five top pictures"
)
EXPLORER = Filters(
    "filters",
    (
        Choice("network", "network", tuple(NETWORKS), "interpretable"),
        Slider("layer", "conv layer", 1, len(FILTERS), len(FILTERS)),
        Slider("filter", "filter", 0, lambda state: FILTERS[state["layer"] - 1] - 1, 8),
        Slider("picture", "test picture", 0, PICTURES - 1, 4),
    ),
    draw,
    subject=SUBJECT,
)
