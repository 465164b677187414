"""A table of results that fills up row by row, and goes on where it was interrupted."""

import csv
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path

from icnn._files import replacing


def workers(processes: int | None = None) -> Pool:
    """So many processes, or one for each core, of one thread each: that beats threads."""
    os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0")  # read where torch is imported
    return multiprocessing.get_context("spawn").Pool(processes)


def fill(
    path: Path,
    header: Sequence[str],
    tasks: Sequence[tuple],
    work: Callable[..., Iterable[Sequence]],
    pool: Pool,
) -> None:
    """Do the tasks that a table has no row of; their rows are written as soon as they are known.

    The first columns name a task, and `work` gives the rest of its rows; floats get four digits.
    Rows stand in the order of their tasks.
    """
    order, rows = {tuple(map(str, task)): task for task in tasks}, {}
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            for row in list(csv.reader(file))[1:]:
                rows.setdefault(tuple(row[: len(tasks[0])]), []).append(row)
    left = [task for names, task in order.items() if names not in rows]
    for task, found in pool.imap_unordered(partial(_do, work), left):
        rows[tuple(map(str, task))] = [[*task, *row] for row in found]
        others = [names for names in rows if names not in order]
        done = [row for names in (*others, *order) for row in rows.get(names, [])]
        write_rows(path, [header, *done])
        print(path.name, *task, flush=True)


def write_rows(path: Path, rows: Iterable[Sequence]) -> None:
    """Write a CSV file, or leave the old one whole."""
    with replacing(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, by the names of its columns."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _do(work: Callable[..., Iterable[Sequence]], task: tuple) -> tuple[tuple, list[Sequence]]:
    rows = [[f"{v:.4f}" if isinstance(v, float) else v for v in row] for row in work(*task)]
    return task, rows
