"""Run the lessons, show which expected numbers moved, and mend the bands they left: `make bands`.

For after an upgrade of torch. Where a number depends on training or on the machine, a lesson prints
whether it lies in its band (`icnn.show.expect`); tests/bands.csv remembers the numbers. A band that
a number has left is widened in the lesson, just enough: read each before you believe it, for the
text around it makes a claim. Then `make lessons` saves the new outputs.
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "bands.csv"
MOVED = 0.05  # of the band's width: less than that is not shown
MARGIN = 0.1  # of the band's width, beyond a number that left it
SECONDS_PER_CELL = 600

# Runs before the first cell of a lesson; notes each call, and the lines it stands on.
LISTENER = """
import json, linecache, sys
from icnn.course import show

def listen(name, value, low, high, expect=show.expect):
    caller = sys._getframe(1)
    source = "".join(linecache.getlines(caller.f_code.co_filename))
    with open({path!r}, "a", encoding="utf-8") as file:
        row = [name, float(value), float(low), float(high), source, caller.f_lineno]
        file.write(json.dumps(row) + "\\n")
    expect(name, value, low, high)

show.expect = listen
"""


class Reading(NamedTuple):
    """One number, the band it should be in, and the cell and line that asks for it."""

    lesson: str
    name: str
    value: float
    low: float
    high: float
    cell: str
    line: int

    @property
    def inside(self) -> bool:
        return self.low <= self.value <= self.high

    @property
    def key(self) -> tuple[str, str]:
        return self.lesson, self.name


def main() -> None:
    """Run, compare, mend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lesson", nargs="*", type=Path, help="notebook files (default: all)")
    parser.add_argument("--show", action="store_true", help="only show; change no file")
    arguments = parser.parse_args()
    lessons = arguments.lesson or sorted((ROOT / "notebooks").glob("*.ipynb"))
    os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0")
    os.environ["PYTHONPATH"] = str(ROOT / "tools" / "offline")
    before = remembered(TABLE)
    readings = [reading for lesson in lessons for reading in listen(lesson)]
    print(*report(readings, before), sep="\n")
    if arguments.show:
        return
    for lesson in lessons:
        left = [r for r in readings if r.lesson == lesson.stem and not r.inside]
        for problem in mend(lesson, left):
            print(problem)
    remember(TABLE, readings, before)
    if any(not reading.inside for reading in readings):
        print("Bands were widened. Read the text around them, then: make lessons")


def listen(lesson: Path) -> list[Reading]:
    """Run a copy of a lesson and note its numbers, in order."""
    notebook = nbformat.read(lesson, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.jsonl"
        notes.touch()
        notebook.cells.insert(0, nbformat.v4.new_code_cell(LISTENER.format(path=str(notes))))
        place = {"metadata": {"path": str(lesson.resolve().parent)}}
        NotebookClient(notebook, timeout=SECONDS_PER_CELL, resources=place).execute()
        rows = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()]
    return [Reading(lesson.stem, *row) for row in rows]


def report(readings: list[Reading], before: dict[tuple[str, str], float]) -> Iterable[str]:
    """One line for every number that moved, one for every number outside, and a count."""
    for reading in readings:
        old = before.get(reading.key)
        width = reading.high - reading.low
        moved = old is not None and abs(reading.value - old) > MOVED * width
        if moved or not reading.inside:
            was = "new" if old is None else f"{old:.4g}"
            mark = "" if reading.inside else "   OUTSIDE"
            yield (
                f"{reading.lesson}: {reading.name}: {was} -> {reading.value:.4g} "
                f"in [{reading.low:g}, {reading.high:g}]{mark}"
            )
    outside = sum(not reading.inside for reading in readings)
    yield f"{len(readings)} numbers read, {outside} outside their bands"


def mend(lesson: Path, left: list[Reading]) -> Iterable[str]:
    """Widen the bands of readings that left theirs; yields what has to be done by hand."""
    if not left:
        return
    notebook = nbformat.read(lesson, as_version=4)
    places = {cell.source.strip(): number for number, cell in enumerate(notebook.cells)}
    for reading in left:
        cell = notebook.cells[places[reading.cell.strip()]]
        call = call_at(cell.source, reading)
        if call:
            cell.source = with_band(cell.source, call, widened(reading))
        else:
            yield f"{reading.lesson}: {reading.name}: its band is not written as numbers: by hand"
    text = nbformat.writes(notebook, indent=1) + "\n"
    lesson.write_text(text, encoding="utf-8", newline="\n")


def call_at(source: str, reading: Reading) -> ast.Call | None:
    """The call of `show.expect` that a reading came from, if its band is two plain numbers."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "show.expect":
            plain = len(node.args) == 4 and all(map(is_number, node.args[2:]))
            name = getattr(node.args[0], "value", reading.name)  # an f-string has none
            same = name == reading.name
            if plain and same and node.lineno <= reading.line <= node.end_lineno:
                return node
    return None


def is_number(node: ast.expr) -> bool:
    """Whether an expression is a number, perhaps with a sign."""
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(node, ast.Constant)


def widened(reading: Reading) -> tuple[float, float]:
    """The band, moved on the side where the number left it, in two digits."""
    margin = MARGIN * (reading.high - reading.low) or abs(reading.value)
    low, high = reading.low, reading.high
    if reading.value < low:
        low = in_two_digits(reading.value - margin, math.floor)
    if reading.value > high:
        high = in_two_digits(reading.value + margin, math.ceil)
    return low, high


def in_two_digits(value: float, towards) -> float:
    """A number rounded to two significant digits, down or up."""
    if not value:
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{towards(value / unit) * unit:.2g}")


def with_band(source: str, call: ast.Call, band: tuple[float, float]) -> str:
    """The source with another band in one call."""
    lines = source.encode().splitlines(keepends=True)  # positions count bytes
    for node, value in reversed(list(zip(call.args[2:], band, strict=True))):
        line = lines[node.lineno - 1]
        new = f"{value:g}".encode()
        lines[node.lineno - 1] = line[: node.col_offset] + new + line[node.end_col_offset :]
    return b"".join(lines).decode()


def remembered(table: Path) -> dict[tuple[str, str], float]:
    """(lesson, name) → the number at the last refresh."""
    if not table.exists():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        return {(r["lesson"], r["name"]): float(r["value"]) for r in csv.DictReader(file)}


def remember(table: Path, readings: list[Reading], before: dict[tuple[str, str], float]) -> None:
    """Write the numbers down; those of lessons that were not run stay."""
    run = {reading.lesson for reading in readings}
    values = {key: value for key, value in before.items() if key[0] not in run}
    values |= {reading.key: reading.value for reading in readings}
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["lesson", "name", "value"])
        writer.writerows([*key, f"{value:.4g}"] for key, value in sorted(values.items()))


if __name__ == "__main__":
    sys.exit(main())
