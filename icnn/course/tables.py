"""The shipped tables of results, read for the lessons.

Used in lessons 7 to 10. `make ablations`, `make rethink` and `make photos` write them.
"""

import csv
import io

import numpy as np

from icnn._files import DATA, read_verified
from icnn.measure import seed_interval


def read(*path: str) -> list[dict[str, str]]:
    """The rows of a table below data/, as dictionaries: `read("photos", "results.csv")`.

    Raises:
        FileNotFoundError, ValueError: the file is missing, or not the one that was shipped.
    """
    return list(csv.DictReader(io.TextIOWrapper(read_verified(DATA.joinpath(*path)), "utf-8")))


def values(table: list[dict[str, str]], column: str, **where: str) -> np.ndarray:
    """The numbers of a column, of the rows that fit: one for each seed."""
    fits = [row for row in table if all(row[key] == value for key, value in where.items())]
    return np.array([float(row[column]) for row in fits])


def paired(one: np.ndarray, other: np.ndarray, digits: int = 2) -> str:
    """The mean difference of two networks, paired by seed, and its 95 % interval over seeds."""
    difference = one - other
    low, high = seed_interval(difference)
    values = (f"{value:+.{digits}f}" for value in (difference.mean(), low, high))
    return "{} ({} to {})".format(*values).replace("-", "−")
