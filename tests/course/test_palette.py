"""Colours of the pictures, as readers with each kind of colour blindness see them."""

from __future__ import annotations

from itertools import combinations

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from icnn.course import show

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", IEEE TVCG 2009: severity 1, for linear RGB.
SIGHTS = {
    "all colours": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)  # sRGB, IEC 61966-2-1; white is D65


def linear(colours) -> np.ndarray:
    """Linear RGB of sRGB."""
    rgb = np.asarray(colours, dtype=float)
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(colours) -> np.ndarray:
    """(N,) of sRGB colours (N, 3); white has 1."""
    return linear(colours) @ TO_XYZ[1]


def lab(colours, sight: str) -> np.ndarray:
    """CIELAB (N, 3) of sRGB colours (N, 3), seen with one kind of sight."""
    seen = np.clip(linear(colours) @ np.asarray(SIGHTS[sight]).T, 0, 1)
    xyz = seen @ TO_XYZ.T / TO_XYZ.sum(1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def colours_of_maps(*, signed: bool) -> matplotlib.colors.Colormap:
    """What `show.maps` draws with."""
    axes = Figure().subplots()
    show.maps(axes, torch.eye(3), signed=signed)
    return axes.images[0].cmap


def test_lab_knows_white_and_red() -> None:
    assert np.allclose(lab([[1, 1, 1]], "all colours"), [100, 0, 0], atol=0.1)
    assert np.allclose(lab([[1, 0, 0]], "all colours"), [53.2, 80.1, 67.2], atol=0.3)


def test_red_and_green_look_alike_to_some() -> None:
    pair = [[0.75, 0.35, 0.2], [0.5, 0.5, 0.15]]
    far, near = (
        np.linalg.norm(np.subtract(*lab(pair, sight))) for sight in ("all colours", "deuteranopia")
    )
    assert far > 35 and near < 12


@pytest.mark.parametrize("sight", SIGHTS)
def test_curves_in_one_picture_can_be_told_apart(sight) -> None:
    found = lab([to_rgb(colour) for colour in show.COLOURS], sight)
    near = min(np.linalg.norm(a - b) for a, b in combinations(found, 2))
    assert near > 13  # 2.3 is just noticeable; side by side, ten is clear


def test_curves_stand_out_from_the_page() -> None:
    found = luminance([to_rgb(colour) for colour in show.COLOURS])
    assert (1.05 / (found + 0.05)).min() > 3  # WCAG 2.1, 1.4.11: what one must see of a graphic


@pytest.mark.parametrize("sight", SIGHTS)
def test_maps_grow_lighter_all_the_way(sight) -> None:
    for colours in (colours_of_maps(signed=False), matplotlib.colormaps["cividis"]):
        steps = colours(np.linspace(0, 1, 64))[:, :3]
        assert (np.diff(lab(steps, sight)[:, 0]) > 0).all()


@pytest.mark.parametrize("signed", [False, True])
def test_numbers_on_maps_are_readable(signed) -> None:
    axes = Figure().subplots()
    values = torch.linspace(-1 if signed else 0, 1, 225).view(15, 15)
    show.maps(axes, values, limit=1, signed=signed, numbers=True)
    shades = axes.images[0].cmap(axes.images[0].norm(values.flatten().numpy()))[:, :3]
    lightness = {"black": 0.0, "white": 1.0}
    for text, y in zip(axes.texts, luminance(shades), strict=True):
        low, high = sorted((float(y), lightness[text.get_color()]))
        assert (high + 0.05) / (low + 0.05) > 4.5  # WCAG 2, level AA


@pytest.mark.parametrize("sight", SIGHTS)
def test_signed_maps_have_two_different_ends_and_a_light_middle(sight) -> None:
    steps = colours_of_maps(signed=True)(np.linspace(0, 1, 65))[:, :3]
    seen = lab(steps, sight)
    assert (np.diff(seen[:33, 0]) > -0.5).all() and (np.diff(seen[32:, 0]) < 0.5).all()
    assert all(np.linalg.norm(seen[i] - seen[-1 - i]) > 15 for i in range(24))
