"""Training replay: watch a filter of three networks while they learn. Used in lesson 5."""

from functools import cache

import numpy as np
import torch
from matplotlib.figure import Figure

import icnn
from icnn.course import show
from icnn.course.explore import recording
from icnn.course.explore._explorer import Choice, Explorer, Picture, Slider
from icnn.course.explore.recording import VARIANTS, Recording
from icnn.data import PartDataset

FILTERS, EPOCHS = 5, 8  # of the recording
FULL = 255  # of a map, at the filter's peak in that epoch


@cache
def recorded() -> tuple[Recording, PartDataset]:
    """The recording, and the pictures it is about."""
    return recording.load(), icnn.data.creatures("test")


def draw(epoch: int, filter: int, variant: str) -> Picture:
    """The filter on six pictures after one epoch; how well it tracks a part in all epochs."""
    tape, test = recorded()
    v, f = VARIANTS.index(variant), filter - 1
    maps, pictures = tape.maps[v, epoch, f], tape.pictures[v, f].tolist()
    part, tracking = int(tape.part[v, epoch, f]), float(tape.tracking[v, epoch, f])
    name = test.parts[part] if part >= 0 else "no part"
    number, accuracy = int(tape.filters[f]), float(tape.accuracy[v, epoch])

    fig = Figure(figsize=(8.4, 3.6))
    sheet, curves = fig.add_axes((0.01, 0.02, 0.55, 0.89)), fig.add_axes((0.66, 0.15, 0.33, 0.76))
    marks = test.landmarks[pictures, part] if part >= 0 else [None] * len(pictures)
    shown = zip(test.images[pictures], maps, marks, strict=True)
    show.contact_sheet(sheet, shown, columns=3, limit=FULL, colour=show.COLOURS[v])
    when = f"after epoch {epoch}" if epoch else "before training"
    fig.text(0.01, 0.94, f"{variant}, filter {number} {when} · ring: peak · cross: {name}")
    lines = zip(VARIANTS, tape.tracking[:, :, f], "os^", show.COLOURS, strict=False)
    for network, line, marker, colour in lines:
        thick = {"lw": 3, "ms": 7} if network == variant else {"lw": 1, "ms": 4, "zorder": 3}
        curves.plot(line, marker=marker, color=colour, label=network, **thick)
    curves.axvline(epoch, color="black", ls=":", lw=1)
    curves.axhline(0, color="0.6", lw=0.8)
    curves.set(xlabel="epoch", ylabel="tracking", ylim=(-1.05, 1.05), xticks=range(EPOCHS + 1))
    curves.legend(loc="lower center", fontsize=9)

    x = torch.from_numpy(maps.astype(np.float64))[:, None]
    near = float((x * icnn.part_mask(x)).sum() / x.sum().clamp_min(1))  # kept by lesson 1's mask
    tracks = f"{name} {tracking:.2f}" if part >= 0 else name
    numbers = (
        f"Filter {number}, {variant}, epoch {epoch}: tracks {tracks} · activation inside the mask "
        f"{near:.0%} · highest peak {float(tape.peak[v, epoch, f]):.2g} · accuracy of the network "
        f"{accuracy:.3f}"
    )
    now = zip(VARIANTS, tape.tracking[:, epoch, f], strict=True)
    alt = (
        f"Six pictures, in colour where filter {number} of the {variant} network fires, grey "
        f"elsewhere, {when}, with its peaks; beside them its part tracking over {EPOCHS} epochs in "
        f"three networks, at this epoch {', '.join(f'{n} {value:.2f}' for n, value in now)}. "
        f"{numbers}"
    )
    return Picture(fig, alt, numbers)


EXPLORER = Explorer(
    "replay",
    (
        Slider("epoch", "epoch", 0, EPOCHS, EPOCHS),
        Slider("filter", "filter (1 is best)", 1, FILTERS, 1),
        Choice("variant", "network", VARIANTS, VARIANTS[-1]),
    ),
    draw,
)
