"""Put links to Colab and Binder into every lesson, once the repository has a public home.

    python tools/launch_links.py owner/name

Each lesson gets one line below its title, and one cell that installs the package on Colab and does
nothing elsewhere. Running it again, for another home, replaces both.
"""

from __future__ import annotations

import argparse
import re

import nbformat
import run_lessons
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

LESSONS = sorted((run_lessons.ROOT / "notebooks").glob("[0-9]*.ipynb"))
SITES = {
    "Colab": "https://colab.research.google.com/github/{home}/blob/main/notebooks/{name}",
    "Binder": "https://mybinder.org/v2/gh/{home}/main?labpath=notebooks/{name}",
}
FIRST_WORDS = {"en": "Open on", "zh": "開啟於"}
INSTALL = """# On Colab this fetches the package; elsewhere it does nothing.
import subprocess
import sys

if "google.colab" in sys.modules:
    home, folder = "https://github.com/{home}", "/content/icnn"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", home, folder], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--editable"]
    subprocess.run([*pip, f"{{folder}}[explain]"], check=True)
    sys.path.insert(0, folder)"""
SAYS = "# On Colab this fetches the package"


def main() -> None:
    """Change the lessons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=home_of, help="owner/name on GitHub")
    home = parser.parse_args().home
    for path in LESSONS:
        notebook = nbformat.read(path, as_version=4)
        add(notebook, path.name, home)
        run_lessons.tidy(notebook, f"lesson-{path.stem.split('_')[0]}")
        text = nbformat.writes(notebook, indent=1) + "\n"
        path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(LESSONS)} lessons open from {home}")


def home_of(text: str) -> str:
    """owner/name, or an error that says what was meant."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
        raise argparse.ArgumentTypeError(f"owner/name was expected, not {text!r}")
    return text


def add(notebook: NotebookNode, name: str, home: str) -> None:
    """The line and the cell, in place of earlier ones; code cells are numbered anew."""
    words = FIRST_WORDS["zh" if "_zh_" in name else "en"]
    links = " · ".join(
        f"[{site}]({url.format(home=home, name=name)})" for site, url in SITES.items()
    )
    title, *rest = notebook.cells[0].source.split("\n")
    rest = [line for line in rest if not line.startswith(tuple(FIRST_WORDS.values()))]
    while rest and not rest[0]:
        rest.pop(0)
    notebook.cells[0].source = "\n".join([title, "", f"{words} {links}", "", *rest])
    others = [cell for cell in notebook.cells if not cell.source.startswith(SAYS)]
    first = next(i for i, cell in enumerate(others) if cell.cell_type == "code")
    notebook.cells = [*others[:first], new_code_cell(INSTALL.format(home=home)), *others[first:]]
    codes = (cell for cell in notebook.cells if cell.cell_type == "code")
    for number, cell in enumerate(codes, 1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number


if __name__ == "__main__":
    main()
