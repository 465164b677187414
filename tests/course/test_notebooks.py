"""Every lesson is executed in order, readable without running it, and free of one machine's marks.

That its outputs are those of today's code is checked by nbval, which runs every cell again.
"""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from lessons import NOTEBOOKS, Lesson, lessons
from nbclient import NotebookClient

LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))
REGISTRY = lessons()
CARD = (
    "You will be able to|你將能夠",
    "You need first|你需要先具備",
    "Minutes to read|閱讀分鐘數",
    "Seconds to run|執行秒數",
    "Question it advances|推進的問題",
)
MACHINE_PATH = re.compile(r"/(?:work|tmp|farm|root|home|Users)/\w|[A-Z]:\\\\Users")


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def code_cells(lesson: nbformat.NotebookNode) -> list:
    return [cell for cell in lesson.cells if cell.cell_type == "code"]


def prose(lesson: nbformat.NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")


def outputs(lesson: nbformat.NotebookNode) -> list:
    return [output for cell in code_cells(lesson) for output in cell.outputs]


def headings(markdown: str) -> list[tuple[int, str]]:
    """(level, text) of every heading that is not inside a code block."""
    text = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^(#{1,6}) +(.+)$", text, flags=re.MULTILINE)
    return [(len(marks), title) for marks, title in found]


class Images(HTMLParser):
    """Collects the alt texts of the images in a piece of html."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.alts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.alts.append(dict(attributes).get("alt") or "")


def test_the_series_is_complete() -> None:
    translations = {file for lesson in REGISTRY for file in lesson.translations.values()}
    assert {path.stem for path in LESSONS} == {lesson.file for lesson in REGISTRY} | translations


@pytest.mark.parametrize("entry", REGISTRY, ids=lambda entry: entry.file)
def test_the_lesson_says_of_itself_what_the_registry_says(entry: Lesson) -> None:
    for file in (entry.file, *entry.translations.values()):
        lesson = nbformat.read(NOTEBOOKS / f"{file}.ipynb", as_version=4)
        title = headings(prose(lesson))[0][1]
        assert title.startswith(f"{entry.number} · ")
        assert file in entry.translations.values() or title.endswith(f" · {entry.title}")
        minutes = re.search(r"(?:Minutes to read|閱讀分鐘數)\W+(\d+)", prose(lesson))
        assert int(minutes[1]) == entry.minutes
        if entry is not REGISTRY[-1]:
            last = prose(lesson).strip().splitlines()[-1]
            after = REGISTRY[entry.number + 1]
            assert re.search(rf"\[[^\]]*{after.number}[^\]]*\]\({after.file}", last)


class WithoutTexts(ast.NodeTransformer):
    """Code as it is in every language: texts are left out, what they print is kept."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant:
        printed = [ast.unparse(it) for it in node.values if isinstance(it, ast.FormattedValue)]
        return ast.Constant(" ".join(sorted(printed)))


def untranslated(cell) -> list[str]:
    """What a translation must not touch: code, formulas, names in the text, links."""
    if cell.cell_type == "code":
        return [ast.unparse(WithoutTexts().visit(ast.parse(cell.source)))]
    formulas, names = re.findall(r"\$[^$]+\$", cell.source), re.findall(r"`[^`]+`", cell.source)
    links = re.findall(r"\]\(([^)]+)\)", cell.source)
    return sorted([*formulas, *names, *(it for it in links if not it.startswith("00_start_here"))])


@pytest.mark.parametrize(
    "entry", [it for it in REGISTRY if it.translations], ids=lambda it: it.file
)
def test_a_translation_has_the_cells_of_its_lesson_code_formulas_and_links(entry: Lesson) -> None:
    files = (entry.file, *entry.translations.values())
    lesson, *others = (nbformat.read(NOTEBOOKS / f"{it}.ipynb", as_version=4) for it in files)
    for other in others:
        for one, same in zip(lesson.cells, other.cells, strict=True):
            assert (one.cell_type, one.metadata) == (same.cell_type, same.metadata), one.id
            assert untranslated(one) == untranslated(same), one.id


def test_every_cell_was_run_once_from_top_to_bottom(lesson) -> None:
    cells = code_cells(lesson)
    assert all(cell.source.strip() for cell in cells), "an empty code cell"
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert cells


def test_no_output_is_an_error_or_a_warning(lesson) -> None:
    kinds = {(output.output_type, output.get("name")) for output in outputs(lesson)}
    assert kinds <= {("stream", "stdout"), ("display_data", None), ("execute_result", None)}


def test_code_leaves_nothing_that_the_tests_could_not_compare(lesson) -> None:
    for cell in code_cells(lesson):
        assert not cell.source.rstrip().endswith(";"), cell.source
        assert not re.search(r"\bclear_output\b|\binteract\(", cell.source), cell.source
        assert "raises-exception" not in cell.metadata.get("tags", []), cell.source
        assert "nbval" not in cell.source.lower(), cell.source
        assert not any("nbval" in tag for tag in cell.metadata.get("tags", [])), cell.source


def test_what_is_folded_on_the_site_is_folded_in_jupyterlab(lesson) -> None:
    for cell in code_cells(lesson):
        tags, folded = cell.metadata.get("tags", []), cell.metadata.get("jupyter", {})
        assert ("hide-input" in tags) == folded.get("source_hidden", False), cell.source
        assert ("hide-output" in tags) == folded.get("outputs_hidden", False), cell.source


def test_every_number_lies_in_its_band(lesson) -> None:
    printed = "".join(output.get("text", "") for output in outputs(lesson))
    assert "✗ expected" not in printed
    kept = [line for line in printed.splitlines() if "✓ expected" in line]
    assert all(re.fullmatch(r".+: \S+ ✓ expected \S+ to \S+", line) for line in kept), kept


def test_every_picture_has_an_alt_text(lesson) -> None:
    for output in outputs(lesson):
        data = output.get("data", {})
        html = data.get("text/html", "")
        alts = Images(html).alts
        assert all(len(alt) > 20 for alt in alts), html[:200]
        if any(kind.startswith("image/") for kind in data):
            assert alts, "an image without html has no alt text; use icnn.show.figure"


def test_a_lesson_that_shows_tracking_says_of_how_many_pictures(lesson) -> None:
    shown = [str(output.get("data", output.get("text", ""))).lower() for output in outputs(lesson)]
    if any("tracking" in text for text in shown):
        assert re.search(r"\btop[ =]100|\b100\s+(pictures\s+)?(on which|strongest)", prose(lesson))


def test_nothing_belongs_to_one_machine(lesson) -> None:
    text = nbformat.writes(lesson)
    text = re.sub(r"[A-Za-z0-9+/=\\n]{200,}", "", text)  # pictures: base64 may hold anything
    assert not MACHINE_PATH.findall(text)
    assert lesson.metadata.kernelspec.name == "python3"
    assert set(lesson.metadata) == {"kernelspec", "language_info"}
    assert all(set(cell.metadata) <= {"tags", "jupyter"} for cell in lesson.cells)


def test_cells_have_stable_names(lesson, request) -> None:
    number = request.node.callspec.id.split("_")[0]
    expected = [f"lesson-{number}-{i:03}" for i in range(len(lesson.cells))]
    assert [cell.id for cell in lesson.cells] == expected


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_file_is_small_enough_to_be_shown(path: Path) -> None:
    assert path.stat().st_size < 3_000_000


def test_the_lesson_opens_with_its_card(lesson, request) -> None:
    number = int(request.node.callspec.id.split("_")[0])
    opening = "\n".join(cell.source for cell in lesson.cells[:3] if cell.cell_type == "markdown")
    assert headings(opening)[0][0] == 1
    assert re.match(rf"{number} · \S", headings(opening)[0][1])
    missing = [row for row in CARD if not re.search(rf"\|\W*({row})\W*\|\s*\S", opening)]
    assert not missing


def test_headings_go_down_one_level_at_a_time(lesson) -> None:
    levels = [level for level, _ in headings(prose(lesson))]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_lesson_ends_with_questions_exercises_and_what_comes_next(lesson) -> None:
    sections = re.split(r"^## +", prose(lesson), flags=re.MULTILINE)
    by_title = {section.split("\n")[0].strip(): section for section in sections}
    questions = by_title.get("Check yourself") or by_title["自我檢查"]
    assert questions.count("<details>") == questions.count("</details>") == 3
    assert questions.count("<summary>") == 3
    assert {"Exercises", "練習"} & set(by_title)
    assert prose(lesson).strip().splitlines()[-1].startswith(("**Next:**", "**下一課：**"))


def test_a_kernel_of_the_tests_has_no_network() -> None:
    source = """
import socket, subprocess, sys

def attempt(host):
    try:
        socket.create_connection((host, 9), timeout=1)
    except OSError as error:
        return str(error)

print(attempt("example.org"), attempt("192.0.2.1"), sep="\\n")
print(attempt("127.0.0.1"))
code = "import socket; socket.getaddrinfo('example.org', 80)"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    printed = "".join(part.text for part in notebook.cells[0].outputs)  # in any number of parts
    by_name, by_number, loopback, child = printed.split("\n", 3)
    assert by_name == "networking is disabled here, but something asked for 'example.org'"
    assert by_number == "networking is disabled here, but something asked for '192.0.2.1'"
    assert "disabled" not in loopback
    assert "networking is disabled here" in child
