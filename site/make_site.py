"""Build the static site: `make site` writes it to _site.

Lessons with their outputs, exercises without solutions, the reference, the glossary, the guide and
the measured run times, as pages that need no server and no network. Nothing is run.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import module_pages
from sphinx.cmd.build import build_main

from icnn.experiments.table import read_rows

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SHOWN = """
    notebooks/*.ipynb notebooks/exercises/README.md notebooks/exercises/release/*.ipynb docs/*
    data/**/*.md benchmarks/*.csv GLOSSARY.md CHANGELOG.md CONTRIBUTING.md CITATION.cff LICENSE
"""
FOR_TEACHERS = "concept_test_answers.md"  # students read the site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "_site")
    folder = parser.parse_args().folder
    print(f"{build(folder)} pages in {folder}")


def build(folder: Path) -> int:
    """Write all pages into a folder, which is emptied first; returns how many."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / "searchindex.js").exists():
            raise SystemExit(f"{folder} holds something else: it is not overwritten")
        shutil.rmtree(folder)
    with tempfile.TemporaryDirectory() as work:
        source, trees, built = Path(work, "source"), Path(work, "trees"), Path(work, "built")
        stage(source)
        static = f"html_static_path={source / '_static'}"
        options = ["-E", "-W", "-q", "-c", str(HERE), "-d", str(trees), "-D", static]
        if build_main([*options, str(source), str(built)]):
            raise SystemExit("the site was not built: see above")
        for unused in [*built.rglob("*.map"), *built.glob("_static/*macros.html")]:
            unused.unlink()
        shutil.move(built, folder)  # what MyST-NB writes beside the pages stays behind
    return len(list(folder.rglob("*.html")))


def stage(folder: Path) -> None:
    """Lay out what is shown as it lies in the repository, so that its links hold."""
    for path in {path for pattern in SHOWN.split() for path in ROOT.glob(pattern)}:
        if path.name != FOR_TEACHERS:
            copy = folder / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    contents = (HERE / "contents.md").read_text(encoding="utf-8")
    (folder / "index.md").write_text(front + contents, encoding="utf-8")
    for page in folder.glob("docs/*.md"):
        page.write_text(page.read_text("utf-8").replace("../README.md", "../index.md"), "utf-8")
    (folder / "times.md").write_text(times(), encoding="utf-8")
    (folder / "_static").mkdir()
    shutil.copyfile(HERE / "site.css", folder / "_static" / "site.css")
    module_pages.write_pages(folder / "reference")


def times() -> str:
    """The page of run times."""
    rows = read_rows(ROOT / "benchmarks" / "lessons.csv")
    lines = [f"| [](notebooks/{row['lesson']}.ipynb) | {row['seconds']} |" for row in rows]
    text = (HERE / "times.md").read_text(encoding="utf-8")
    return text.format(machine=rows[0]["on"], lessons="\n".join(lines))


if __name__ == "__main__":
    main()
