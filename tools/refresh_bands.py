"""Run the lessons, show which expected numbers moved, and mend the bands they left: `make bands`.

For after an upgrade of torch. Where a number depends on training or on the machine, a lesson prints
it with its band (`icnn.show.expect`), and its saved output has what it was. A band that a number
has left is widened in the lesson, just enough: read each before you believe it, for the text around
it makes a claim. Then `make lessons` saves the new outputs.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from pathlib import Path
from typing import NamedTuple

import nbformat
from lessons import FILES
from run_lessons import execute, write

PRINTED = re.compile(r"^(.+): (\S+) [✓✗] expected ", re.MULTILINE)
MOVED = 0.05  # of the band's width: less than that is not shown
MARGIN = 0.1  # of the band's width, beyond a number that left it

# Runs before the first cell of a lesson; notes each call, and where two numbers stand in it.
LISTENER = """
import ast, executing, json, sys
from icnn.course import show

def listen(name, value, low, high, expect=show.expect):
    call = executing.Source.executing(sys._getframe(1))
    band = call.node.args[2:]
    plain = [isinstance(getattr(node, "operand", node), ast.Constant) for node in band]
    places = [call.source.asttext().get_text_range(node) for node in band]
    row = [name, *map(float, (value, low, high)), call.source.text]
    with open({path!r}, "a", encoding="utf-8") as file:
        file.write(json.dumps([*row, places if plain == [True, True] else []]) + "\\n")
    expect(name, value, low, high)

show.expect = listen
"""


class Reading(NamedTuple):
    """One number, the band it should be in, the cell that asks for it, and where the band is."""

    lesson: str
    name: str
    value: float
    low: float
    high: float
    cell: str
    places: list[list[int]]  # beginning and end in the cell of each of the two numbers

    @property
    def inside(self) -> bool:
        return self.low <= self.value <= self.high

    @property
    def key(self) -> tuple[str, str]:
        return self.lesson, self.name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lesson", nargs="*", type=Path, help="notebook files (default: all)")
    parser.add_argument("--show", action="store_true", help="only show; change no file")
    arguments = parser.parse_args()
    lessons = arguments.lesson or FILES
    before = {key: value for lesson in lessons for key, value in saved(lesson).items()}
    readings = [reading for lesson in lessons for reading in listen(lesson)]
    print(*report(readings, before), sep="\n")
    if arguments.show:
        return
    for lesson in lessons:
        left = [r for r in readings if r.lesson == lesson.stem and not r.inside]
        for problem in mend(lesson, left):
            print(problem)
    if any(not reading.inside for reading in readings):
        print("Bands were widened. Read the text around them, then: make lessons")


def listen(lesson: Path) -> list[Reading]:
    """Run a copy of a lesson and note its numbers, in order."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.jsonl"
        notes.touch()
        execute(lesson, first=LISTENER.format(path=str(notes)))
        rows = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()]
    return [Reading(lesson.stem, *row) for row in rows]


def report(readings: list[Reading], before: dict[tuple[str, str], float]) -> Iterable[str]:
    """One line for every number that moved, one for every number outside, and a count."""
    for it in readings:
        old = before.get(it.key)
        moved = old is not None and abs(it.value - old) > MOVED * (it.high - it.low)
        if moved or not it.inside:
            was, mark = "new" if old is None else f"{old:.4g}", "" if it.inside else "   OUTSIDE"
            band = f"[{it.low:g}, {it.high:g}]{mark}"
            yield f"{it.lesson}: {it.name}: {was} -> {it.value:.4g} in {band}"
    outside = sum(not reading.inside for reading in readings)
    yield f"{len(readings)} numbers read, {outside} outside their bands"


def mend(lesson: Path, left: list[Reading]) -> Iterable[str]:
    """Widen the bands of readings that left theirs; yields what has to be done by hand."""
    if not left:
        return
    notebook = nbformat.read(lesson, as_version=4)
    cells = {cell.source.strip(): number for number, cell in enumerate(notebook.cells)}
    new = {}
    for reading in left:
        if not reading.places:
            yield f"{reading.lesson}: {reading.name}: its band is not written as numbers: by hand"
        for place, value in zip(reading.places, widened(reading), strict=False):
            new[cells[reading.cell.strip()], *place] = value
    for (number, start, end), value in sorted(new.items(), reverse=True):
        cell = notebook.cells[number]
        cell.source = f"{cell.source[:start]}{value:g}{cell.source[end:]}"
    write(notebook, lesson)


def widened(reading: Reading) -> tuple[float, float]:
    """The band, moved on the side where the number left it, in two digits."""
    _, _, value, low, high, *_ = reading
    margin = MARGIN * (high - low) or abs(value)
    if value < low:
        low = Context(prec=2, rounding=ROUND_FLOOR).create_decimal(str(value - margin))
    if value > high:
        high = Context(prec=2, rounding=ROUND_CEILING).create_decimal(str(value + margin))
    return float(low), float(high)


def saved(lesson: Path) -> dict[tuple[str, str], float]:
    """(lesson, name) → the number that stands in the lesson's saved outputs."""
    outputs = [
        o for cell in nbformat.read(lesson, as_version=4).cells for o in cell.get("outputs", [])
    ]
    text = "\n".join(output.get("text", "") for output in outputs)
    return {(lesson.stem, name): float(value) for name, value in PRINTED.findall(text)}


if __name__ == "__main__":
    main()
