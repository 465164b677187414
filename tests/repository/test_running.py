"""How pytest runs notebooks here, whatever a maintainer types."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent.parent
FONTS = "import os; a += 1; assert 'fontlist' in str(os.listdir(os.environ['MPLCONFIGDIR']))"


def put(path: Path, *cells: str) -> None:
    code = [new_code_cell(text, execution_count=i + 1) for i, text in enumerate(cells)]
    nbformat.write(new_notebook(cells=code), path)


@pytest.fixture(scope="module")
def summary(tmp_path_factory) -> str:
    """What pytest says of one notebook with many cells and of one whose kernel dies."""
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copy(ROOT / "tests" / "running.py", folder / "conftest.py")
    put(folder / "many.ipynb", "a = 1", *["a += 1"] * 5, FONTS, "assert a == 7")
    put(folder / "dies.ipynb", "a = 1", "import os; os._exit(1)", "a", "a")
    options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "-n", "2", "-q"]
    command = [sys.executable, "-m", "pytest", *options, "--dist", "load", "-p", "no:cacheprovider"]
    new = {k: v for k, v in os.environ.items() if k not in ("MPLCONFIGDIR", "PYTEST_XDIST_WORKER")}
    (folder / "temporary").mkdir()
    run = {"cwd": folder, "capture_output": True, "text": True, "timeout": 300}
    run["env"] = {**new, "TMPDIR": str(folder / "temporary")}
    said = subprocess.run([*command, "many.ipynb", "dies.ipynb"], **run).stdout
    assert not [*(folder / "temporary").glob("matplotlib-*")]  # the run's own, with its fonts
    return said


def test_all_cells_of_a_notebook_go_to_one_kernel(summary) -> None:
    assert re.search(r"^  many +8 +0 +0 +0 ", summary, re.M), summary


def test_a_kernel_that_dies_is_noticed_and_what_follows_is_not_run(summary) -> None:
    assert "the kernel died while it ran this cell" in summary
    assert re.search(r"^  dies +1 +1 +0 +2 ", summary, re.M), summary
