"""Pictures of what filters do: grey and colour, the line, the ring, and the rows of a gallery."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from icnn.course import show

RED = torch.tensor([200, 40, 40], dtype=torch.uint8)[:, None, None].expand(3, 64, 64)


def drawn(values, **look):
    """The axes, and the picture on them (H, W, 3)."""
    axes = Figure().add_subplot()
    show.overlay(axes, RED, values, **look)
    return axes, np.asarray(axes.images[0].get_array())


def spot(row: int, column: int, n: int = 16) -> torch.Tensor:
    down, right = torch.arange(n)[:, None] - row, torch.arange(n) - column
    return torch.exp(-(down**2 + right**2) / 8.0)


def test_a_picture_has_its_colour_where_the_filter_fires_and_is_light_grey_elsewhere() -> None:
    axes, shown = drawn(spot(4, 10))
    own, grey = RED[:, 0, 0].numpy() / 255, shown[60, 4]
    assert np.allclose(shown[18, 42], own) and np.ptp(grey) < 1e-3
    assert grey.min() > own.mean() + 0.2
    assert axes.lines[0].get_xydata().tolist() == [[42, 18]]  # the ring: unit (4, 10) of 16


def test_a_line_is_at_half_the_peak() -> None:
    axes, _ = drawn(spot(8, 8))
    (path,) = axes.collections[0].get_paths()
    reach = np.hypot(*(path.vertices - [34, 34]).T) / 4  # in units; the peak is at (8.5, 8.5) × 4
    assert np.allclose(reach, np.sqrt(8 * np.log(2)), atol=0.15)


def test_a_limit_dims_a_weak_map_and_leaves_its_line_and_its_ring() -> None:
    (strong, _), (weak, shown) = (drawn(spot(8, 8), limit=limit) for limit in (None, 100.0))
    assert np.ptp(shown[34, 34]) < 0.02
    for line in ("lines", "collections"):
        assert len(getattr(weak, line)) == len(getattr(strong, line)) == 1


@pytest.mark.parametrize("values", [torch.zeros(16, 16), torch.ones(16, 16), torch.ones(1, 1)])
@pytest.mark.filterwarnings("error")
def test_a_map_without_a_spot_has_no_line_and_an_empty_one_no_ring(values) -> None:
    axes, _ = drawn(values)
    assert not axes.collections and len(axes.lines) == int(values.max())


def test_a_part_that_is_not_there_is_not_marked() -> None:
    nowhere, somewhere = ([float("nan")] * 2, [30.0, 20.0])
    marks = [drawn(spot(8, 8), part=part)[0].lines[1] for part in (nowhere, somewhere)]
    assert np.isnan(marks[0].get_xydata()).all()
    assert marks[1].get_xydata().tolist() == [[20, 30]] and marks[1].get_marker() == "x"


@pytest.mark.parametrize("peak, landmark", [((20, 30), None), (None, (20, 30))])
@pytest.mark.parametrize("page", ["black", "white", "grey"])
def test_marks_are_seen_on_light_and_on_dark(page, peak, landmark) -> None:
    fig = Figure(figsize=(1, 1), dpi=100, facecolor=page)
    axes = fig.add_axes((0, 0, 1, 1), facecolor=page)
    axes.set(xlim=(0, 64), ylim=(64, 0), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    show.mark(axes, peak, landmark)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].mean(-1) / 255
    assert (np.abs(pixels - pixels[0, 0]) > 0.35).sum() > 15


def test_a_row_shows_the_highest_peaks_and_the_mean_of_what_is_there() -> None:
    """Pictures with one white pixel, at another place in each; filter 1 peaks on it, 0 beside."""
    pictures = torch.zeros(6, 3, 24, 24, dtype=torch.uint8)
    places = torch.tensor([[0, 0], [3, 4], [9, 20], [23, 23], [12, 1], [5, 5]])
    pictures[torch.arange(6), :, places[:, 0], places[:, 1]] = 255
    scores = torch.tensor([[1.0, 5.0], [2, 1], [3, 4], [4, 2], [5, 6], [6, 3]])
    points = torch.stack([torch.full((6, 2), 12), places], 1)
    maps = torch.zeros(6, 2, 24, 24)
    for f in (0, 1):
        maps[torch.arange(6), f, points[:, f, 0], points[:, f, 1]] = scores[:, f]
    fig = show.gallery(pictures, maps, [1, 0], ["mine", "other"], top=3)
    lines = [fig.axes[:4], fig.axes[4:]]
    assert [line[0].get_ylabel() for line in lines] == ["mine", "other"]
    for line, f, order in ((lines[0], 1, [4, 0, 2]), (lines[1], 0, [5, 4, 3])):
        for axes, i in zip(line, order, strict=False):
            seen = np.asarray(axes.images[0].get_array())[tuple(places[i])]
            assert seen.tolist() == [1, 1, 1]  # the white one, in its own picture
            (column,), (row,) = axes.lines[-1].get_data()
            assert (row - 0.5, column - 0.5) == tuple(points[i, f].tolist())
    mean = torch.as_tensor(lines[0][3].images[0].get_array())
    assert mean[4, 4].min() == 1  # in the middle all three are white
    plt.close(fig)
