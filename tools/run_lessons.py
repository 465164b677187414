"""Run lessons from top to bottom and save them with their outputs: `make lessons`.

With all of them, their seconds go into benchmarks/lessons.csv. Two runs on one machine write the
same bytes as long as the outputs are the same: times, random cell names and what belongs to one
machine are left out. Networking is off, as in the tests.
"""

import argparse
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
from lessons import FILES, ROOT
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from icnn.experiments.table import write_rows

OFFLINE = ROOT / "tools" / "offline"
TIMES = ROOT / "benchmarks" / "lessons.csv"
SECONDS_PER_CELL = 600  # lesson 5 trains for 80 s on a core that does nothing else
WIDGET = "application/vnd.jupyter.widget-view+json"
FOLDS = {"hide-input": "source_hidden", "hide-output": "outputs_hidden"}  # site → JupyterLab
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lesson", nargs="*", type=Path, help="notebook files (default: all)")
    some = parser.parse_args().lesson
    seconds = {}
    for lesson in some or FILES:
        start = time.perf_counter()
        write(tidied(execute(lesson), lesson), lesson)
        seconds[lesson.stem] = time.perf_counter() - start
        print(f"{lesson.stem:<28}{seconds[lesson.stem]:>7.1f} s", flush=True)
    if not some:
        write_times(seconds)


def execute(path: Path, first: str = "") -> NotebookNode:
    """Run a notebook from top to bottom, a cell of our own before it; stop where a cell fails."""
    os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0", PYTHONPATH=str(OFFLINE))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[:0] = [nbformat.v4.new_code_cell(first)] if first else []
    where = {"metadata": {"path": str(path.resolve().parent)}}
    options = {"record_timing": False, "coalesce_streams": True, "store_widget_state": False}
    options |= {"timeout": SECONDS_PER_CELL, "kernel_name": "python3", "resources": where}
    try:
        return NotebookClient(notebook, **options).execute()
    except CellExecutionError as error:
        sys.exit(f"{path.name} was not saved, because a cell failed:\n{error}")


def write_times(seconds: dict[str, float]) -> None:
    """What the site says about run times."""
    note = f"{platform.machine()}, {os.cpu_count()} cores, 1 thread, "
    note += f"Python {platform.python_version()}, torch {version('torch').split('+')[0]}"
    rows = [(name, f"{value:.0f}", note) for name, value in seconds.items()]
    write_rows(TIMES, [("lesson", "seconds", "on"), *rows])


def tidied(notebook: NotebookNode, lesson: Path) -> NotebookNode:
    """Keep what a reader sees; replace what changes from run to run or machine to machine."""
    for number, cell in enumerate(notebook.cells):
        cell.id = f"lesson-{lesson.stem.split('_')[0]}-{number:03}"
        tags = cell.metadata.get("tags", [])
        folds = {hidden: True for tag, hidden in FOLDS.items() if tag in tags}
        kept = {"tags": tags, "jupyter": folds}
        cell.metadata = nbformat.from_dict({key: value for key, value in kept.items() if value})
        for output in cell.get("outputs", []):  # a saved widget is dead; its picture stays
            output.get("data", {}).pop(WIDGET, None)
    return notebook


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, the same bytes for the same cells."""
    path.write_text(as_text(notebook), encoding="utf-8", newline="\n")


def as_text(notebook: NotebookNode) -> str:
    """What stands in the file of a notebook."""
    notebook.nbformat_minor, notebook.metadata = 5, nbformat.from_dict(METADATA)
    nbformat.validate(notebook)
    return nbformat.writes(notebook, indent=1) + "\n"


if __name__ == "__main__":
    main()
