"""Write the landmarks of the animal categories that are there to data/paper/landmarks.csv.

Only coordinates, no picture: `python tools/make_landmarks.py FOLDER`, with the folder that holds
`detanimalpart` and `interpretableCNN`. Lesson 9 computes the constant controls from them.
"""

import sys

from icnn._files import DATA, write_checksums
from icnn.data import AnimalParts
from icnn.data.crops import CROP
from icnn.experiments.table import write_rows

FOLDER = DATA / "paper"


def main(root: str) -> None:
    data = AnimalParts(root, split="all", size=CROP)
    rows = [("category", *(f"{part} {axis}" for part in data.parts for axis in ("row", "column")))]
    for label, points in zip(data.labels.tolist(), data.landmarks.flatten(1).tolist(), strict=True):
        rows.append((data.categories[label], *("" if p != p else f"{p:.1f}" for p in points)))
    write_rows(FOLDER / "landmarks.csv", rows)
    write_checksums(FOLDER)


if __name__ == "__main__":
    main(*sys.argv[1:])
