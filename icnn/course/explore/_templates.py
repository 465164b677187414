"""Template explorer: move a template over one map. Used in lesson 1."""

import torch
from matplotlib.figure import Figure

import icnn
from icnn.course import show
from icnn.course.explore._explorer import Explorer, Picture, Slider

# Two spots on a map of side 1: (row, column, width, height). The first is the filter's part.
SPOTS = ((0.3, 0.3, 0.12, 4.0), (0.72, 0.65, 0.15, 3.0))


def example_map(n: int) -> torch.Tensor:
    """A map (n, n) with a bright spot and a second opinion, the same scene at every n."""
    axis = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    x = torch.zeros(n, n, dtype=torch.float64)
    for row, column, width, height in SPOTS:
        square = (axis[:, None] - row) ** 2 + (axis - column) ** 2
        x = torch.maximum(x, height * torch.exp(-square / (2 * width**2)))
    return x


def draw(n: int, beta: float, row: int, column: int) -> Picture:
    """The map, the template at μ = (row, column), its mask, the masked map, all fitnesses."""
    x = example_map(n)
    templates = icnn.part_templates(n, beta=beta, tau=1.0, dtype=torch.float64)
    scores = icnn.fitness(x[None, None], templates)[0, 0]
    everywhere, nowhere = scores[:-1].view(n, n), float(scores[-1])
    template = templates[row * n + column]
    mask = template.clamp_min(0)
    best = divmod(int(everywhere.argmax()), n)
    kept = float((x * mask).sum() / x.sum())

    fig = Figure(figsize=(9.6, 2.55))
    grid = fig.subplots(1, 5)
    fig.subplots_adjust(left=0.01, right=0.99, bottom=0.12, top=0.89, wspace=0.08)
    show.maps(grid[0], x, limit=4, title="map x")
    show.maps(grid[1], template, signed=True, limit=1, title=f"template, μ = ({row}, {column})")
    show.maps(grid[2], mask, limit=1, title="mask at μ")
    show.maps(grid[3], x * mask, limit=4, title="x ∘ mask")
    show.maps(grid[4], everywhere - nowhere, peak=True, title="fitness of every $T_μ$")
    for axes in grid:
        show.mark(axes, None, (row, column))
    fig.text(0.99, 0.02, "cross: μ · ring: the best μ · darkest: no better than $T^-$", ha="right")

    here = float(everywhere[row, column])
    alt = (
        f"A {n} by {n} map with two spots; the template at row {row}, column {column}, with beta "
        f"{beta:g} positive in {int((template > 0).sum())} of {n * n} units; its mask; the masked "
        f"map, with {kept:.0%} of the activation; the fitnesses of all {n * n} positive templates, "
        f"from {everywhere.min():.1f} to {everywhere.max():.1f}, best at {best}"
    )
    numbers = (
        f"Fitness at μ = ({row}, {column}): {here:+.2f} · best: {everywhere.max():+.2f} at {best} "
        f"· T⁻: {nowhere:+.2f} · kept by the mask: {kept:.1%} · templates: {n * n + 1}"
    )
    return Picture(fig, alt, numbers)


EXPLORER = Explorer(
    "templates",
    (
        Slider("n", "n (side)", 2, 16, 14),
        Slider("beta", "β (decay)", 0.5, 8.0, 4.0, 0.5),
        Slider("row", "row of μ", 0, lambda state: state["n"] - 1, 9),
        Slider("column", "column of μ", 0, lambda state: state["n"] - 1, 8),
    ),
    draw,
)
