"""Mutual-information explorer: change four small maps unit by unit. Used in lesson 2."""

import math

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import icnn
from icnn.course import show
from icnn.course.explore._explorer import Choice, Explorer, Picture, Slider, State
from icnn.information import log_likelihood, log_marginal

N = 3  # side of the maps
IMAGES = 4
LOUDEST = 4.0
Maps = tuple[tuple[float, ...], ...]  # four maps, each row by row


def _spots(*places: tuple[int, ...]) -> Maps:
    """One map for each group of places, with a spot of 3 at each; a group of none is silent."""
    return tuple(tuple(3.0 if i in group else 0.0 for i in range(N * N)) for group in places)


STARTS: dict[str, Maps] = {
    "four places": _spots((0,), (2,), (6,), (8,)),
    "the same place": _spots((4,), (4,), (4,), (4,)),
    "two silent": _spots((0,), (8,), (), ()),
    "two spots each": _spots((0, 4), (2, 4), (6, 4), (8, 4)),
    "all silent": _spots((), (), (), ()),
}


def score(maps: Maps) -> tuple[Tensor, Tensor]:
    """Fitness (4, 1, 10) and prior (10,) of four maps, at τ = 1 and β = 4, float64."""
    x = torch.tensor(maps, dtype=torch.float64).view(len(maps), 1, N, N)
    templates = icnn.part_templates(N, tau=1.0, dtype=x.dtype)
    return icnn.fitness(x, templates), icnn.template_prior(N, dtype=x.dtype)


def draw(start: str, image: int, row: int, column: int, activation: float, maps: Maps) -> Picture:
    """The maps, what one believes on being shown each, and H(T) cut as in equation 5."""
    s, prior = score(maps)
    mi = abs(float(icnn.mutual_information(s, prior)))  # 0 may come out as −0
    doubt, whether, where = (float(term) for term in icnn.entropy_terms(s, prior))
    belief = (prior.log() + log_likelihood(s) - log_marginal(s, prior)[..., None]).exp()[:, 0]

    fig = Figure(figsize=(7.6, 5.2))
    heights = {"height_ratios": (1, 1, 0.24), "hspace": 0.3}
    above, below, bar = fig.subplots(3, 1, gridspec_kw=heights)
    fig.subplots_adjust(left=0.05, right=0.99, top=0.95, bottom=0.1)
    _row(above, torch.tensor(maps).view(-1, N, N), LOUDEST, [f"map {b + 1}" for b in range(IMAGES)])
    nowhere = [f"nowhere: {share:.2f}" for share in belief[:, -1].tolist()]
    _row(below, belief[:, :-1].view(-1, N, N).round(decimals=2), 1, nowhere)
    above.set_ylabel("activation")
    below.set_ylabel("p(T | map)")
    at = (image - 1) * (N + 1) + column, row
    above.plot(*at, "s", ms=32, mfc="none", mec=show.COLOURS[5], mew=4)
    _bar(bar, mi, whether, where, doubt)

    alt = (
        f"Four 3 by 3 maps; below each, how likely every place and 'nowhere' is when it is shown; "
        f"below, a bar of H(T) = {doubt:.2f} nats cut into told {mi:.2f}, unsure whether "
        f"{whether:.2f}, unsure where {where:.2f}. Framed: map {image}, unit ({row}, {column}), "
        f"activation {activation:g}"
    )
    numbers = (
        f"MI {mi:.3f} = H(T) {doubt:.3f} − whether {whether:.3f} − where {where:.3f} nats "
        f"· bound ln {IMAGES} = {math.log(IMAGES):.3f}"
    )
    return Picture(fig, alt, numbers)


def _row(axes: Axes, maps: Tensor, limit: float, titles: list[str]) -> None:
    """Maps side by side in one picture, which is much quicker to draw than one for each."""
    strip = torch.full((N, len(maps) * (N + 1) - 1), torch.nan)
    for b, (values, title) in enumerate(zip(maps, titles, strict=True)):
        left = b * (N + 1)
        strip[:, left : left + N] = values
        axes.text(left + N // 2, -0.65, title, ha="center", va="bottom")
    show.maps(axes, strip, limit=limit, numbers=True)
    axes.spines[:].set_visible(False)


def _bar(axes: Axes, mi: float, whether: float, where: float, doubt: float) -> None:
    """H(T) in three pieces, as in the lesson, and the line that MI cannot pass."""
    left = 0.0
    pieces = (("told: MI", mi, "white"), ("whether", whether, "black"), ("where", where, "black"))
    for (name, width, ink), colour in zip(
        pieces, (show.COLOURS[0], show.COLOURS[1], "0.8"), strict=True
    ):
        axes.barh(0, width, left=left, color=colour, edgecolor="black")
        if width > 0.25:
            axes.text(left + width / 2, 0, name, ha="center", va="center", color=ink)
        left += width
    bound = math.log(IMAGES)
    axes.plot([bound, bound], [-0.4, 0.5], color="black", ls="--", lw=1.5)
    axes.text(bound, 0.55, f"bound for MI: ln {IMAGES}", ha="center", va="bottom", fontsize=10)
    axes.set(xlim=(0, doubt), ylim=(-0.4, 0.5), yticks=[], xlabel="nats; the bar is H(T) = ln 10")
    axes.spines[["top", "left", "right"]].set_visible(False)


def follow(state: State, moved: str) -> State:
    """Write the activation into the maps, or read it out of the chosen unit."""
    maps = STARTS[state["start"]] if moved == "start" else state["maps"]
    which, unit = state["image"] - 1, state["row"] * N + state["column"]
    if moved != "activation":
        return state | {"maps": maps, "activation": maps[which][unit]}
    changed = (*maps[which][:unit], state["activation"], *maps[which][unit + 1 :])
    return state | {"maps": (*maps[:which], changed, *maps[which + 1 :])}


EXPLORER = Explorer(
    "information",
    (
        Choice("start", "start from", tuple(STARTS), "four places"),
        Slider("image", "map", 1, IMAGES, 1),
        Slider("row", "row", 0, N - 1, 0),
        Slider("column", "column", 0, N - 1, 0),
        Slider("activation", "activation", 0.0, LOUDEST, 3.0, 0.5),
    ),
    draw,
    hidden={"maps": STARTS["four places"]},
    follow=follow,
)
