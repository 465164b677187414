"""What each of the two runners of notebooks sees when a saved output is no longer true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

TESTS = Path(__file__).resolve().parent.parent
RUNNERS = {
    "nbval": (
        "--nbval",
        "--nbval-current-env",
        f"--nbval-sanitize-with={TESTS}/nbval_sanitize.cfg",
    ),
    "nbclient": ("-p", "second_runner"),
}
SHOW = """from IPython.display import display
def show(html="", text=""):
    display({"text/html": html, "text/plain": text}, raw=True)
def picture(alt="a dot", size=40, dot=255):
    import base64, io
    from PIL import Image
    image = Image.new("L", (size, 40), 128)
    image.paste(dot, (0, 0, 20, 40))
    image.save(file := io.BytesIO(), "png")
    code = base64.b64encode(file.getvalue()).decode()
    show(f'<img alt="{alt}" src="data:image/png;base64,{code}">')
print(1)"""
# What happened → the cell as it was when it was saved, as it is now, and who sees it.
CHANGES = {
    "nothing": ("print(2)", "print(2)", ""),
    "another text": ("print(2)", "print(3)", "nbval nbclient"),
    "an output is gone": ("print(2)", "pass", "nbval nbclient"),
    "an output where there was none": ("pass", "print(2)", "nbval nbclient"),
    "a warning": ("print(2)", "import sys; print(2); print(3, file=sys.stderr)", "nbval nbclient"),
    "an error": ("print(2)", "print(2); 1 / 0", "nbval nbclient"),
    "one table of two": ("show('a'); show('b')", "show('a')", "nbval nbclient"),
    "the order": ("print(2); show('a')", "show('a'); print(2)", ""),
    "another description": ("picture()", "picture('a line')", "nbval nbclient"),
    "a number in its band": ("print('a: .1 ✓ expected')", "print('a: .2 ✓ expected')", ""),
    "a picture's shade": ("picture()", "picture(dot=250)", ""),
    "another picture": ("picture()", "picture(dot=0)", "nbclient"),
    "a wider picture": ("picture()", "picture(size=60)", "nbclient"),
}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cell for each change, with the outputs of before."""
    path = tmp_path_factory.mktemp("notebooks") / "changed.ipynb"
    cells = [new_code_cell(source) for source in (SHOW, *(was for was, _, _ in CHANGES.values()))]
    nbformat.write(new_notebook(cells=cells), path)
    sys.path.insert(0, str(TESTS.parent / "tools"))
    from run_lessons import execute

    saved = execute(path)
    for cell, (_, now, _) in zip(saved.cells[1:], CHANGES.values(), strict=True):
        cell.source = now
    nbformat.write(saved, path)
    return path


@pytest.mark.parametrize("runner", RUNNERS)
def test_what_a_runner_sees(runner: str, notebook: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", "-rA"]
    where = {"cwd": notebook.parent, "capture_output": True, "text": True, "check": False}
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    told = subprocess.run(
        [*command, *RUNNERS[runner], notebook.name], env=environment, **where
    ).stdout
    seen = {int(number) for number in re.findall(r"^FAILED .*::Cell (\d+)", told, re.M)}
    there = [runner in seen_by.split() for _, _, seen_by in CHANGES.values()]
    assert seen == {number for number, sees in enumerate(there, start=1) if sees}, told
