"""The shipped recording of a training: what some filters answered after each epoch.

Used in lesson 5; `make recording` makes it again.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from icnn._files import DATA, HELP, read_verified

FOLDER, NAME = DATA / "recording", "filters.npz"
VARIANTS = ("plain", "mask only", "interpretable")


class Recording(NamedTuple):
    """Variants V, epochs E (the first is before training), filters F, pictures I, maps n×n.

    The pictures are of the test split, on which nothing is measured; they are only looked at. Parts
    and accuracy are those of the validation pictures.
    """

    maps: np.ndarray  # (V, E, F, I, n, n) uint8, 255 at the filter's peak in that epoch
    peak: np.ndarray  # (V, E, F) float32, the activation at that peak
    part: np.ndarray  # (V, E, F) int8, the part that the filter tracks best; −1 is none
    tracking: np.ndarray  # (V, E, F) float32, how well; a constant has 0, NaN without a part
    accuracy: np.ndarray  # (V, E) float32, of the network
    filters: np.ndarray  # (F,) int16, which filters these are, from best to worst at the end
    pictures: np.ndarray  # (V, F, I) int16, which pictures these are


def load(folder: Path = FOLDER) -> Recording:
    """The shipped recording, or one in another folder.

    Raises:
        FileNotFoundError, ValueError: the file is missing, or not the one that was shipped.
    """
    with np.load(read_verified(folder / NAME), allow_pickle=False) as file:
        missing = set(Recording._fields) - set(file.files)
        if missing:
            raise ValueError(f"{NAME} has no {', '.join(sorted(missing))}: {HELP}")
        return Recording(**{name: file[name] for name in Recording._fields})
