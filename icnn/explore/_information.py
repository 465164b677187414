"""Mutual-information explorer: place the spots of four maps yourself. Used in lesson 2."""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure

import icnn
from icnn import show
from icnn.explore._explorer import Explorer, Picture, Slider

SIDE = 7  # of the maps, as in lesson 2
IMAGES = 4
WIDTH = 1.28  # twice the variance of a spot, as in lesson 2
SHIFT = 3  # rows and columns from a spot to the second one, around the edge, as in lesson 2


def example_maps(places: list[int], heights: list[float], second: float) -> torch.Tensor:
    """Maps (N, n, n): a spot at each row-major place, and a second one `second` times as high."""
    axis = torch.arange(SIDE, dtype=torch.float64)
    maps = []
    for place, height in zip(places, heights, strict=True):
        row, column = divmod(place, SIDE)
        first = _spot(axis, row, column)
        other = _spot(axis, (row + SHIFT) % SIDE, (column + SHIFT) % SIDE)
        maps.append(height * (first + second * other))
    return torch.stack(maps)


def draw(tau: float, second: float, **spots: float) -> Picture:
    """Four maps above, H(T) below, cut into what is known and the two doubts of equation 5."""
    places = [int(spots[f"place{i}"]) for i in range(1, IMAGES + 1)]
    heights = [float(spots[f"height{i}"]) for i in range(1, IMAGES + 1)]
    x = example_maps(places, heights, second)
    templates = icnn.part_templates(SIDE, tau=tau, dtype=torch.float64)
    prior = icnn.template_prior(SIDE, dtype=torch.float64)
    scores = icnn.fitness(x[:, None], templates)
    doubt, whether, where = (float(term) for term in icnn.entropy_terms(scores, prior))
    known = abs(float(icnn.mutual_information(scores, prior)))  # 0 may come out as −0

    fig = Figure(figsize=(8, 3.6), layout="none")
    for i, values in enumerate(x):
        axes = fig.add_axes((0.03 + 0.245 * i, 0.44, 0.21, 0.47))
        show.maps(axes, values, limit=1.5, title=f"image {i + 1}")
    axes = fig.add_axes((0.03, 0.2, 0.94, 0.13))
    left = 0.0
    pieces = {"MI: known": known, "unsure whether": whether, "unsure where": where}
    colours = (show.COLOURS[0], show.COLOURS[1], "0.8")
    for (label, width), colour in zip(pieces.items(), colours, strict=True):
        axes.barh(0, width, left=left, color=colour, label=f"{label} {width:.2f}")
        left += width
    axes.axvline(math.log(IMAGES), color="black", ls="--", lw=1.5, label="bound for MI: ln 4")
    axes.set(xlim=(0, doubt), yticks=[], xlabel=f"nats; the bar is H(T) = ln 50 = {doubt:.2f}")
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 0.9), fontsize=9)

    at = ", ".join(f"{divmod(p, SIDE)} height {h:g}" for p, h in zip(places, heights, strict=True))
    alt = (
        f"Four 7 by 7 maps with spots at {at}, second spots {second:g} times as high; below, a bar "
        f"of {doubt:.2f} nats cut into MI {known:.2f}, unsure whether {whether:.2f}, unsure where "
        f"{where:.2f}; a line at ln 4 = {math.log(IMAGES):.2f}, which MI cannot pass"
    )
    numbers = (
        f"MI {known:.3f} = H(T) {doubt:.3f} − whether {whether:.3f} − where {where:.3f} nats "
        f"· bound ln 4 = {math.log(IMAGES):.3f}"
    )
    return Picture(fig, alt, numbers)


def _spot(axis: torch.Tensor, row: int, column: int) -> torch.Tensor:
    return torch.exp(-((axis[:, None] - row) ** 2 + (axis - column) ** 2) / WIDTH)


def _pair(i: int, place: int) -> tuple[Slider, Slider]:
    return (
        Slider(f"place{i}", f"place {i}", 0, SIDE**2 - 1, place),
        Slider(f"height{i}", f"height {i}", 0.0, 1.5, 1.0, 0.1),
    )


EXPLORER = Explorer(
    "information",
    (
        *_pair(1, 8),
        *_pair(2, 12),
        *_pair(3, 24),
        *_pair(4, 38),
        Slider("second", "second spot", 0.0, 1.0, 0.0, 0.1),
        Slider("tau", "τ", 0.5, 10.0, 5.0, 0.5),
    ),
    draw,
)
