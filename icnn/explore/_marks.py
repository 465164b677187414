"""A peak and a landmark on a picture, the same in all explorers that show them."""

from __future__ import annotations

from matplotlib.axes import Axes
from torch import Tensor

from icnn.show import COLOURS


def mark(axes: Axes, peak: tuple[float, float] | Tensor, landmark: Tensor | None) -> None:
    """A cross at the peak, a ring at the landmark; both (row, col) in pixels.

    A landmark that is NaN, because its part is not in the picture, is not drawn.
    """
    axes.plot(float(peak[1]), float(peak[0]), "x", color=COLOURS[5], ms=8, mew=2.5)
    if landmark is not None:
        for colour, width in (("black", 4), ("white", 2)):
            at = float(landmark[1]), float(landmark[0])
            axes.plot(*at, "o", ms=12, mfc="none", mec=colour, mew=width)
