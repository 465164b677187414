"""Draw docs/speed.png for the README from benchmarks/results.csv."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from icnn.course import show
from icnn.experiments.table import read_rows

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "speed.png"
PARTS = ("+ mask", "+ mask + loss", "+ naive loss")


def main() -> None:
    """Left: what is added to one conv layer. Right: cost of the loss against the map's side."""
    rows = [row for row in read_rows(HERE / "results.csv") if row["device"] == "cpu"]
    show.style()
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    layers = [row for row in rows if row["what"].startswith("layer")]
    sizes = list(dict.fromkeys(row["what"].removeprefix("layer ") for row in layers))
    for k, part in enumerate(PARTS):
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
    fig.savefig(PICTURE, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
