"""The shipped recording of a training: what some filters answered after each epoch.

Used in lesson 5; `make recording` makes it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from icnn._files import DATA, HELP, read_verified

FOLDER, NAME = DATA / "recording", "filters.npz"
VARIANTS = ("plain", "mask only", "interpretable")


class Recording(NamedTuple):
    """Variants V, epochs E (the first is before training), filters F, pictures I, maps n×n.

    The pictures are of the test split, on which nothing is measured; they are only looked at.

    Attributes:
        maps: (V, E, F, I, n, n) uint8, 255 at the filter's peak over the pictures in that epoch.
        peak: (V, E, F) float32, the activation at that peak.
        part: (V, E, F) int8, the part that the filter tracks best on the validation pictures; −1
            is none.
        tracking: (V, E, F) float32, how well; 1 is perfect, a constant has 0, NaN without a part.
        accuracy: (V, E) float32, of the network on the validation pictures.
        filters: (F,) int16, which filters these are, from best to worst at the end.
        pictures: (V, F, I) int16, which pictures these are.
    """

    maps: np.ndarray
    peak: np.ndarray
    part: np.ndarray
    tracking: np.ndarray
    accuracy: np.ndarray
    filters: np.ndarray
    pictures: np.ndarray


def load(folder: Path = FOLDER) -> Recording:
    """The shipped recording, or one in another folder.

    Raises:
        FileNotFoundError: the file or its checksums are missing; says how to get them back.
        ValueError: the file is not the one that was shipped, or not a recording.
    """
    with np.load(read_verified(folder / NAME), allow_pickle=False) as file:
        missing = set(Recording._fields) - set(file.files)
        if missing:
            raise ValueError(f"{NAME} has no {', '.join(sorted(missing))}: {HELP}")
        return Recording(**{name: file[name] for name in Recording._fields})
