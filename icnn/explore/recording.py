"""The shipped recording of a training: what some filters answered after each epoch.

Used in lesson 5; `make recording` makes it again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from icnn._files import DATA, read_verified

FOLDER, NAME = DATA / "recording", "filters.npz"
VARIANTS = ("plain", "interpretable")


class Recording(NamedTuple):
    """Variants V, epochs E (the first is before training), filters F, pictures I, maps n×n.

    Attributes:
        maps: (V, E, F, I, n, n) uint8, 255 at the filter's peak over the pictures in that epoch.
        peak: (V, E, F) float32, the activation at that peak.
        part: (V, E, F) int8, the part that the filter tracks best on the validation pictures.
        tracking: (V, E, F) float32, how well; 1 is perfect, a constant has 0.
        accuracy: (V, E) float32, of the network on the validation pictures.
        filters: (F,) int16, which filters these are.
    """

    maps: np.ndarray
    peak: np.ndarray
    part: np.ndarray
    tracking: np.ndarray
    accuracy: np.ndarray
    filters: np.ndarray


def load() -> Recording:
    """The shipped recording.

    Raises:
        FileNotFoundError, ValueError: the file is missing, or not the one that was shipped.
    """
    with np.load(read_verified(FOLDER / NAME), allow_pickle=False) as file:
        return Recording(**{name: file[name] for name in Recording._fields})
