"""Draw the pictures of README and docs: filters, tracking and, after a benchmark, speed."""

import sys

import matplotlib.pyplot as plt
import numpy as np
from lessons import ROOT

import icnn
from icnn.course import show, tables
from icnn.experiments import photos
from icnn.experiments.table import read_rows

ROWS, COLUMNS = 3, 4
ADDED = ("+ mask", "+ mask + loss", "+ naive loss")
DRAWN = ("plain", "mask only", "interpretable")
SHOT = ("plain", "mask only", "loss only", "interpretable")
COLOURS = dict(zip((*DRAWN, "", "loss only"), show.COLOURS, strict=False))


def main(*names: str) -> None:
    """Draw those that are named, or all."""
    show.style()
    for draw in (filters, tracking, speed):
        if not names or draw.__name__ in names:
            path = ROOT / "docs" / f"{draw.__name__}.png"
            draw().savefig(path, dpi=110, metadata={"Software": None})


def filters() -> plt.Figure:
    """The filters with the strongest typical peak, on the pictures where each fires most."""
    fig = plt.figure(figsize=(12.4, 4.6))
    for half, variant in zip(fig.subfigures(1, 2), ("plain", "interpretable"), strict=True):
        test, maps, seen = looked_at(variant)
        part = icnn.best_part_tracking(*seen).part
        grid = half.subplots(ROWS, COLUMNS)
        name = "an ordinary CNN" if variant == "plain" else "an interpretable CNN"
        half.suptitle(f"{name}: three filters, one a row", fontsize=13)
        for line, f in zip(grid, maps.amax((2, 3)).mean(0).topk(ROWS).indices, strict=True):
            for axes, i in zip(line, seen[1][:, f].topk(COLUMNS).indices, strict=True):
                show.overlay(axes, test.images[i], maps[i, f], colour=COLOURS[variant])
            line[0].set_ylabel(test.parts[part[f]])
    return fig


def tracking() -> plt.Figure:
    """Mean part tracking of each network, and its mean over seeds or splits."""
    drawn = {variant: on_creatures(variant) for variant in DRAWN}
    panels = {
        "drawn animals": {
            f"{variant}, {which}": runs[:, k]
            for k, which in enumerate(("top 100", "all pictures"))
            for variant, runs in drawn.items()
        },
        "photographs, six animals": {variant: on_photographs(variant) for variant in SHOT},
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


def on_creatures(variant: str) -> np.ndarray:
    """Part tracking of three seeds, over the 100 strongest pictures of each filter and over all."""
    runs = []
    for seed in range(3):
        test, _, seen = looked_at(variant, seed)
        found = (icnn.best_part_tracking(*seen, top=top) for top in (100, len(test)))
        runs.append([one.tracking.mean().item() for one in found])
    return np.array(runs)


def looked_at(variant: str, seed: int = 0):
    """The test pictures, the maps of a network, and what tracking is measured on."""
    test, model = icnn.data.creatures("test"), icnn.checkpoints.load(variant, seed)
    maps = icnn.predict(model.maps, test.floats())
    units, scores = icnn.peaks(maps)
    return test, maps, (icnn.unit_centres(model, 64).pixels(units), scores, test.landmarks)


def on_photographs(variant: str) -> np.ndarray:
    """Part tracking of five splits, the mean of six animals against other photographs."""
    table = tables.read("photos", "results.csv")
    where = {"protocol": "single", "variant": variant}
    return np.mean([tables.values(table, "tracking", category=a, **where) for a in photos.FIRST], 0)


def speed() -> plt.Figure:
    """Left: what is added to one conv layer. Right: cost of the loss against the map's side."""
    rows = [row for row in read_rows(ROOT / "benchmarks" / "results.csv") if row["device"] == "cpu"]
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    layers = [row for row in rows if row["what"].startswith("layer")]
    sizes = list(dict.fromkeys(row["what"].removeprefix("layer ") for row in layers))
    for k, part in enumerate(ADDED):
        found = [row for row in layers if row["contestant"] == part]
        places = [sizes.index(row["what"].removeprefix("layer ")) + 0.27 * (k - 1) for row in found]
        ratios = [float(row["ratio"]) for row in found]
        bars = left.bar(places, ratios, 0.25, color=show.COLOURS[k], label=part.removeprefix("+ "))
        left.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], fontsize=8)
    left.set(yscale="log", ylim=(0.7, 100), xticks=range(len(sizes)), xticklabels=sizes)
    left.set(xlabel="filters, images, side of the maps", ylabel="forward + backward")
    left.set_title("one conv layer = 1, and what comes on top")
    left.set(yticks=[1, 10, 100], yticklabels=["1", "10", "100"])
    left.axhline(1, color="black", lw=1)
    left.legend(fontsize=8, loc="upper left")
    growth = [row for row in rows if row["what"] == "filter loss by side"]
    sides = [int(row["contestant"].strip("()").split(", ")[-1]) for row in growth]
    cost = [float(row["ratio"].split()[0]) for row in growth]
    right.plot(sides, cost, "o-", color=show.COLOURS[1])
    right.set(xscale="log", yscale="log", xticks=sides, xticklabels=sides, ylim=(10, 1000))
    right.minorticks_off()
    right.set(xlabel="side of the maps, units", ylabel="nanoseconds for each unit")
    right.set_title("filter loss and its gradient, 16 filters, 8 images")
    return fig


if __name__ == "__main__":
    main(*sys.argv[1:])
