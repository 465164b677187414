"""Draw docs/filters.png, the picture of the README, from the shipped networks."""

import matplotlib.pyplot as plt
from lessons import ROOT

import icnn
from icnn.course import show

ROWS, COLUMNS = 3, 5


def main() -> None:
    """The filters with the strongest typical peak, on the pictures where each fires most."""
    show.style()
    test = icnn.data.creatures("test")
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
    fig.savefig(ROOT / "docs" / "filters.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
