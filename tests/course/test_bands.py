"""After an upgrade one command shows which numbers of the lessons moved, and mends their bands."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import refresh_bands as bands

CELL = """from icnn import show
greek = "λ"
show.expect("steady", 0.5, 0, 1)
show.expect(
    "gone", 3.14159, 0, 1
)
show.expect("below", -2.0, -1, 1), show.expect("λ, by name", 2, *(0, 1))"""


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lessons") / "99_trial.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(CELL)]), path)
    return path


@pytest.fixture(scope="module")
def readings(lesson: Path) -> list[bands.Reading]:
    return bands.listen(lesson)


def test_every_number_is_read_and_the_lesson_stays_as_it_is(lesson, readings) -> None:
    found = [(r.name, r.value, r.low, r.high, r.inside) for r in readings]
    assert found == [
        ("steady", 0.5, 0, 1, True),
        ("gone", 3.14159, 0, 1, False),
        ("below", -2, -1, 1, False),
        ("λ, by name", 2, 0, 1, False),
    ]
    assert nbformat.read(lesson, as_version=4).cells[0].source == CELL


def test_the_report_shows_what_moved(readings) -> None:
    before = {("99_trial", "steady"): 0.4, ("99_trial", "gone"): 3.14}
    lines = list(bands.report(readings, before))
    assert lines[0] == "99_trial: steady: 0.4 -> 0.5 in [0, 1]"
    assert lines[1] == "99_trial: gone: 3.14 -> 3.142 in [0, 1]   OUTSIDE"
    assert lines[-1] == "4 numbers read, 3 outside their bands"
    still = {reading.key: reading.value for reading in readings}
    assert len(list(bands.report(readings, still))) == 4  # the steady one is not shown


def test_bands_are_widened_in_the_lesson(lesson, readings, tmp_path) -> None:
    copy = tmp_path / lesson.name
    copy.write_bytes(lesson.read_bytes())
    by_hand = list(bands.mend(copy, [r for r in readings if not r.inside]))
    assert len(by_hand) == 1 and "λ, by name" in by_hand[0]
    source = nbformat.read(copy, as_version=4).cells[0].source
    assert '"gone", 3.14159, 0, 3.3\n' in source
    assert '"below", -2.0, -2.2, 1)' in source
    assert 'show.expect("steady", 0.5, 0, 1)' in source
    assert [r.inside for r in bands.listen(copy)] == [True, True, True, False]


def test_the_numbers_before_are_those_of_the_saved_outputs(lesson, readings, tmp_path) -> None:
    copy = tmp_path / lesson.name
    bands.write(bands.execute(lesson), copy)
    assert bands.saved(copy) == {r.key: float(f"{r.value:.4g}") for r in readings}
    assert bands.saved(lesson) == {}


def test_the_lessons_have_their_numbers_in_their_outputs() -> None:
    assert sum(len(bands.saved(lesson)) for lesson in bands.FILES) > 80
