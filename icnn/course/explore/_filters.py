"""Filter explorer: any filter of two trained networks on any of many pictures. Used in lesson 6."""

from functools import cache, partial
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

import icnn
from icnn.course import show
from icnn.course.explore._explorer import Choice, Explorer, Picture, Slider
from icnn.receptive_field import ReceptiveField

NETWORKS = ("interpretable", "plain")
FILTERS = (16, 32, 48, 48, 48)  # of the five conv layers
PER_BLOCK = 3  # convolution, batch normalisation, ReLU
PICTURES = 100  # of the test split that can be chosen
TOP = 5


class Layer(NamedTuple):
    """What the filters of one layer do on the test split: N pictures, C filters."""

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
def networks() -> dict[str, icnn.network.SmallCNN]:
    """The shipped networks, seed 0, as in lesson 6."""
    return {name: icnn.checkpoints.load(name) for name in NETWORKS}


@cache
def layers() -> dict[str, list[Layer]]:
    """What every layer of both networks does; takes some seconds, once."""
    return {name: _measure(network.backbone) for name, network in networks().items()}


def _measure(features: torch.nn.Sequential) -> list[Layer]:
    test, found = pictures(), []
    maps = test.floats()
    side = maps.shape[-1]
    for end in range(PER_BLOCK, len(features) + 1, PER_BLOCK):
        maps = icnn.predict(features[end - PER_BLOCK : end], maps)
        field = icnn.unit_centres(features[:end], side)
        units, scores = icnn.peaks(maps)
        places = field.pixels(units), scores, test.landmarks
        tracked = icnn.best_part_tracking(*places)
        unstable = icnn.location_instability(*places, side)
        means = maps.mean((2, 3), keepdim=True)  # all that the last two need
        category = icnn.assign_categories(means, test.labels, len(test.categories))
        share = icnn.category_selectivity(means, test.labels)
        found.append(Layer(field, units, scores, *tracked, unstable, category, share))
    return found


def draw(network: str, layer: int, filter: int, picture: int) -> Picture:
    """The picture, map, mask and masked map of one filter; below, its top pictures."""
    test, of = pictures(), layers()[network][layer - 1]
    scores = of.scores[:, filter]
    top = scores.topk(TOP).indices.tolist()
    with torch.no_grad():
        batch = test.floats([picture, *top])
        maps = networks()[network].backbone[: PER_BLOCK * layer](batch)[:, filter]
    masks = icnn.part_mask(maps)
    masked = maps * masks
    part, limit = int(of.part[filter]), float(scores[top[0]])

    fig = Figure(figsize=(8.4, 4.9), layout="none")
    above = fig.subplots(1, 4, gridspec_kw={"top": 0.94, "bottom": 0.5})
    fig.subplots_adjust(left=0.01, right=0.99, wspace=0.06)
    animal = test.categories[test.labels[picture]]
    show.image(above[0], test.images[picture], title=f"picture {picture}: {animal}")
    show.maps(above[1], maps[0], limit=limit, title="map x")
    show.maps(above[2], masks[0], limit=1, title="mask at its peak")
    show.overlay(above[3], test.images[picture], masked[0], title="where x ∘ mask is", limit=limit)
    points = of.field.pixels(of.units[[picture, *top], filter])
    marks = test.landmarks[[picture, *top], part] if part >= 0 else [None] * (1 + TOP)
    (row, column), (height, width) = points[0].tolist(), of.field.size
    corner = column - width / 2, row - height / 2
    above[0].add_patch(Rectangle(corner, width, height, fill=False, ec=show.COLOURS[5], lw=2))
    show.mark(above[0], points[0], marks[0])
    side = test.images.shape[-1]
    above[0].set(xlim=(0, side), ylim=(side, 0))
    above[1].plot(*of.units[picture, filter].flip(0), "x", color="white", ms=8, mew=2)
    shown = zip(test.images[top], masked[1:], points[1:], marks[1:], strict=True)
    show.contact_sheet(fig.add_axes((0.01, 0.01, 0.98, 0.36)), shown, columns=TOP, limit=limit)
    name = test.parts[part] if part >= 0 else "no part"
    tracks = f"{name} ({float(of.tracking[filter]):.2f})" if part >= 0 else name
    fig.text(0.01, 0.455, "cross: its peak · box: what it can see · ring: the part it tracks")
    most = f"the {TOP} pictures on which filter {filter} fires most; tracks: {tracks}"
    fig.text(0.01, 0.385, most)

    rank = int((scores > scores[picture]).sum()) + 1
    category = test.categories[of.category[filter]]
    size, share = of.field.size[0], float(of.share[filter])
    numbers = (
        f"Tracks {tracks} · category {category} (share {share:.2f}) · instability "
        f"{float(of.instability[filter]):.3f} · peak {float(scores[picture]):.2f} at unit "
        f"{tuple(of.units[picture, filter].int().tolist())}, rank {rank} of {len(test)} pictures "
        f"· sees {size}×{size} pixels"
    )
    alt = (
        f"Filter {filter} of conv layer {layer} of the {network} network on picture {picture}, "
        f"{animal}: its map, its mask, the masked map over the picture; below, the {TOP} pictures "
        f"on which it fires most, darkened where the masked map is weak. {numbers}"
    )
    return Picture(fig, alt, numbers)


EXPLORER = Explorer(
    "filters",
    (
        Choice("network", "network", NETWORKS, NETWORKS[0]),
        Slider("layer", "conv layer", 1, len(FILTERS), len(FILTERS)),
        Slider("filter", "filter", 0, lambda state: FILTERS[state["layer"] - 1] - 1, 8),
        Slider("picture", "test picture", 0, PICTURES - 1, 4),
    ),
    draw,
    subject="One filter of a trained network on one test picture: the picture with the filter's "
    "peak and receptive field, its map, its mask, the masked map, and its five top pictures",
)
