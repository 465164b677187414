"""Grading from end to end: every odd file ends in its points and a page, and nothing is lost.

Student code here is what tests/submissions.py has; it is run by `make grade`, in its sandbox.
"""

from __future__ import annotations

import csv
import gzip
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
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace

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
import grade
from grading import borrowed, collect, mend, sandbox
from nbgrader import utils

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


# These become the reference again before they are run, as a test shows, so they are not.
MENDED = ("tests deleted", "renamed", "duplicated", "Colab")
RUN = [name for name in MATRIX if name not in MENDED[:3]]


def places() -> dict[str, str]:
    """Name in the matrix → where the file lies; as nbgrader and learning platforms have it."""
    found = {name: f"{name}.ipynb" for name in RUN}
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
        for name in RUN:
            notebook = MATRIX[name][0]
            data = notebook if isinstance(notebook, bytes) else as_bytes(notebook)
            course.put(places()[name], data.replace(b"PORT", port))
        (course.handed_in / "nothing").mkdir()
        before = digests(course.handed_in)
        course.said = course.make("grade", "--seconds", "3")
    assert digests(course.handed_in) == before, "a file of a student's was changed"
    others = Course(course.handed_in.with_name("other sets"), course.folder)
    for name in SETS[1:]:  # with the usual limits: one of them trains a network
        others.put(f"{STUDENT}/{name}/{name}.ipynb", sound(name))
    others.make("grade")
    course.make("feedback")
    return course


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def student(name: str) -> str:
    return STUDENT if name == "reference" else name


# --- the table of what can happen ----------------------------------------------------------------


@pytest.mark.parametrize("name", RUN)
def test_each_ends_in_its_points_and_a_page_that_says_why(graded, name) -> None:
    _, points, words = MATRIX[name]
    if name == "nosy" and "hidden" not in graded.said:
        points, words = 5, ["it can be read"]  # no namespaces here; the guide says what is left
    row = graded.table()[student(name), ONE]
    assert (float(row["auto"]), float(row["auto_max"])) == (points, 7)
    page = graded.page(student(name))
    assert f"Tests: {points} of 7 points" in page
    assert [word for word in words if word not in page] == []


@pytest.mark.parametrize("name", MENDED)
def test_what_happens_to_cells_is_mended_and_said(name) -> None:
    notebook, _, words = MATRIX[name]
    result = mended(notebook)
    code = [cell.source for cell in result.notebook.cells if cell.cell_type == "code"]
    assert code == [c.source for c in mended(sound()).notebook.cells if c.cell_type == "code"]
    said = " ".join(result.notes)
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize("name", SETS)
def test_a_reference_gets_all_points(graded, name) -> None:
    row = graded.table()[STUDENT, name]
    assert (row["auto"], row["to_do"]) == ("7.0", "True")
    assert "Nothing out of the ordinary" in graded.page(STUDENT, name)


def test_what_was_handed_in_is_kept_byte_for_byte(graded) -> None:
    for name, place in places().items():
        kept = graded.folder / "submitted" / student(name) / ONE / f"{ONE}.ipynb"
        assert kept.read_bytes() == (graded.handed_in / place).read_bytes(), name


def test_the_screen_says_what_was_done_and_what_was_not(graded) -> None:
    assert re.search(rf"^{STUDENT} +{ONE} +7/7 +to do", graded.said, re.M)
    assert f"{len(RUN)} graded in" in graded.said
    assert "nothing: there is no notebook" in graded.said
    assert sum(f"Student code: {level}." in graded.said for level in sandbox.LEVELS) == 1


def test_an_answer_that_was_added_elsewhere_is_marked_by_hand(graded) -> None:
    assert graded.table()["Colab", ONE]["to_do"] == "True" and TEXT in graded.page("Colab")


def test_other_versions_of_an_answer_are_shown() -> None:
    shown = [c.source for c in mended(MATRIX["duplicated"][0]).notebook.cells]
    assert any("Not graded: another version" in text and "return x" in text for text in shown)


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


def test_nobody_goes_without_a_page_for_another(graded, tmp_path) -> None:
    course = Course(tmp_path / "handed in", tmp_path / "course")
    shutil.copytree(graded.folder, course.folder)
    for path in (course.folder / "autograded").iterdir():
        if path.name not in (STUDENT, "half done", "own cells"):
            shutil.rmtree(path)
    (course.folder / "autograded" / "half done" / ONE / f"{ONE}.ipynb").write_text("{", "utf-8")
    shutil.rmtree(course.folder / "feedback")
    said = course.make("feedback", code=1)
    assert f"NO PAGE: half done, {ONE}" in said and "Traceback" not in said
    assert {path.parent.parent.name for path in course.folder.rglob("*.html")} == {
        *(STUDENT, "own cells")
    }


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
            # Of tests that run in the background, a shell lets children ignore it.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
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


def test_the_home_folder_is_found_in_shells_that_leave_the_tilde(tmp_path) -> None:
    course = Course(Path("~/no such folder"), tmp_path / "course")
    assert f"{Path.home()}/no such folder is no folder" in course.make("grade", code=1)


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
        ("Zoë Q_123_assignsubmission_file_/my notebook.ipynb", "Zoë Q"),
        (f"Zoë Q_123_assignsubmission_file_{ONE}.ipynb", "Zoë Q"),
        (f"doejane_LATE_123_45678_{ONE}-1.ipynb", "doejane"),
        ("1 Templates_u123_attempt_2026-11-27-10-00-00_my notebook.ipynb", "u123"),
        (f"Jane Doe - {ONE}.ipynb", "Jane Doe"),
        (f"{ONE}/anna.ipynb", "anna"),
        (f"{ONE}/anna/{ONE}.ipynb", "anna"),
        (f"{ONE}/anna/homework/{ONE}.ipynb", "anna"),
        ("李小龍.ipynb", "李小龍"),
        (f"o'neil_{ONE} (3).ipynb", "o'neil"),
        ("x (1).ipynb", "x"),
        ("x-Copy1.ipynb", "x"),
        (f"x_{ONE} - Copy (2).ipynb", "x"),
        (f"Copy of Jane Doe - {ONE}.ipynb", "Jane Doe"),
        ("x copy 2.ipynb", "x"),
        (f"doejane_12_question_3_45678_{ONE}.ipynb", "doejane"),
        ("123-45 - Jane Doe - Nov 27, 2026 1000 AM - my notebook.ipynb", "Jane Doe"),
        ("123-45 - Jane Doe - Nov 27, 2026 1000 AM/my notebook.ipynb", "Jane Doe"),
        (f"submissions/anna_{ONE}.ipynb", "anna"),
        (f"submission_17/{ONE}.ipynb", "submission_17"),
        (f"anna {ONE.replace('_', ' ').title()}.ipynb", "anna"),
        (f"anna-{ONE.replace('_', '-').upper()}.ipynb", "anna"),
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


CLASS = ("anna", "Ben Q", "李小龍")


@pytest.mark.parametrize(
    "place",
    [
        "submissions/{who}/{set}.ipynb",
        "course/2026/{who}/{set}/{set}.ipynb",
        "{set}/{who}.ipynb",
        "{set}/{who}/{set}.ipynb",
        "{set}/{who}/my homework/notebook.ipynb",
        "submissions/{who}_{set}.ipynb",
        "late/{who}.ipynb",
        "{who}/drafts/{set}.ipynb",
        "{who}_17_assignsubmission_file_/homework/{set}.ipynb",
        "Course-{set}-99/{who}_17_assignsubmission_file/{set}.ipynb",
    ],
)
def test_folders_around_students_are_seen_through(tmp_path, place) -> None:
    for who in CLASS:
        path = tmp_path / place.format(who=who, set=ONE)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_bytes(release()))
    assert set(found_in(tmp_path)) == {(who, ONE) for who in CLASS}


def test_groups_and_weeks_and_versions_are_told_apart(tmp_path) -> None:
    places = ["group A/anna/x.ipynb", "group A/ben/x.ipynb", "group B/carl/x.ipynb"]
    places += ["dora/draft/x.ipynb", "dora/final/x.ipynb"]
    for number, place in enumerate(places):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(as_bytes(release()))
        os.utime(tmp_path / place, (number, number))
    found = collect.collect(tmp_path, FUNCTIONS)
    assert {s.student for s in found.submissions} == {"anna", "ben", "carl", "dora"}
    assert "pass the folder" in found.problems[0] and "dora" in found.problems[0]


def test_two_people_in_the_folder_of_a_set_are_two(tmp_path) -> None:
    for folder, who in product(("S1", "week 2"), ("anna", "ben")):
        (tmp_path / folder).mkdir(exist_ok=True)
        name = SETS[0 if folder == "S1" else 1]
        (tmp_path / folder / f"{who}.ipynb").write_bytes(as_bytes(sound(name)))
    assert set(found_in(tmp_path)) == {(who, n) for who in ("anna", "ben") for n in SETS[:2]}


def test_weeks_hold_students(tmp_path) -> None:
    wanted = {("anna", SETS[0]), ("anna", SETS[1]), ("ben", SETS[0]), ("ben", SETS[2])}
    for who, name in wanted:
        path = tmp_path / f"week {name[0]}" / who / "my work.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(as_bytes(sound(name)))
    assert set(found_in(tmp_path)) == wanted


def test_one_person_whose_files_a_platform_numbers_is_one(tmp_path) -> None:
    for place in (
        *(f"doejane_12_{i}_{name}.ipynb" for i, name in enumerate(SETS[:2])),
        *(f"Ana María_{i}_assignsubmission_file_/{name}.ipynb" for i, name in enumerate(SETS[:2])),
    ):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"{}")
    wanted = {(who, name) for who in ("doejane", "Ana María") for name in SETS[:2]}
    assert set(found_in(tmp_path)) == wanted


def test_two_of_one_name_stay_two_and_it_is_said(tmp_path) -> None:
    for number in (1, 2):
        place = tmp_path / f"Ana_{number}_assignsubmission_file_" / f"{ONE}.ipynb"
        place.parent.mkdir()
        place.write_bytes(b"{}")
    found = collect.collect(tmp_path, FUNCTIONS)
    assert {s.student for s in found.submissions} == {"Ana_1", "Ana_2"}
    assert "two of this name" in found.problems[0]


def test_two_of_one_surname_stay_two(tmp_path) -> None:
    for who in ("j_doe", "k_doe"):
        (tmp_path / f"Set 1_{who}_attempt_2026-11-27-10-00-00_{ONE}.ipynb").write_bytes(b"{}")
    assert len(collect.collect(tmp_path, FUNCTIONS).submissions) == 2


def test_what_is_not_understood_is_said_and_not_graded(tmp_path) -> None:
    (tmp_path / "what" / "who").mkdir(parents=True)
    (tmp_path / "what" / "who" / f"{ONE}.ipynb").write_bytes(b"{}")
    (tmp_path / "what" / "all.zip").write_bytes(b"PK")
    found = collect.collect(tmp_path, FUNCTIONS)
    assert not found.submissions
    assert "what's or that of somebody in what" in found.problems[0]
    assert "all.zip: not opened; unpack it first" in found.problems[1]


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


def as_json(notebook, **changes) -> dict:
    return {**json.loads(as_bytes(notebook)), **changes}


def without(notebook, *keys: str) -> bytes:
    """A notebook whose cells lack some keys."""
    cells = [
        {key: value for key, value in cell.items() if key not in keys}
        for cell in as_json(notebook)["cells"]
    ]
    return json.dumps({"cells": cells}).encode()


def with_sources(change) -> bytes:
    """The sound notebook, its sources written in another way."""
    cells = as_json(sound())["cells"]
    cells = [{**cell, "source": change("".join(cell["source"]))} for cell in cells]
    return json.dumps({"cells": cells}).encode()


def format_3() -> str:
    return nbformat.v3.writes_json(nbformat.convert(sound(), 3))


ODD = {
    "a real notebook of format 3": lambda: format_3().encode(),
    "and a mark and other line ends": lambda: (
        b"\xef\xbb\xbf" + format_3().encode().replace(b"\\n", b"\\r\\n")
    ),
    "UTF-16": lambda: as_bytes(sound()).decode().encode("utf-16"),
    "UTF-16 without a mark": lambda: as_bytes(sound()).decode().encode("utf-16-le"),
    "UTF-32": lambda: as_bytes(sound()).decode().encode("utf-32"),
    "Windows letters": lambda: (
        as_bytes(sound(part_mask=GERMAN)).decode().encode("cp1252", "replace")
    ),
    "format as text": lambda: json.dumps(as_json(sound(), nbformat="4")).encode(),
    "format as a fraction": lambda: json.dumps(as_json(sound(), nbformat=4.5)).encode(),
    "format of the future": lambda: json.dumps(as_json(sound(), nbformat=99)).encode(),
    "no format": lambda: json.dumps({"cells": as_json(sound())["cells"]}).encode(),
    "no cell_type": lambda: without(sound(), "cell_type"),
    "no metadata, ids and outputs": lambda: without(sound(), "metadata", "id", "outputs"),
    "only sources": lambda: without(sound(), "cell_type", "metadata", "id", "outputs"),
    "nothing where something should be": lambda: json.dumps(
        {
            "metadata": None,
            "cells": [
                *(None, 7, "text", [], {}, {"cell_type": "code", "source": None}),
                {"cell_type": ["code"], "source": {"a": 1}, "metadata": [], "attachments": [1]},
                {"cell_type": "markdown", "source": [1, None, "x"], "attachments": {"a": None}},
                *(
                    {**cell, "outputs": None, "execution_count": "x", "attachments": None}
                    for cell in as_json(sound())["cells"]
                ),
            ],
        }
    ).encode(),
    "text behind the end": lambda: as_bytes(sound()) + b"\0\0}} and more",
    "raw line ends in texts": lambda: as_bytes(sound()).replace(b"\\n", b"\n"),
    "empty worksheets beside cells": lambda: json.dumps(
        as_json(sound(), worksheets=None) | {"cells": as_json(sound())["cells"]}
    ).encode(),
    "a worksheet without cells": lambda: json.dumps(
        {"worksheets": [{"metadata": {}}, {"cells": as_json(sound())["cells"]}]}
    ).encode(),
    "cells with numbers for names": lambda: json.dumps(
        {"cells": {str(i): cell for i, cell in enumerate(as_json(sound())["cells"])}}
    ).encode(),
    "cells alone": lambda: json.dumps(as_json(sound())["cells"]).encode(),
    "as a server wraps it": lambda: json.dumps(
        {"name": "x", "type": "notebook", "content": as_json(sound())}
    ).encode(),
    "lists in lists": lambda: with_sources(lambda text: [[None, *text.splitlines(True)]]),
    "lines without their ends": lambda: with_sources(str.splitlines),
    "line ends of long ago": lambda: with_sources(lambda text: text.replace("\n", "\r")),
    "packed by gzip": lambda: gzip.compress(as_bytes(sound())),
    "a text that is a notebook": lambda: json.dumps(as_bytes(sound()).decode()).encode(),
    "as a server wraps the text of it": lambda: json.dumps(
        {"type": "notebook", "content": as_bytes(sound()).decode()}
    ).encode(),
    "commas too many": lambda: as_bytes(sound()).replace(b"\n }", b",\n }").rstrip()[:-1] + b",}",
    "text before the beginning": lambda: b")]}'\n" + as_bytes(sound()),
}
GERMAN = solutions(ONE)["part_mask"] + "# größer"


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_costs_only_what_is_missing(name) -> None:
    source = nbformat.read(ROOT / "notebooks" / "exercises" / "source" / f"{ONE}.ipynb", 4)
    found = sources(mend.mend(source, mend.read(ODD[name]())))
    for task, text in solutions(ONE).items():
        assert found[task].replace("# größer", "").split("# gr")[0].rstrip() == text.rstrip(), task
    assert found["where_would_you_put_the_mask"] == TEXT


@pytest.mark.parametrize(
    "data", [b"[]", b'{"cells": 1}', b'{"cells": [1]}', b'{"cells": [{}]}', b"[" * 100_000, b"null"]
)
def test_what_is_no_notebook_is_unreadable(data) -> None:
    with pytest.raises(mend.Unreadable):
        mend.read(data)


def test_a_file_that_unpacks_to_gigabytes_is_unreadable() -> None:
    with pytest.raises(mend.Unreadable, match="unpacked"):
        mend.read(gzip.compress(bytes(mend.LARGEST + 1), 1))


def test_letters_that_no_file_can_hold_are_replaced() -> None:
    data = as_bytes(sound(part_mask="BROKEN")).replace(b"BROKEN", b"# \\ud800")
    assert "# ?" in [cell.text for cell in mend.read(data)]


def test_pictures_in_a_written_answer_are_kept() -> None:
    notebook = sound()
    cell = cell_of(notebook, "where_would_you_put_the_mask")
    cell.attachments = nbformat.from_dict({"a.png": {"image/png": "iVBORw0KGgo="}})
    result = cell_of(mended(notebook).notebook, "where_would_you_put_the_mask")
    assert list(result.attachments.values()) == list(cell.attachments.values())


def test_pictures_of_several_cells_with_one_name_stay_apart() -> None:
    notebook = colab_without_text()
    for data in ("AAAA", "BBBB"):
        cell = new_markdown_cell("![](attachment:image.png)")
        cell.attachments = {"image.png": {"image/png": data}}
        notebook.cells.append(cell)
    result = cell_of(mended(notebook).notebook, "where_would_you_put_the_mask")
    assert len(result.attachments) == 2
    assert all(f"attachment:{name}" in result.source for name in result.attachments)


def colab_without_text():
    notebook = sound()
    cell_of(notebook, "where_would_you_put_the_mask").source = "YOUR ANSWER HERE"
    return notebook


@pytest.mark.parametrize(
    "where",
    [
        *(
            "in the question",
            "code cell below",
            "comment below",
            "raw cell below",
            "code that runs",
        ),
        *("above the question", "at the beginning", "at the end", "own cell became raw"),
        *("own cell became code", "in a heading", "a string at the end"),
        *("comment in a test", "comment in an answer", "string in an answer", "comment in set-up"),
    ],
)
def test_a_text_in_another_place_is_looked_at(where) -> None:
    notebook = colab_without_text()
    own = cell_of(notebook, "where_would_you_put_the_mask")
    place = notebook.cells.index(own)
    if where == "in the question":
        notebook.cells[place - 1].source += f"\n\n{TEXT}"
    elif " in " in where:
        cell = {"a test": "test_part_mask", "an answer": "part_mask"}.get(where.split(" in ")[1])
        cell = cell_of(notebook, cell) if cell else notebook.cells[1]
        cell.source += f'\n"""{TEXT}"""' if where.startswith("string") else f"\n# {TEXT}"
    elif where.startswith("own cell became"):
        own.cell_type, own.source = where.split()[-1], TEXT
        own.outputs, own.execution_count = [], None
    elif where == "in a heading":
        card = next(cell for cell in notebook.cells[5:] if cell.cell_type == "markdown")
        card.source = f"{TEXT}\n\n{card.source}"
    else:
        text, kind = TEXT, new_code_cell if "code" in where else new_markdown_cell
        if where == "comment below" or where == "a string at the end":
            kind, text = new_code_cell, f"# {TEXT}" if where == "comment below" else f'"""{TEXT}"""'
        elif where == "raw cell below":
            kind = nbformat.v4.new_raw_cell
        elif where == "code that runs":
            text = f"answer = {TEXT!r}\nprint(answer)"
        spots = {"above the question": place - 1, "at the beginning": 0, "at the end": 10**6}
        spots["a string at the end"] = 10**6
        notebook.cells.insert(spots.get(where, place + 1), kind(text))
    result = mended(notebook)
    cell = cell_of(result.notebook, "where_would_you_put_the_mask")
    assert TEXT in cell.source and cell.cell_type == "markdown"
    assert utils.determine_grade(cell, None) == (None, 3), "a person is to look"
    if not where.startswith("own"):
        assert "where_would_you_put_the_mask" in " ".join(result.notes)


def test_a_picture_whose_address_was_deleted_is_an_answer() -> None:
    notebook = colab_without_text()
    own = cell_of(notebook, "where_would_you_put_the_mask")
    own.source, own.attachments = "", {"a sketch.png": {"image/png": "AAAA"}}
    cell = cell_of(mended(notebook).notebook, "where_would_you_put_the_mask")
    assert utils.determine_grade(cell, None) == (None, 3)
    assert all(f"attachment:{name}" in cell.source for name in cell.attachments)


def test_who_wrote_nothing_has_0_and_other_notes_are_no_answer() -> None:
    notebook = colab_without_text()
    for cell in notebook.cells:  # our own solutions say much in comments, which a person is to read
        cell.source = re.sub(r"^ +# \w.*\n", "", cell.source, flags=re.MULTILINE)
    cell = cell_of(mended(notebook).notebook, "where_would_you_put_the_mask")
    assert utils.determine_grade(cell, None) == (0, 3)


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


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [*"=+-@＝＋－＠−|%", "\t", "\r", "\n", " =", "\t=", "\u00a0="])
def test_no_cell_of_the_table_is_a_formula(sign) -> None:
    assert grade.inert(f"{sign}1+1").startswith("'")
    assert grade.inert("Ana María") == "Ana María" and grade.inert(-1.5) == -1.5
    assert ";'=" in grade.inert("a;=1") and "\n'=" in grade.inert("a\n=1")


def test_a_name_like_a_formula_reaches_the_table_as_text(graded, tmp_path) -> None:
    course = Course(tmp_path / "handed in", tmp_path / "course")
    course.handed_in.mkdir()
    course.put(f"=1+1/{ONE}.ipynb", b"{}")
    course.put(f"@sum(a)_{ONE}.ipynb", b"=cmd")
    course.make("grade")
    for row in csv.reader((course.folder / "grades.csv").open(encoding="utf-8-sig", newline="")):
        assert not [cell for cell in row if re.match(r"\s*[=+@-]", cell)], row


# --- the gradebook -------------------------------------------------------------------------------


def test_tasks_can_be_added_and_taken_away_after_grading(tmp_path, monkeypatch) -> None:
    from grading import book as gradebook

    monkeypatch.setattr(gradebook, "SOURCE", tmp_path)
    book = gradebook.Book(tmp_path / "course")
    before = nbformat.read(ROOT / "notebooks" / "exercises" / "source" / f"{ONE}.ipynb", 4)
    after = nbformat.from_dict(before)
    extra = nbformat.from_dict(cell_of(after, "test_part_mask"))
    extra.metadata.nbgrader.grade_id, extra.id = "test_more", "more"
    question = nbformat.from_dict(cell_of(after, "where_would_you_put_the_mask"))
    question.metadata.nbgrader.grade_id, question.id = "why", "why"
    gone = cell_of(after, "test_two_opinions")
    after.cells = [cell for cell in [*after.cells, extra, question] if cell is not gone]
    for source, most in ((before, 7), (after, 7), (before, 7)):
        (tmp_path / f"{ONE}.ipynb").write_bytes(as_bytes(source))
        book.register(ONE)
        for student in ("s", "only before")[: 1 if source is after else 2]:
            notebook = mend.mend(source, mend.read(as_bytes(sound()))).notebook
            book.save(student, ONE, notebook)
            assert (book.points(student, ONE)["auto"], student) == (most, student)
        with gradebook.Gradebook(book.url) as data:
            grade = data.find_grade("where_would_you_put_the_mask", ONE, ONE, "s")
            assert grade.manual_score == (
                None if source is before and not grade.manual_score else 3
            )
            grade.manual_score = 3
            data.db.commit()
        assert book.points("only before", ONE)["auto_max"] == most


def test_items_say_how_difficult_they_were_and_whom_they_tell_apart(capsys) -> None:
    import grade

    points = {"right": (2, 0, 0, 1), "hard": (2, 1, 0, 0), "unlike": (0, 0, 1, 1)}
    rows = [{item: (all_[student], 2) for item, all_ in points.items()} for student in range(4)]
    del rows[3]["hard"]  # not marked yet
    grade.items(SimpleNamespace(items=lambda name: rows if name == ONE else []), None)
    said = {line.split()[1]: line.split()[2:] for line in capsys.readouterr().out.splitlines()}
    assert said == {
        "item": ["students", "share", "with", "the", "rest"],
        "right": ["4", "0.38", "0.87"],  # with 2, 1, 1, 1: 1.25 / sqrt(2.75 * 0.75)
        "hard": ["3", "0.50", "0.50"],  # with 2, 0, 1: 1 / 2
        "unlike": ["4", "0.25", "-0.67"],  # with 4, 1, 0, 1: -2 / sqrt(1 * 9)
    }
    grade.items(SimpleNamespace(items=lambda name: rows[:1] if name == ONE else []), None)
    assert capsys.readouterr().out.splitlines()[1].split() == [ONE, "right", "1", "1.00", "–"]


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
        (item,) = book.items(ONE)
        assert item["test_part_mask"] == (points, points)
        assert ("where_would_you_put_the_mask" in item) is not found["to_do"]
        with gradebook.Gradebook(book.url) as data:
            grade = data.find_grade("where_would_you_put_the_mask", ONE, ONE, "s")
            assert grade.manual_score == (None if most == 7 else 3)
            grade.manual_score = 3
            data.db.commit()
