"""A table of results that fills up row by row."""

from __future__ import annotations

from multiprocessing.pool import ThreadPool

import pytest

from icnn.experiments.table import fill, workers

HEADER, TASKS = ("name", "seed", "split", "value"), [("a, b", 0), ("c", 0), ("a, b", 1)]


def two_rows(name: str, seed: int) -> list[list]:
    return [["one", seed / 3], ["two", len(name)]]


def test_an_interrupted_table_goes_on_where_it_was(tmp_path) -> None:
    path, asked = tmp_path / "new" / "table.csv", []

    def work(name: str, seed: int) -> list[list]:
        asked.append((name, seed))
        if len(asked) == 3:
            raise RuntimeError
        return two_rows(name, seed)

    with ThreadPool(1) as pool:
        with pytest.raises(RuntimeError):
            fill(path, HEADER, TASKS[::-1], work, pool)
        assert len(path.read_text().splitlines()) == 1 + 2 * 2
        fill(path, HEADER, TASKS, work, pool)
        assert asked == [*TASKS[::-1], TASKS[0]]
        done = path.read_text()
        fill(path, HEADER, TASKS, work, pool)
    rows = ['"a, b",0,one,0.0000', '"a, b",0,two,4', "c,0,one,0.0000", "c,0,two,1"]
    rows += ['"a, b",1,one,0.3333', '"a, b",1,two,4']
    assert done == path.read_text() == "\n".join(["name,seed,split,value", *rows, ""])
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_rows_of_other_tasks_stay_in_the_table(tmp_path) -> None:
    path = tmp_path / "table.csv"
    with workers(1) as pool:
        for tasks in (TASKS[:1], TASKS[1:]):
            fill(path, HEADER, tasks, two_rows, pool)
    assert len(path.read_text().splitlines()) == 1 + 2 * 3
