"""Draw the pictures of the README, docs/filters.png and docs/tracking.png."""

import matplotlib.pyplot as plt
import numpy as np
from lessons import ROOT

import icnn
from icnn.course import show, tables

ROWS, COLUMNS = 3, 5
DRAWN = ("plain", "mask only", "interpretable")
COLOURS = dict(zip((*DRAWN, "", "loss only"), show.COLOURS, strict=False))
SIX = ("frog", "lizard", "sheep", "fox", "squirrel", "swine")


def main() -> None:
    """Draw both."""
    show.style()
    for name, draw in (("filters", filters), ("tracking", tracking)):
        path = ROOT / "docs" / f"{name}.png"
        draw(icnn.data.creatures("test")).savefig(path, dpi=110, metadata={"Software": None})


def filters(test: icnn.data.PartDataset) -> plt.Figure:
    """The filters with the strongest typical peak, on the pictures where each fires most."""
    fig = plt.figure(figsize=(10.6, 3.6))
    for half, variant in zip(fig.subfigures(1, 2), ("plain", "interpretable"), strict=True):
        maps = icnn.predict(icnn.checkpoints.load(variant).maps, test.floats())
        grid = half.subplots(ROWS, COLUMNS)
        name = "an ordinary CNN" if variant == "plain" else "an interpretable CNN"
        half.suptitle(f"{name}: three filters, one a row", fontsize=12)
        for line, f in zip(grid, maps.amax((2, 3)).mean(0).topk(ROWS).indices, strict=True):
            top = maps[:, f].amax((1, 2)).topk(COLUMNS).indices
            for axes, i in zip(line, top, strict=True):
                show.overlay(axes, test.images[i], maps[i, f])
    return fig


def tracking(test: icnn.data.PartDataset) -> plt.Figure:
    """Mean part tracking of each network, and its mean over seeds or splits."""
    drawn = {variant: on_creatures(variant, test) for variant in DRAWN}
    panels = {
        "drawn animals": {
            f"{variant}, {which}": runs[:, k]
            for k, which in enumerate(("top 100", "all pictures"))
            for variant, runs in drawn.items()
        },
        "photographs, six animals": {
            v: on_photographs(v) for v in (*DRAWN[:2], "loss only", DRAWN[2])
        },
    }
    fig, axes = plt.subplots(1, 2, figsize=(10.6, 2.9), sharex=True)
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        for place, (name, runs) in enumerate(rows.items()):
            colour = COLOURS[name.split(",")[0]]
            ax.plot(runs, np.full(len(runs), place), "o", color=colour, alpha=0.5)
            ax.plot(runs.mean(), place, "|", color=colour, markersize=18, markeredgewidth=3)
        ax.axvline(0, ls=":", color="black")
        ax.set(title=title, yticks=range(len(rows)), yticklabels=rows, xlabel="part tracking")
        ax.margins(y=0.15)
        ax.invert_yaxis()
    return fig


def on_creatures(variant: str, test: icnn.data.PartDataset) -> np.ndarray:
    """Part tracking of three seeds, over the 100 strongest pictures of each filter and over all."""
    runs = []
    for seed in range(3):
        model = icnn.checkpoints.load(variant, seed)
        units, scores = icnn.peaks(icnn.predict(model.maps, test.floats()))
        points = icnn.unit_centres(model, image_size=64).pixels(units)
        found = (
            icnn.best_part_tracking(points, scores, test.landmarks, top=top).tracking.mean()
            for top in (100, len(test))
        )
        runs.append([float(value) for value in found])
    return np.array(runs)


def on_photographs(variant: str) -> np.ndarray:
    """Part tracking of five splits, the mean of six animals against other photographs."""
    table = tables.read("photos", "results.csv")
    where = {"protocol": "single", "variant": variant}
    return np.mean([tables.values(table, "tracking", category=a, **where) for a in SIX], 0)


if __name__ == "__main__":
    main()
