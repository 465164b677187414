"""The gallery of any filters: which pictures, where the cross is, what the mean is of."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch

from icnn.course import show


def test_a_row_shows_the_highest_peaks_and_the_mean_of_what_is_there() -> None:
    """Pictures with one white pixel, at another place in each; filter 1 peaks on it, 0 beside."""
    pictures = torch.zeros(6, 3, 24, 24, dtype=torch.uint8)
    places = torch.tensor([[0, 0], [3, 4], [9, 20], [23, 23], [12, 1], [5, 5]])
    pictures[torch.arange(6), :, places[:, 0], places[:, 1]] = 255
    points = torch.stack([torch.full((6, 2), 12.5), places + 0.5], 1)
    scores = torch.tensor([[1.0, 5.0], [2, 1], [3, 4], [4, 2], [5, 6], [6, 3]])
    fig = show.gallery(pictures, points, scores, [1, 0], ["mine", "other"], top=3)
    lines = [fig.axes[:4], fig.axes[4:]]
    assert [line[0].get_ylabel() for line in lines] == ["mine", "other"]
    for line, f, order in ((lines[0], 1, [4, 0, 2]), (lines[1], 0, [5, 4, 3])):
        for axes, i in zip(line, order, strict=False):
            assert (axes.images[0].get_array() == pictures[i].permute(1, 2, 0).numpy()).all()
            (column,), (row,) = axes.lines[-1].get_data()
            assert (row, column) == tuple(points[i, f].tolist())
    mean = torch.as_tensor(lines[0][3].images[0].get_array())
    assert mean[4, 4].min() == 1  # in the middle all three are white
    plt.close(fig)
