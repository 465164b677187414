"""What students hand in: sound notebooks, half-done ones, and all that can happen to a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "classroom"))
import make_exercises as exercises  # noqa: E402

SETS = sorted(path.stem for path in exercises.SOURCE.glob("*.ipynb"))
ONE = SETS[0]
TASKS = ("template_prior", "part_templates", "part_mask", "two_opinions")
TEXT = "The peak is simple; the best template is steadier. One of two heads is lost."


def grade_id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if grade_id(cell) == name)


def solutions(name: str) -> dict[str, str]:
    """Task → a right answer, without the lines that mark it."""
    source = nbformat.read(exercises.SOURCE / f"{name}.ipynb", as_version=4)
    cells = [cell for cell in source.cells if "BEGIN SOLUTION" in cell.source]
    return {grade_id(cell): re.sub(r" *### \w+ SOLUTION\n?", "", cell.source) for cell in cells}


def release(name: str = ONE) -> NotebookNode:
    return nbformat.read(exercises.RELEASE / f"{name}.ipynb", as_version=4)


def sound(name: str = ONE, **answers: str) -> NotebookNode:
    """A complete notebook; `answers`: task → what stands there instead of the right answer."""
    notebook = release(name)
    for task, text in {**solutions(name), **answers}.items():
        cell_of(notebook, task).source = text
    for cell in notebook.cells:
        if cell.source == exercises.TEXT_STUB:
            cell.source = TEXT
    return notebook


def half() -> NotebookNode:
    """Tasks 1 and 3 done."""
    stubs = {task: cell_of(release(), task).source for task in ("part_templates", "two_opinions")}
    return sound(**stubs)


def tests_deleted() -> NotebookNode:
    notebook = sound()
    notebook.cells = [cell for cell in notebook.cells if not grade_id(cell).startswith("test_")]
    return notebook


def tests_overwritten() -> NotebookNode:
    """Nothing done, but tests that are glad about it."""
    notebook = release()
    for cell in notebook.cells:
        if grade_id(cell).startswith("test_"):
            cell.source, cell.metadata.nbgrader.points = "assert True", 100
    return notebook


def duplicated() -> NotebookNode:
    """A wrong try, then the right one, then the empty cell again; all with the same mark."""
    notebook = sound()
    place = notebook.cells.index(cell_of(notebook, "part_mask"))
    wrong, empty = nbformat.from_dict(notebook.cells[place]), cell_of(release(), "part_mask")
    wrong.source = "def part_mask(x, *, beta=4.0):\n    return x"
    notebook.cells[place:place] = [wrong]
    notebook.cells.insert(place + 2, nbformat.from_dict(empty))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"c{number}"
    return notebook


def renamed() -> NotebookNode:
    notebook = sound()
    for cell in notebook.cells:
        if grade_id(cell):
            cell.metadata.nbgrader.grade_id = f"my_{cell.id}"
    return notebook


def colab() -> NotebookNode:
    """Without any mark of nbgrader and with other ids; text answer in a cell of its own."""
    notebook = sound()
    for number, cell in enumerate(notebook.cells):
        cell.metadata = nbformat.from_dict({"id": f"colab{number}"})
        del cell["id"]
    notebook.nbformat_minor = 0
    notebook.metadata = nbformat.from_dict({"colab": {"provenance": []}})
    return notebook


def with_own_cells() -> NotebookNode:
    """A helper above the answer that needs it, and an import in our set-up cell."""
    notebook = sound(
        template_prior="def template_prior(n, *, alpha=None):\n    return helper(n, alpha)",
        two_opinions="def two_opinions(variant=0):\n    x = torch.zeros(3, 3)\n"
        "    x[0, 0] = math.sqrt(9)\n    x[1:, 1:] = 2\n    x[1, 1] = 0\n"
        "    warn('mind the gap')\n    return x",
    )
    body = solutions(ONE)["template_prior"].replace(
        "template_prior(n, *, alpha=None)", "helper(n, alpha)"
    )
    place = notebook.cells.index(cell_of(notebook, "template_prior"))
    notebook.cells.insert(place, new_code_cell(body))
    notebook.cells[1].source += "\nimport math\nfrom warnings import warn"
    notebook.cells.append(new_markdown_cell("<script>alert(1)</script> my notes"))
    cell_of(notebook, "where_would_you_put_the_mask").source = f"{TEXT} ![spot](attachment:a b.png)"
    return notebook


def with_leftovers() -> NotebookNode:
    """Right answers between cells that leave names and settings behind."""
    notebook = sound()
    for text, task in LEFTOVERS:
        place = notebook.cells.index(cell_of(notebook, task)) + 1
        notebook.cells.insert(place, new_code_cell(text))
    notebook.cells.append(new_code_cell("f'{sum} is mine still {template_prior}'"))
    return notebook


LEFTOVERS = (
    (
        "sum, max, abs = 1, 2, 3\nlist = [1]\nfor range in range(3): pass\ntemplate_prior = 7",
        "template_prior",
    ),
    ("import math as float, builtins\nprint = len = any = all = None", "template_prior"),
    ("torch = icnn = np = check = 3\nfrom statistics import *\ndel plt", "part_templates"),
    (
        "torch.set_default_dtype(torch.float64)\ntorch.set_default_device('meta')",
        "part_templates",
    ),
    ("torch.set_grad_enabled(False)\nassertion = zip = divmod = {}\nint = str", "part_mask"),
    ("import warnings\nwarnings.simplefilter('error')\nresult = got = _x = 5", "two_opinions"),
)


def quits() -> NotebookNode:
    """With `exit()` in a cell between two tasks."""
    notebook = sound()
    notebook.cells.insert(7, new_code_cell("exit()"))
    return notebook


def as_bytes(notebook: NotebookNode) -> bytes:
    return nbformat.writes(notebook).encode()


SLOW = "def part_templates(n, *, beta=4.0, tau=None):\n    while True:\n        pass"
STUBBORN = """
import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    pass
"""
KILLED = (
    "def part_templates(n, *, beta=4.0, tau=None):\n    import os\n\n    os.kill(os.getpid(), 9)"
)
HIDDEN_ERROR = (
    "get_ipython().showtraceback = lambda *_, **__: None\n"
    "def part_templates(n, *, beta=4.0, tau=None):\n    raise ValueError"
)
LARGE = (
    "def part_templates(n, *, beta=4.0, tau=None):\n"
    "    return torch.ones(2 * 10**9, dtype=torch.uint8)"
)
LOUD = solutions(ONE)["part_mask"].replace(
    "beta=4.0):\n", 'beta=4.0):\n    print("x" * 1_000_000)\n'
)
NOSY = solutions(ONE)["part_mask"].replace(
    "beta=4.0):\n",
    """beta=4.0):
    import os, socket
    from pathlib import Path
    project = Path(icnn.__file__).parent.parent
    if list(project.glob("notebooks/exercises/source/*")) or os.environ.get("GRADING_SECRET"):
        raise ValueError("it can be read")
    try:
        (project / "icnn" / "spoilt").touch()
        raise ValueError("it can be written")
    except OSError:
        pass
    try:
        socket.create_connection(("127.0.0.1", PORT), 5)
        raise ValueError("there is a network")
    except OSError:
        pass
""",
)
# Name → (notebook or bytes, points by tests, words on the page)
MATRIX = {
    "reference": (sound(), 7, ["Nothing out of the ordinary", "Questions: not marked yet"]),
    "untouched": (release(), 0, ["NotImplementedError", "Questions: 0 of 3"]),
    "half done": (half(), 3, ["Tests: 3 of 7"]),
    "tests deleted": (
        tests_deleted(),
        7,
        ["Tests that were missing; the originals were run", "test_part_mask"],
    ),
    "tests overwritten": (
        tests_overwritten(),
        0,
        ["Tests that were changed; the originals were run", "test_part_mask"],
    ),
    "leftovers": (
        with_leftovers(),
        7,
        ["the tests run without it: abs, all, any", "1 is mine still 7"],
    ),
    "duplicated": (duplicated(), 7, ["several versions of part_mask; the last one counts"]),
    "renamed": (
        renamed(),
        7,
        ["Without nbgrader's mark, found by the name of the function: template_prior"],
    ),
    "infinite loop": (sound(part_templates=SLOW), 5, ["ran longer than 3 seconds", "while True"]),
    "stubborn loop": (sound(part_templates=STUBBORN), 5, ["could not be interrupted"]),
    "kernel killed": (sound(part_templates=KILLED), 5, ["it ended Python itself"]),
    "quits": (quits(), 7, ["A cell of your own was stopped: it ended Python itself"]),
    "hides an error": (sound(part_templates=HIDDEN_ERROR), 5, ["it was not shown"]),
    "two gigabytes": (sound(part_templates=LARGE), 5, ["more memory than grading allows (2 GB)"]),
    "a megabyte": (sound(part_mask=LOUD), 7, ["printed more than 100,000 characters"]),
    "nosy": (sound(part_mask=NOSY), 7, ["Tests: 7 of 7"]),
    "Colab": (
        colab(),
        7,
        ["found by the name of the function: template_prior", "from below the question"],
    ),
    "own cells": (
        with_own_cells(),
        7,
        ["my notes", "mind the gap", "The picture a b.png (spot) is not in the notebook"],
    ),
    "corrupted": (as_bytes(sound())[:4000], 0, ["cannot be read as a notebook: it is not JSON"]),
    "empty file": (b"", 0, ["cannot be read as a notebook: it is not JSON"]),
    "a picture": (b"\x89PNG\r\n\xff", 0, ["cannot be read as a notebook: it is not JSON"]),
    "wrapped": (
        sound(part_mask="def part_mask(x, *, beta=4.0):\n    return icnn.part_mask(x, beta=beta)"),
        *(5, ["part_mask hands in icnn's own part_mask", "0 points"]),
    ),
    "disguised": (
        sound(part_mask='part_mask = vars(icnn.templates)["part_" + "mask"]'),
        *(5, ["That is icnn's own part_mask at work"]),
    ),
}
