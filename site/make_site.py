"""Build the static site: `make site` writes it to _site.

Lessons with their outputs, exercises without solutions, the reference, the glossary, the guide and
the measured run times, as pages that need no server, no script and no network.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

import nbformat
from website import notebook, reference, times
from website.page import ROOT, STYLE, Site, relative
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
WHICH = {
    "en": "This page shows {}; to run it, open it in JupyterLab (<code>make lab</code>).",
    "zh-Hant": "本頁顯示 {}；要執行，請在 JupyterLab 中開啟（<code>make lab</code>）。",
}


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
    titles = write_notebooks(site, LESSONS) | write_notebooks(site, EXERCISES)
    numbers = {path.stem.split("_")[0].lstrip("0") or "0": path for path in reversed(LESSONS)}
    lessons = {number: site.places[name(path)] for number, path in numbers.items()}
    site.write("reference.html", reference.TITLE, reference.body(lessons))
    links = {path.stem: (site.places[name(path)], titles[path]) for path in LESSONS}
    site.write("times.html", times.TITLE, times.body(links))
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


def write_notebooks(site: Site, paths: list[Path]) -> dict[Path, str]:
    """A page for each, which leads to the English ones before and after it; returns the titles."""
    books = {path: nbformat.read(path, as_version=4) for path in paths}
    titles = {path: first_heading(book.cells[0].source) for path, book in books.items()}
    row = [path for path in paths if not path.stem.endswith(CHINESE)]
    for path, book in books.items():
        english = path.with_stem(path.stem.removesuffix(CHINESE))
        language = "en" if path == english else "zh-Hant"
        place = row.index(english)
        around = [None, *row, None][place : place + 3 : 2]
        beside = tuple(it and (site.places[name(it)], titles[it]) for it in around)
        body = notebook.body(book, linker(site, name(path)), language)
        body = body.replace("</h1>", f"</h1>{source_line(site, path, language)}", 1)
        write(site, name(path), titles[path], body, language=language, beside=beside)
    return titles


def source_line(site: Site, path: Path, language: str) -> str:
    """The line that says which notebook a page shows."""
    place = relative(site.places[name(path)], site.copy(name(path)))
    link = f'<a href="{place}" download>{name(path)}</a>'
    return f"<p>{WHICH[language].format(link)}</p>"


def list_of_exercises(site: Site) -> str:
    """The page that names the sets, with what each of them practises."""
    items = []
    for path in EXERCISES:
        card = nbformat.read(path, as_version=4).cells[0].source
        what = re.search(r"\*\*You will practise\*\* \| (.+) \|", card)[1]
        link = f'<a href="{path.stem}.html">{first_heading(card)}</a>'
        items.append(f"<li>{link}: {what}</li>")
    how = (
        "Six sets, 45 to 60 minutes each. To work on one, open its notebook in JupyterLab "
        "(<code>make lab</code>, folder <code>notebooks/exercises/release</code>)."
    )
    return f"<h1>Exercises</h1><p>{how}</p><ul>{''.join(items)}</ul>"


if __name__ == "__main__":
    main()
