"""Put links to Colab and Binder into every lesson.

    python tools/launch_links.py             # the reader gives the address of the repository there
    python tools/launch_links.py owner/name  # the repository has this home on GitHub: direct links

Each lesson gets one line below its title, and one cell that installs the package on Colab and does
nothing elsewhere. Running it again replaces both.
"""

import argparse
import re

import nbformat
from lessons import FILES
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from run_lessons import tidied, write

ANY_HOME = {"Colab": "https://colab.research.google.com/github/", "Binder": "https://mybinder.org/"}
THE_HOME = {
    "Colab": "https://colab.research.google.com/github/{home}/blob/main/notebooks/{name}",
    "Binder": "https://mybinder.org/v2/gh/{home}/main?labpath=notebooks/{name}",
}
FIRST_WORDS = {"en": "Run it online:", "zh": "線上執行："}
HOW = {
    "en": " (enter the address of this repository there, and choose this lesson)",
    "zh": "（在該處輸入本儲存庫的網址，並選擇這一課）",
}
INSTALL = """# On Colab this fetches the package; elsewhere it does nothing.
import sys

if "google.colab" in sys.modules and "/content/icnn" not in sys.path:
    from pathlib import Path
    from subprocess import check_call

    if not Path("/content/icnn").exists():
        home = {home}
        check_call(["git", "clone", "--depth=1", home, "/content/icnn"])
    check_call([sys.executable, "-m", "pip", "install", "-qe", "/content/icnn[explain]"])
    sys.path.insert(0, "/content/icnn")"""
ASK = 'input("Address of the repository: ")'
SAYS = INSTALL.split("\n")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", nargs="?", help="owner/name on GitHub")
    home = parser.parse_args().home
    if home and not re.fullmatch(r"[\w.-]+/[\w.-]+", home):
        parser.error(f"owner/name was expected, not {home!r}")
    for path in FILES:
        notebook = nbformat.read(path, as_version=4)
        add(notebook, path.name, home)
        write(tidied(notebook, path), path)
    print(f"{len(FILES)} lessons have their links")


def add(notebook: NotebookNode, name: str, home: str | None) -> None:
    """The line and the cell, in place of earlier ones; code cells are numbered anew."""
    title, *rest = notebook.cells[0].source.split("\n")
    rest = [line for line in rest if not line.startswith(tuple(FIRST_WORDS.values()))]
    language, sites = "zh" if "_zh_" in name else "en", THE_HOME if home else ANY_HOME
    links = (f"[{site}]({url.format(home=home, name=name)})" for site, url in sites.items())
    line = f"{FIRST_WORDS[language]} {' · '.join(links)}{'' if home else HOW[language]}"
    notebook.cells[0].source = f"{title}\n\n{line}\n\n" + "\n".join(rest).lstrip("\n")
    install = INSTALL.format(home=f'"https://github.com/{home}"' if home else ASK)
    others = [cell for cell in notebook.cells if not cell.source.startswith(SAYS)]
    first = next(i for i, cell in enumerate(others) if cell.cell_type == "code")
    notebook.cells = [*others[:first], new_code_cell(install), *others[first:]]
    codes = (cell for cell in notebook.cells if cell.cell_type == "code")
    for number, cell in enumerate(codes, 1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number


if __name__ == "__main__":
    main()
