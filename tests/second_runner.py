"""Another runner of the notebooks, on nbclient alone, for the day that nbval fails.

In pyproject.toml `"-p", "second_runner"` in place of `"--nbval"` is the whole change. It compares
what nbval compares, by the same rules of nbval_sanitize.cfg, and pictures, too: their size, and
that their dark and light places agree roughly. What each of the two misses: test_second_runner.py.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

RULES = RawConfigParser()
RULES.read(Path(__file__).with_name("nbval_sanitize.cfg"), encoding="utf-8")
PICTURE = re.compile(r'data:image/png;base64,([^"]*)')
UNLIKE = 0.1  # mean difference of pixels from 0 to 1, of pictures 32 pixels wide
IGNORED = {"application/vnd.jupyter.widget-view+json", "image/png", "image/svg+xml", "text/latex"}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Notebook | None:
    if file_path.suffix == ".ipynb":
        return Notebook.from_parent(parent, path=file_path)
    return None


class Notebook(pytest.File):
    """A notebook with a kernel, and one test for each cell of code."""

    def collect(self) -> Iterator[Cell]:
        self.saved = nbformat.read(self.path, as_version=4)
        where = {"metadata": {"path": str(self.path.parent)}}
        self.client = NotebookClient(
            nbformat.read(self.path, as_version=4), timeout=600, resources=where
        )
        code = (i for i, cell in enumerate(self.saved.cells) if cell.cell_type == "code")
        for number, index in enumerate(code):
            yield Cell.from_parent(self, name=f"Cell {number}", index=index)

    def setup(self) -> None:
        self.client.create_kernel_manager()
        self.client.start_new_kernel()
        self.client.start_new_kernel_client()

    def teardown(self) -> None:
        self.client._cleanup_kernel()


class Cell(pytest.Item):
    """Run one cell and compare what it puts out with what is saved."""

    def __init__(self, *, index: int, **rest) -> None:
        super().__init__(**rest)
        self.index = index

    def runtest(self) -> None:
        notebook, cell = self.parent, self.parent.client.nb.cells[self.index]
        notebook.client.execute_cell(cell, self.index)
        saved, now = told(notebook.saved.cells[self.index]), told(cell)
        assert now == saved
        for before, after in zip(
            *map(pictures, (notebook.saved.cells[self.index], cell)), strict=True
        ):
            assert before.size == after.size, f"a picture of {before.size} is now {after.size}"
            assert (apart := difference(before, after)) < UNLIKE, f"pictures differ by {apart:.2f}"


def told(cell: NotebookNode) -> list[tuple[str, str]]:
    """What a cell says, by stream and type, without what may differ."""
    texts: dict[str, list[str]] = {}
    for output in cell.outputs:
        if output.output_type == "stream":
            texts.setdefault(output.name, []).append(output.text)
        elif output.output_type == "error":
            texts.setdefault("error", []).append(f"{output.ename}: {output.evalue}")
        else:
            for kind in sorted(set(output.data) - IGNORED):
                texts.setdefault(kind, []).append(f"{output.data[kind]}\n")
    return [(kind, sanitized("".join(parts))) for kind, parts in sorted(texts.items())]


def sanitized(text: str) -> str:
    for rule in RULES.sections():
        text = re.sub(RULES[rule]["regex"], RULES[rule]["replace"], text, flags=re.DOTALL)
    return text


def pictures(cell: NotebookNode) -> list[Image.Image]:
    """The pictures of a cell, inside HTML or beside it."""
    shown = [output.data for output in cell.outputs if "data" in output]
    coded = [code for data in shown for code in PICTURE.findall(data.get("text/html", ""))]
    coded += [data["image/png"] for data in shown if "image/png" in data]
    return [Image.open(io.BytesIO(base64.b64decode(code))) for code in coded]


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far apart two pictures are, from 0 to 1; a shift of some pixels hardly counts."""
    small = (
        np.asarray(p.convert("L").resize((32, 32), Image.BOX), float) / 255 for p in (one, other)
    )
    return float(abs(next(small) - next(small)).mean())
