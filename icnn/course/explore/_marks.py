"""What several explorers draw: pictures with a filter's answer, its peak, and a landmark."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from icnn.course import show

SIDE, GAP = 64, 4  # of the pictures, and between them, in pixels
Place = tuple[float, float] | Tensor  # (row, col) in pixels


def mark(axes: Axes, peak: Place, landmark: Place | None, at: tuple[float, float] = (0, 0)) -> None:
    """A cross at the peak, a ring at the landmark, in a picture whose corner is `at`.

    A landmark that is NaN, because its part is not in the picture, is not drawn.
    """
    row, column = at
    place = column + float(peak[1]), row + float(peak[0])
    for colour, size, width in (("white", 10, 5), (show.COLOURS[5], 8, 2.5)):
        axes.plot(*place, "x", color=colour, ms=size, mew=width)
    if landmark is not None:
        for colour, width in (("black", 4), ("white", 2)):
            place = column + float(landmark[1]), row + float(landmark[0])
            axes.plot(*place, "o", ms=12, mfc="none", mec=colour, mew=width)


def contact_sheet(
    axes: Axes,
    shown: Iterable[tuple[np.ndarray, np.ndarray, Place, Place | None]],
    *,
    columns: int,
    limit: float,
) -> None:
    """Pictures on one pair of axes, which is twice as quick as one pair for each.

    Args:
        axes: where to draw.
        shown: for each picture the picture (3, 64, 64), the map over it, the peak, the landmark.
        columns: pictures side by side.
        limit: of the maps, as for `icnn.show.overlay`.
    """
    step, corners = SIDE + GAP, []
    for i, (picture, values, peak, landmark) in enumerate(shown):
        corners.append((i // columns * step, i % columns * step))
        show.overlay(axes, picture, values, limit=limit, at=corners[-1])
        mark(axes, peak, landmark, corners[-1])
    axes.set(xlim=(0, columns * step - GAP), ylim=(corners[-1][0] + SIDE, 0))
