"""Build the static site: `make site` writes it to _site.

Lessons with their outputs, exercises without solutions, the reference, the glossary, the guide and
the measured run times, as pages that need no server, no script and no network.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import nbformat
from website import notebook, reference, times
from website.page import ROOT, STYLE, Site
from website.text import first_heading, markdown

LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
EXERCISES = sorted((ROOT / "notebooks" / "exercises" / "release").glob("*.ipynb"))
FOR_TEACHERS = "docs/concept_test_answers.md"
TEXTS = {
    "README.md": "index.html",
    "GLOSSARY.md": "glossary.html",
    "CHANGELOG.md": "changelog.html",
}
CHINESE = "_zh_hant"


def main() -> None:
    """Build it where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "_site")
    folder = parser.parse_args().folder
    print(f"{build(folder)} pages in {folder}")


def build(folder: Path) -> int:
    """Write all pages into a folder, which is emptied first; returns how many."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / "style.css").exists():
            raise SystemExit(f"{folder} holds something else: it is not overwritten")
        shutil.rmtree(folder)
    site = Site(folder, plan())
    folder.mkdir(parents=True)
    shutil.copyfile(STYLE, folder / "style.css")
    for source in [path for path in site.places if path.endswith(".md")]:
        text = (ROOT / source).read_text(encoding="utf-8")
        write(site, source, first_heading(text), markdown(text, linker(site, source)))
    for row in (LESSONS, EXERCISES):
        write_notebooks(site, row)
    numbers = {path.stem.split("_")[0].lstrip("0") or "0": path for path in reversed(LESSONS)}
    lessons = {number: site.places[name(path)] for number, path in numbers.items()}
    site.write("reference.html", reference.TITLE, reference.body(lessons))
    site.write("times.html", times.TITLE, times.body())
    site.write("exercises/index.html", "Exercises", list_of_exercises(site))
    return len(list(folder.rglob("*.html")))


def plan() -> dict[str, str]:
    """File or folder of the repository → its page."""
    places = dict(TEXTS)
    for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / "data").rglob("README.md")]:
        if name(path) != FOR_TEACHERS:
            places[name(path)] = str(Path(name(path)).with_suffix(".html").as_posix())
    places |= {name(path): f"lessons/{path.stem}.html" for path in LESSONS}
    places |= {name(path): f"exercises/{path.stem}.html" for path in EXERCISES}
    return places | {"notebooks/exercises/release": "exercises/index.html"}


def name(path: Path) -> str:
    """The path of a file in the repository."""
    return path.relative_to(ROOT).as_posix()


def linker(site: Site, source: str):
    """What turns the links of one file into those of its page."""
    return lambda url: site.link(source, url)


def write(site: Site, source: str, title: str, body: str, **options) -> None:
    site.write(site.places[source], title, body, **options)


def write_notebooks(site: Site, paths: list[Path]) -> None:
    """A page for each, which leads to the ones before and after it."""
    notebooks = [nbformat.read(path, as_version=4) for path in paths]
    titles = [first_heading(book.cells[0].source) for book in notebooks]
    pages = [(site.places[name(path)], title) for path, title in zip(paths, titles, strict=True)]
    around = [None, *pages, None]
    for i, (path, book) in enumerate(zip(paths, notebooks, strict=True)):
        body = notebook.body(book, linker(site, name(path)))
        language = "zh-Hant" if path.stem.endswith(CHINESE) else "en"
        beside = around[i], around[i + 2]
        write(site, name(path), titles[i], body, language=language, beside=beside)


def list_of_exercises(site: Site) -> str:
    """The page that names the sets."""
    items = "".join(
        f'<li><a href="{path.stem}.html">'
        f"{first_heading(nbformat.read(path, as_version=4).cells[0].source)}</a></li>"
        for path in EXERCISES
    )
    how = (
        "Six sets, 45 to 60 minutes each. To work on one, open its notebook in JupyterLab "
        "(<code>make lab</code>, folder <code>exercises/release</code>)."
    )
    return f"<h1>Exercises</h1><p>{how}</p><ul>{items}</ul>"


if __name__ == "__main__":
    main()
