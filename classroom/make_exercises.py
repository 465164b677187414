"""Make the exercises that students get from those with solutions.

`notebooks/exercises/source` is the only place to edit. A release is its source without solutions,
hidden tests, marking guides and outputs. Where a source cell is tagged `target`, the picture or
text that the right answer gives there is put before it. The clearing is that of nbgrader, which is
not needed here.
"""

import argparse
import hashlib
import re
import sys
from itertools import zip_longest
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tools"))
from run_lessons import METADATA, as_text, execute, write  # noqa: E402

SOURCE = ROOT / "notebooks" / "exercises" / "source"
RELEASE = ROOT / "notebooks" / "exercises" / "release"
ANSWERS = RELEASE.parent / "answers.md"
CODE_STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
TEXT_STUB = "YOUR ANSWER HERE"


def main() -> None:
    """Write the releases, or say what in them is not what the sources give."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what would change")
    parser.add_argument("--run", nargs="*", type=Path, metavar="SOURCE", help="run sources first")
    arguments = parser.parse_args()
    if arguments.run is not None:
        for path in arguments.run or sorted(SOURCE.glob("*.ipynb")):
            write(execute(path), path)
    try:
        if arguments.check:
            found = drift(SOURCE, RELEASE)
            print("\n".join(found) or "every release is what its source gives")
            sys.exit(bool(found))
        make(SOURCE, RELEASE)
        ANSWERS.write_text(answers(SOURCE), encoding="utf-8", newline="\n")
    except ValueError as error:
        sys.exit(str(error))


def make(source: Path, release: Path) -> None:
    """Write the release of every source, and drop releases whose source is gone."""
    release.mkdir(parents=True, exist_ok=True)
    wanted = releases(source)
    for path in release.glob("*.ipynb"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (release / name).write_text(text, encoding="utf-8", newline="\n")


def drift(source: Path, release: Path) -> list[str]:
    """What a run of `make` would change, one line for each file or cell."""
    wanted, found = releases(source), []
    got = {path.name: path.read_text("utf-8") for path in release.glob("*.ipynb")}
    for name in sorted({*wanted, *got}):
        if name not in wanted:
            found.append(f"{name}: a release without a source")
        elif name not in got:
            found.append(f"{name}: there is no release")
        elif wanted[name] != got[name]:
            found += [f"{name}: {place}" for place in differences(got[name], wanted[name])]
    return [f"{line}; run python classroom/make_exercises.py" for line in found]


def releases(source: Path) -> dict[str, str]:
    """What students get, by the name of its file."""
    texts = {}
    for path in sorted(source.glob("*.ipynb")):
        try:
            texts[path.name] = as_text(without_solutions(nbformat.read(path, as_version=4)))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
    return texts


def answers(source: Path) -> str:
    """A page of all solutions and model answers, each behind a fold."""
    advice = "Pass the tests first, then compare: yours may be another way, and as good."
    parts = ["# Answers", f"For those who study alone. {advice}"]
    for path in sorted(source.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if title := re.match("#+ (Exercises|Task|Question) .+", cell.source):
                parts.append(f"#{title[0]}")
            elif role(cell) in ("answer", "text"):
                text = cell.source.split("\n**Marking guide.**")[0].strip()
                text = f"```python\n{text}\n```" if role(cell) == "answer" else text
                text = re.sub(r"^ *### (BEGIN|END) SOLUTION\n", "", text, flags=re.M)
                parts.append(f"<details><summary>Answer</summary>\n\n{text}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def differences(got: str, wanted: str) -> list[str]:
    """Which cells of two notebooks, given as text, differ."""
    try:
        old, new = (nbformat.reads(text, as_version=4) for text in (got, wanted))
    except nbformat.reader.NotJSONError:
        return ["the release is not a notebook"]
    pairs = enumerate(zip_longest(old.cells, new.cells))
    places = [f"cell {number} ({name_of(b or a)}) differs" for number, (a, b) in pairs if a != b]
    return places or ["something beside the cells differs"]


def mark(cell: NotebookNode) -> dict:
    """What nbgrader knows of a cell; nothing if it does not know it."""
    return cell.metadata.get("nbgrader", {})


def role(cell: NotebookNode) -> str:
    """What a cell is to nbgrader: "answer", "text" or "test"; else empty."""
    if mark(cell).get("solution"):
        return "text" if mark(cell).get("grade") else "answer"
    return "test" if mark(cell).get("grade") else ""


def name_of(cell: NotebookNode) -> str:
    """The grade_id, or else the id."""
    return mark(cell).get("grade_id", cell.id)


def without_solutions(source: NotebookNode) -> NotebookNode:
    """What students get of a source notebook."""
    cells = []
    for cell in source.cells:
        if "target" in cell.metadata.get("tags", []):
            cells.append(target(cell))
        cells.append(cleared(cell))
    names = [name_of(cell) for cell in cells if mark(cell)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"grade_id used twice: {', '.join(sorted(twice))}")
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)


def cleared(cell: NotebookNode) -> NotebookNode:
    """A cell without solution, hidden tests and outputs; one that is graded cannot be deleted."""
    cell, known = nbformat.from_dict(cell), mark(cell)
    stub = CODE_STUB if cell.cell_type == "code" else TEXT_STUB
    for region, allowed in (("SOLUTION", "solution"), ("HIDDEN TESTS", "grade")):
        if f"BEGIN {region}" in cell.source and not known.get(allowed):
            raise ValueError(f"a cell without nbgrader's mark has BEGIN {region}:\n{cell.source}")
    if known.get("solution") and "BEGIN SOLUTION" not in cell.source:
        cell.source = stub
    cell.source = cut(cell.source, "SOLUTION", stub.split("\n"))
    cell.source = cut(cell.source, "HIDDEN TESTS", [])
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    if known:
        cell.metadata.deletable = False
        cell.metadata.nbgrader.checksum = checksum(cell)
    if role(cell) == "test":
        cell.metadata.editable = False
    return cell


def checksum(cell: NotebookNode) -> str:
    """Nbgrader's, by which its Validate button notices that a locked cell was changed."""
    flags = [str(bool(mark(cell).get(name))) for name in ("grade", "solution", "locked")]
    points = [str(float(mark(cell).points))] if mark(cell).get("grade") else []
    parts = [cell.source, cell.cell_type, *flags, name_of(cell), *points]
    return hashlib.md5("".join(parts).encode()).hexdigest()


def cut(text: str, region: str, stub: list[str]) -> str:
    """The text with the lines of `stub` in place of those from BEGIN to END of a region."""
    kept, inside = [], False
    for line in text.split("\n"):
        if found := re.search(f"(BEGIN|END) {region}", line):
            if inside == (found[1] == "BEGIN"):
                fault = "twice without an END" if inside else "without a BEGIN"
                raise ValueError(f"{found[0]} {fault}")
            inside = not inside
            kept += [line[: -len(line.lstrip())] + new for new in stub if inside]
        elif not inside:
            kept.append(line)
    if inside:
        raise ValueError(f"BEGIN {region} without an END")
    return "\n".join(kept)


def target(cell: NotebookNode) -> NotebookNode:
    """What a cell of the source gave, in a markdown cell: a picture with its alt text, or text."""
    parts, pictures = ["**The right answer gives:**"], {}
    for output in cell.outputs:
        html = output.get("data", {}).get("text/html", "")
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if picture := re.search(r'src="data:image/png;base64,([^"]+)"', html):
            name = f"target-{len(pictures)}.png"
            pictures[name] = {"image/png": picture[1]}
            alt = " ".join(text.split()).replace("[", "(").replace("]", ")")
            parts.append(f"![{alt}](attachment:{name})")
        else:
            parts.append(f"```\n{text.rstrip()}\n```")
    if len(parts) == 1:
        raise ValueError(f"a cell tagged target has no output; use --run:\n{cell.source}")
    result = nbformat.v4.new_markdown_cell("\n\n".join(parts), id=f"{cell.id}-target")
    if pictures:
        result.attachments = nbformat.from_dict(pictures)
    return result


if __name__ == "__main__":
    main()
