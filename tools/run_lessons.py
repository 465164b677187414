"""Run lessons from top to bottom and save them with their outputs: `make lessons`.

With all of them, their seconds go into benchmarks/lessons.csv. Two runs on one machine write the
same bytes as long as the outputs are the same: times, random cell names and what belongs to one
machine are left out. Networking is off, as in the tests.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
OFFLINE = ROOT / "tools" / "offline"
TIMES = ROOT / "benchmarks" / "lessons.csv"
SECONDS_PER_CELL = 600  # lesson 5 trains for 80 s on a core that does nothing else
WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def main() -> None:
    """Run the lessons named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lesson", nargs="*", type=Path, help="notebook files (default: all)")
    some = parser.parse_args().lesson
    lessons = some or sorted((ROOT / "notebooks").glob("*.ipynb"))
    os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0", PYTHONPATH=str(OFFLINE))
    seconds = {}
    for lesson in lessons:
        start = time.perf_counter()
        run(lesson)
        seconds[lesson.stem] = time.perf_counter() - start
        print(f"{lesson.stem:<28}{seconds[lesson.stem]:>7.1f} s", flush=True)
    if not some:
        write_times(seconds)


def run(lesson: Path) -> None:
    """Run one lesson and write it back; on an error leave the file alone and stop."""
    notebook = nbformat.read(lesson, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(lesson.resolve().parent)}},
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        sys.exit(f"{lesson.name} was not saved, because a cell failed:\n{error}")
    tidy(notebook, f"lesson-{lesson.stem.split('_')[0]}")
    nbformat.validate(notebook)
    lesson.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8", newline="\n")


def write_times(seconds: dict[str, float]) -> None:
    """What the site says about run times."""
    note = f"{platform.machine()}, {os.cpu_count()} cores, 1 thread, "
    note += f"Python {platform.python_version()}, torch {version('torch').split('+')[0]}"
    with TIMES.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["lesson", "seconds", "on"])
        writer.writerows([name, f"{value:.0f}", note] for name, value in seconds.items())


def tidy(notebook: nbformat.NotebookNode, name: str) -> None:
    """Keep what a reader sees; replace what changes from run to run or machine to machine."""
    notebook.nbformat_minor = 5
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{name}-{number:03}"
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        for output in cell.get("outputs", []):  # a saved widget is dead; its picture stays
            output.get("data", {}).pop(WIDGET, None)


if __name__ == "__main__":
    main()
