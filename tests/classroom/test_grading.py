"""Grading from end to end: every odd file ends in its points and a page, and nothing is lost.

Student code here is what tests/submissions.py has; it is run by `make grade`, in its sandbox.
"""

from __future__ import annotations

import csv
import hashlib
import html
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from submissions import (
    MATRIX,
    ONE,
    ROOT,
    SETS,
    SLOW,
    TEXT,
    as_bytes,
    cell_of,
    grade_id,
    release,
    solutions,
    sound,
)

sys.path.insert(0, str(ROOT / "classroom"))
from grading import borrowed, collect, mend, sandbox

SECRET = "do not show this to student code"
STUDENT = "Ana María"  # who hands in the reference


@dataclass
class Course:
    """A folder of submissions and what grading made of it."""

    handed_in: Path
    folder: Path
    said: str = ""

    def make(self, step: str, *options: str, code: int = 0) -> str:
        result = subprocess.run(
            self.command(step, *options),
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert (result.returncode != 0) == bool(code), result.stdout + result.stderr
        return result.stdout + result.stderr

    def command(self, step: str, *options: str) -> list[str]:
        """As a teacher runs it, in the environment of these tests."""
        return [
            *("make", "-o", "environment", f"VENV_PYTHON={shlex.quote(sys.executable)}", step),
            *(f"SUBMISSIONS={self.handed_in}", f"ARGS={' '.join(self.options(*options))}"),
        ]

    def options(self, *options: str) -> list[str]:
        return ["--course", str(self.folder), *options]

    def table(self) -> dict[tuple[str, str], dict]:
        with (self.folder / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
            return {(row["student"], row["set"]): row for row in csv.DictReader(file)}

    def page(self, student: str, name: str = ONE) -> str:
        """The words of a feedback page."""
        path = self.folder / "feedback" / student / name / f"{name}.html"
        return html.unescape(re.sub(r"<[^>]*>", "", path.read_text("utf-8")))

    def put(self, place: str, notebook) -> Path:
        path = self.handed_in / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(notebook if isinstance(notebook, bytes) else as_bytes(notebook))
        return path


def environment() -> dict[str, str]:
    return {**os.environ, "GRADING_SECRET": SECRET}


def course_in(folder: Path) -> Course:
    course = Course(folder / "handed in by 學生", folder / "course")
    course.handed_in.mkdir()
    return course


def places() -> dict[str, str]:
    """Name in the matrix → where the file lies; as nbgrader and learning platforms have it."""
    found = {name: f"{name}.ipynb" for name in MATRIX}
    found["reference"] = f"{STUDENT}/{ONE}/{ONE}.ipynb"
    found["half done"] = f"half done/{ONE} (2).ipynb"
    found["untouched"] = f"untouched_{ONE}.ipynb"
    return found


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Everything graded once, and the pages written."""
    course = course_in(tmp_path_factory.mktemp("grading"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1]).encode()
        for name, (notebook, _, _) in MATRIX.items():
            data = notebook if isinstance(notebook, bytes) else as_bytes(notebook)
            course.put(places()[name], data.replace(b"PORT", port))
        (course.handed_in / "nothing").mkdir()
        before = digests(course.handed_in)
        course.said = course.make("grade", "--seconds", "3")
    assert digests(course.handed_in) == before, "a file of a student's was changed"
    others = Course(course.handed_in.with_name("other sets"), course.folder)
    for name in SETS[1:]:  # with the usual limits: one of them trains a network
        others.put(f"{STUDENT}/{name}/{name}.ipynb", sound(name))
        others.put(f"untouched/{name}.ipynb", release(name))
    others.make("grade")
    course.make("feedback")
    return course


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def student(name: str) -> str:
    return STUDENT if name == "reference" else name


# --- the table of what can happen ----------------------------------------------------------------


@pytest.mark.parametrize("name", MATRIX)
def test_each_ends_in_its_points_and_a_page_that_says_why(graded, name) -> None:
    _, points, words = MATRIX[name]
    if name == "nosy" and "hidden" not in graded.said:
        points, words = 5, ["it can be read"]  # no namespaces here; the guide says what is left
    row = graded.table()[student(name), ONE]
    assert (float(row["auto"]), float(row["auto_max"])) == (points, 7)
    page = graded.page(student(name))
    assert f"Tests: {points} of 7 points" in page
    assert [word for word in words if word not in page] == []


@pytest.mark.parametrize("name", SETS)
def test_a_reference_gets_all_points_and_a_release_none(graded, name) -> None:
    table = graded.table()
    assert (table[STUDENT, name]["auto"], table[STUDENT, name]["to_do"]) == ("7.0", "True")
    assert (table["untouched", name]["auto"], table["untouched", name]["to_do"]) == ("0.0", "False")
    for who in (STUDENT, "untouched"):
        assert "Nothing out of the ordinary" in graded.page(who, name)


def test_what_was_handed_in_is_kept_byte_for_byte(graded) -> None:
    for name, place in places().items():
        kept = graded.folder / "submitted" / student(name) / ONE / f"{ONE}.ipynb"
        assert kept.read_bytes() == (graded.handed_in / place).read_bytes(), name


def test_the_screen_says_what_was_done_and_what_was_not(graded) -> None:
    assert re.search(rf"^{STUDENT} +{ONE} +7/7 +to do", graded.said, re.M)
    assert f"{len(MATRIX)} graded in" in graded.said
    assert "nothing: there is no notebook" in graded.said
    assert sum(f"Student code: {level}." in graded.said for level in sandbox.LEVELS) == 1


def test_pages_run_nothing_and_show_pictures_with_their_text(graded) -> None:
    path = graded.folder / "feedback" / "own cells" / ONE / f"{ONE}.html"
    text = path.read_text("utf-8")
    assert "<script>alert" not in text and "my notes" in text
    assert re.search(r'<img alt="Four 5 by 5 templates[^>]*src="data:image/png', text) or re.search(
        r'src="data:image/png[^>]*alt="Four 5 by 5 templates', text
    )


def test_an_answer_that_was_added_elsewhere_is_marked_by_hand(graded) -> None:
    assert graded.table()["Colab", ONE]["to_do"] == "True" and TEXT in graded.page("Colab")


def test_other_versions_of_an_answer_are_shown(graded) -> None:
    assert "Not graded: another version of this cell is." in graded.page("duplicated")
    assert "return x" in graded.page("duplicated")


# --- again, interrupted, with points by hand -----------------------------------------------------


def test_again_keeps_what_is_done_and_points_given_by_hand(graded, tmp_path) -> None:
    from grading.book import Book, Gradebook

    course = Course(tmp_path / "handed in", tmp_path / "course")
    shutil.copytree(graded.folder, course.folder)
    for path in (course.folder / "autograded").iterdir():
        if path.name not in (STUDENT, "half done"):
            shutil.rmtree(path)
    first = course.put("half done.ipynb", MATRIX["half done"][0]).read_bytes()
    course.put(f"{STUDENT}.ipynb", MATRIX["reference"][0])
    url = Book(course.folder).url
    with Gradebook(url) as book:
        for who in (STUDENT, "half done"):
            grade = book.find_grade("where_would_you_put_the_mask", ONE, ONE, who)
            grade.manual_score, grade.needs_manual_grade = 2.5, False
            book.find_comment(
                "where_would_you_put_the_mask", ONE, ONE, who
            ).manual_comment = "Good!"
        book.db.commit()
    assert "0 graded in" in course.make("grade")
    course.make("feedback")
    assert "Questions: 2.5 of 3" in course.page(STUDENT) and "Good!" in course.page(STUDENT)

    course.put("half done.ipynb", MATRIX["untouched"][0])  # handed in anew, and worse
    assert "1 graded in" in course.make("grade")
    row = course.table()["half done", ONE]
    assert (row["auto"], row["manual"], row["to_do"]) == ("0.0", "2.5", "True")
    kept = course.folder / "submitted" / "half done" / ONE / "earlier" / "1.ipynb"
    assert kept.read_bytes() == first
    assert len(course.table()) == 1 + len(SETS)


def test_an_interrupt_leaves_no_process_and_grading_goes_on(tmp_path) -> None:
    course = course_in(tmp_path)
    course.put("a.ipynb", release())
    slow = course.put("b.ipynb", sound(part_templates=SLOW))
    command = [sys.executable, "classroom/grade.py", "grade", str(course.handed_in)]
    with tempfile.TemporaryDirectory(prefix="interrupt-") as scratch:
        places = {"TMPDIR": scratch, "IPYTHONDIR": str(tmp_path)}
        run = subprocess.Popen(
            [*command, *course.options("--jobs", "1")],
            **{"cwd": ROOT, "env": {**environment(), **places}, "text": True},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
        )
        assert any("a, 1_templates_and_masks: 0 of 7" in line for line in run.stdout)
        until = time.monotonic() + 60
        while not processes(scratch):
            assert time.monotonic() < until
            time.sleep(0.1)
        time.sleep(2)  # by now the notebook is at work
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=30)
        assert run.returncode and "goes on from here" in said and "Traceback" not in said
        assert not processes(scratch) and not os.listdir(scratch)
    slow.write_bytes(as_bytes(MATRIX["half done"][0]))
    said = course.make("grade", "--jobs", "1")
    assert "1 graded in" in said and "1 had been graded before" in said
    assert course.table()["b", ONE]["auto"] == "3.0"


def processes(word: str) -> list[str]:
    """The processes that have a word on their command line."""
    command = ["ps", "-ww", "-eo", "pid,args"]  # whole lines, whatever COLUMNS says
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if word in line]


def test_a_machine_that_cannot_grade_gives_no_points_and_says_so(tmp_path) -> None:
    course = course_in(tmp_path)
    course.put("a.ipynb", sound())
    said = course.make("grade", "--memory", "1000000", code=1)
    assert "NOT GRADED" in said or "cannot be started here" in said
    assert not (course.folder / "autograded").exists()


def test_the_gradebook_of_the_repository_is_ignored_by_git_and_guarded() -> None:
    from grading.book import Book

    ignored = subprocess.run(["git", "check-ignore", "grading/x"], cwd=ROOT, capture_output=True)
    assert ignored.returncode in (0, 128)  # 128: not a clone
    guard = Book.settings().Autograde.pre_convert_hook
    with pytest.raises(RuntimeError, match="make grade"):
        guard(assignment="a", student="s", notebooks=[])


def test_release_hands_out_the_one_student_version(tmp_path) -> None:
    course = course_in(tmp_path)
    before = digests(ROOT / "notebooks" / "exercises")
    assert f"{len(SETS)} sets" in course.make("release")
    assert digests(ROOT / "notebooks" / "exercises") == before
    for name in SETS:
        ours = ROOT / "notebooks" / "exercises" / "release" / f"{name}.ipynb"
        assert (course.folder / "release" / name / ours.name).read_bytes() == ours.read_bytes()
    assert (
        "Which folder?"
        in subprocess.run(
            ["make", "-o", "environment", "grade"], cwd=ROOT, capture_output=True, text=True
        ).stdout
    )


# --- finding submissions -------------------------------------------------------------------------

FUNCTIONS = {name: set(solutions(name)) for name in SETS}


def found_in(folder: Path, only: str | None = None) -> dict[tuple[str, str], str]:
    found = collect.collect(folder, FUNCTIONS, only)
    assert not found.problems, found.problems
    return {(s.student, s.set): str(s.path.relative_to(folder)) for s in found.submissions}


@pytest.mark.parametrize(
    ("place", "who"),
    [
        (f"Ana María/{ONE}/{ONE}.ipynb", "Ana María"),
        ("Zoë Q_123_assignsubmission_file_/my notebook.ipynb", "Zoë Q_123_assignsubmission_file_"),
        ("李小龍.ipynb", "李小龍"),
        (f"o'neil_{ONE} (3).ipynb", "o'neil"),
        ("x (1).ipynb", "x"),
        ("late.ipynb.txt", "late"),
        ("Zoe\u0308.ipynb", "Zoë"),
    ],
)
def test_layouts_and_names(tmp_path, place, who) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(release()))
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "x-checkpoint.ipynb").write_bytes(b"{}")
    assert found_in(tmp_path) == {(who, ONE): place}


def test_sets_are_told_apart_by_what_stands_in_them(tmp_path) -> None:
    for name in SETS:
        (tmp_path / "s").mkdir(exist_ok=True)
        (tmp_path / "s" / f"{name[0]}.ipynb").write_bytes(as_bytes(sound(name)))
    assert set(found_in(tmp_path)) == {("s", name) for name in SETS}


def test_names_that_nbgrader_cannot_carry_stay_apart(tmp_path) -> None:
    for name in ("a[1]", "a{1}"):
        (tmp_path / f"{name}.ipynb").write_bytes(as_bytes(release()))
    names = [who for who, _ in found_in(tmp_path)]
    assert len(set(names)) == 2 and all(re.match(r"a_1_-\w{6}$", name) for name in names)


def test_of_two_files_the_newest_is_graded(tmp_path) -> None:
    (tmp_path / "s").mkdir()
    for number, name in enumerate(("b.ipynb", "a.ipynb")):
        (tmp_path / "s" / name).write_bytes(as_bytes(release()))
        os.utime(tmp_path / "s" / name, (number, number))
    found = collect.collect(tmp_path, FUNCTIONS)
    assert [s.path.name for s in found.submissions] == ["a.ipynb"]
    assert "2 files, the newest was graded: a.ipynb" in found.submissions[0].notes[0]


def test_python_and_the_project_are_never_hidden(tmp_path) -> None:
    box = sandbox.Sandbox(next(iter(sandbox.LEVELS)), sandbox.Limits(), (ROOT, tmp_path))
    hidden = [json.loads(word)["hidden"] for word in box.command("x") if word.startswith("{")]
    assert hidden == [[str(tmp_path)]]


def test_a_file_of_no_known_set_is_asked_about(tmp_path) -> None:
    (tmp_path / "s.ipynb").write_bytes(b"")
    assert "--set" in collect.collect(tmp_path, FUNCTIONS).problems[0]
    assert found_in(tmp_path, only=ONE) == {("s", ONE): "s.ipynb"}


# --- mending -------------------------------------------------------------------------------------


def mended(notebook) -> mend.Mended:
    source = nbformat.read(ROOT / "notebooks" / "exercises" / "source" / f"{ONE}.ipynb", 4)
    return mend.mend(source, mend.read(as_bytes(notebook)))


def sources(result: mend.Mended) -> dict[str, str]:
    return {grade_id(cell): cell.source for cell in result.notebook.cells if grade_id(cell)}


def test_several_answers_may_stand_in_one_cell() -> None:
    notebook = release()
    notebook.cells.append(new_code_cell("\n\n".join(solutions(ONE).values())))
    result = mended(notebook)
    assert sources(result)["template_prior"] == notebook.cells[-1].source
    assert "stands above, with template_prior" in sources(result)["part_mask"]
    assert sum(cell.source == notebook.cells[-1].source for cell in result.notebook.cells) == 1


def test_an_answer_in_the_cell_of_another_is_found() -> None:
    right = solutions(ONE)
    notebook = sound(part_mask=right["part_templates"], part_templates=right["part_mask"])
    assert sources(mended(notebook))["part_mask"] == right["part_mask"]
    assert sources(mended(notebook))["part_templates"] == right["part_templates"]


def test_a_scratch_cell_that_uses_the_name_does_not_replace_the_answer() -> None:
    notebook = sound()
    notebook.cells.append(new_code_cell("part_mask = part_mask"))
    assert sources(mended(notebook))["part_mask"] == solutions(ONE)["part_mask"]
    assert mended(notebook).notebook.cells[-1].source == "part_mask = part_mask"


def test_a_split_cell_is_not_torn_apart() -> None:
    """JupyterLab gives both halves the mark: imports before the answer, a trial behind it."""
    notebook = sound()
    middle = cell_of(notebook, "part_mask")
    place = notebook.cells.index(middle)
    for text, where in (("print(part_mask)", place + 1), ("import math", place)):
        notebook.cells.insert(where, new_code_cell(text, metadata=middle.metadata))
    texts = [cell.source for cell in mended(notebook).notebook.cells]
    here = texts.index(middle.source)
    assert texts[here - 1 : here + 2] == ["import math", middle.source, "print(part_mask)"]
    assert not mended(notebook).notes


def test_code_that_is_no_python_still_counts_as_the_answer() -> None:
    text = "%%time\ndef part_mask(x, *, beta=4.0):\n    return x +"
    notebook = sound(part_mask=text)
    cell_of(notebook, "part_mask").metadata = nbformat.from_dict({})
    assert sources(mended(notebook))["part_mask"] == text


def test_own_cells_keep_their_place_and_ours_come_after_changed_ones() -> None:
    notebook = sound()
    place = notebook.cells.index(cell_of(notebook, "part_mask"))
    notebook.cells.insert(place, new_code_cell("helper = 1"))
    notebook.cells[1].source = "import icnn\nicnn.check = None"
    texts = [cell.source for cell in mended(notebook).notebook.cells]
    assert texts.index("helper = 1") == texts.index(solutions(ONE)["part_mask"]) - 1
    assert texts.index(notebook.cells[1].source) == texts.index(release().cells[1].source) - 1


def test_old_formats_and_marks_at_the_beginning_are_read() -> None:
    old = nbformat.convert(sound(), 3)
    data = b"\xef\xbb\xbf" + nbformat.v3.writes_json(old).encode().replace(b"\\n", b"\\r\\n")
    source = nbformat.read(ROOT / "notebooks" / "exercises" / "source" / f"{ONE}.ipynb", 4)
    result = mend.mend(source, mend.read(data))
    assert sources(result)["part_mask"].rstrip() == solutions(ONE)["part_mask"].rstrip()


@pytest.mark.parametrize(
    "data", [b"[]", b'{"cells": 1}', b'{"cells": [1]}', b'{"cells": [{}]}', b"[" * 100_000, b"null"]
)
def test_what_is_no_notebook_is_unreadable(data) -> None:
    with pytest.raises(mend.Unreadable):
        mend.read(data)


def test_letters_that_no_file_can_hold_are_replaced() -> None:
    data = as_bytes(sound(part_mask="BROKEN")).replace(b"BROKEN", b"# \\ud800")
    assert "# ?" in [cell.text for cell in mend.read(data)]


def test_pictures_in_a_written_answer_are_kept() -> None:
    notebook = sound()
    cell = cell_of(notebook, "where_would_you_put_the_mask")
    cell.attachments = nbformat.from_dict({"a.png": {"image/png": "iVBORw0KGgo="}})
    result = cell_of(mended(notebook).notebook, "where_would_you_put_the_mask")
    assert result.attachments == cell.attachments


def test_the_points_of_the_source_count() -> None:
    notebook = sound()
    cell_of(notebook, "test_part_mask").metadata.nbgrader.points = 100
    assert cell_of(mended(notebook).notebook, "test_part_mask").metadata.nbgrader.points == 2


# --- whose function it is ------------------------------------------------------------------------

OWN = "def part_mask(x, *, beta=4.0):\n    "


@pytest.mark.parametrize(
    ("text", "others", "name"),
    [
        ("from icnn import part_mask", [], "part_mask"),
        ("from icnn.templates import part_mask as part_mask", [], "part_mask"),
        ("part_mask = icnn.part_mask", [], "part_mask"),
        ("part_mask = i.templates.part_mask", ["import icnn as i"], "part_mask"),
        (f"{OWN}return icnn.part_mask(x)", [], "part_mask"),
        (f"{OWN}from icnn.templates import mask_at\n    return mask_at(x)", [], "mask_at"),
        (f"{OWN}return pm(x)", ["from icnn import part_mask as pm"], "part_mask"),
        (f"{OWN}return check.part_mask.reference(x)", ["from icnn import check"], "part_mask"),
        (f"{OWN}return icnn.part_templates(3)", [], None),
        (f"{OWN}return x\nassert icnn.part_mask(y) == part_mask(y)", [], None),
        (f"{OWN}return x.part_mask", [], None),
        (f"{OWN}return (", [], None),
    ],
)
def test_using_icnns_own_is_noticed_and_comparing_with_it_is_fine(text, others, name) -> None:
    assert borrowed.used("part_mask", text, [text, *others]) == name


def test_right_answers_are_the_students_own() -> None:
    for name in SETS:
        for task, text in solutions(name).items():
            assert borrowed.used(task, text, [text]) is None, task
            assert borrowed.copied(task, text) is None, task


def test_a_copy_with_other_names_is_a_suspicion_for_the_teacher_only() -> None:
    text = "def template_prior(k, *, a=None):\n    if a is None:\n        a = 1\n    return a * k\n"
    assert borrowed.copied("template_prior", text) is None
    source = (ROOT / "icnn" / "templates.py").read_text("utf-8")
    code = source[source.index("def part_mask(") : source.index("def mask_at(")]
    copy = code.replace("beta: float", "b: float").replace("beta=beta", "beta=b")
    copy = copy.replace("check_", "my_check_").replace("The mask", "My mask")
    assert borrowed.copied("part_mask", copy) == "part_mask"
    result = mended(sound(part_mask=copy))
    assert "part_mask" in result.suspicions[0] and not result.notes


def test_text_goes_by_its_place_when_marks_are_gone() -> None:
    notebook = release()
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"c{number}", nbformat.from_dict({})
    notebook.cells += [new_markdown_cell("First."), new_markdown_cell("Second.")]
    assert sources(mended(notebook))["where_would_you_put_the_mask"] == "First.\n\nSecond."


# --- the gradebook -------------------------------------------------------------------------------


def test_points_can_be_changed_after_grading(tmp_path, monkeypatch) -> None:
    from grading import book as gradebook

    monkeypatch.setattr(gradebook, "SOURCE", tmp_path)
    book = gradebook.Book(tmp_path / "course")
    source = nbformat.read(ROOT / "notebooks" / "exercises" / "source" / f"{ONE}.ipynb", 4)
    for points, most in ((2, 7), (4, 9)):
        cell_of(source, "test_part_mask").metadata.nbgrader.points = points
        (tmp_path / f"{ONE}.ipynb").write_bytes(as_bytes(source))
        book.register(ONE)
        cells = mend.read(as_bytes(sound()))
        book.save("s", ONE, mend.mend(source, cells).notebook)  # no outputs: all tests passed
        found = book.points("s", ONE)
        assert (found["auto"], found["auto_max"], found["to_do"]) == (most, most, True)
        with gradebook.Gradebook(book.url) as data:
            grade = data.find_grade("where_would_you_put_the_mask", ONE, ONE, "s")
            assert grade.manual_score == (None if most == 7 else 3)
            grade.manual_score = 3
            data.db.commit()
