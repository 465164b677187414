"""Links to Colab and Binder, and the cell that installs the package there and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import launch_links
import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(params=launch_links.FILES, ids=lambda path: path.stem)
def lesson(request) -> tuple[str, nbformat.NotebookNode]:
    return request.param.name, nbformat.read(request.param, as_version=4)


def test_a_lesson_gets_one_line_and_one_cell_however_often(lesson) -> None:
    name, notebook = lesson
    before = [it.source for it in notebook.cells if not it.source.startswith(launch_links.SAYS)]
    for home in ("someone/else", "ada/icnn"):
        launch_links.add(notebook, name, home)
    nbformat.validate(notebook)
    sources = [cell.source for cell in notebook.cells]
    assert "someone" not in "".join(sources)
    assert sources[0].count(f"/ada/icnn/blob/main/notebooks/{name}") == 1
    assert sources[0].count(f"/ada/icnn/main?labpath=notebooks/{name}") == 1
    assert sources[0].split("\n")[0] == before[0].split("\n")[0]
    added = [source for source in sources if source.startswith(launch_links.SAYS)]
    assert len(added) == 1
    assert [source for source in sources if source not in added][1:] == before[1:]
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert codes[0].source == added[0]
    assert [cell.execution_count for cell in codes] == list(range(1, len(codes) + 1))


def test_every_lesson_has_its_line_and_its_cell(lesson) -> None:
    _, notebook = lesson
    line = notebook.cells[0].source.split("\n")[2]
    codes = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "https://colab.research.google.com/github/" in line and "https://mybinder.org/" in line
    assert codes[0].startswith(launch_links.SAYS)
    assert not any(source.startswith(launch_links.SAYS) for source in codes[1:])


@pytest.mark.parametrize("home", ['"https://github.com/ada/icnn"', launch_links.ASK])
def test_the_cell_installs_on_colab_only_and_once(home, monkeypatch) -> None:
    cell = launch_links.INSTALL.format(home=home)
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "check_call", calls.append)
    monkeypatch.setattr("builtins.input", lambda _: "https://github.com/ada/icnn")
    monkeypatch.setattr(sys, "path", [*sys.path])
    exec(cell, {})
    assert calls == []
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    exec(cell, {})
    exec(cell, {})
    clone, install = calls
    monkeypatch.setattr(sys, "path", sys.path[1:])  # after a restart, with the files still there
    monkeypatch.setattr(Path, "exists", lambda _: True)
    exec(cell, {})
    assert calls == [clone, install, install]
    assert clone[-2:] == ["https://github.com/ada/icnn", "/content/icnn"]
    assert install[-1] == "/content/icnn[explain]"
    assert sys.path[0] == "/content/icnn"


def test_a_home_that_is_none_is_refused() -> None:
    command = [sys.executable, str(ROOT / "tools" / "launch_links.py"), "https://example.org"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and "owner/name was expected" in result.stderr
