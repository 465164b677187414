"""Hand out, grade and give feedback.

`make release`, `make grade SUBMISSIONS=folder`, `make feedback`; see docs/teachers_guide.md.
Grading can be interrupted and run again: what is done is not done again, unless a file or a source
has changed; points that were given by hand stay.
"""

import argparse
import asyncio
import csv
import hashlib
import json
import os
import re
import sys
import time
from dataclasses import fields
from pathlib import Path
from statistics import StatisticsError, correlation, mean

import nbformat
from grading.mend import Unreadable, mend, read
from grading.sandbox import Limits, Sandbox, find
from make_exercises import RELEASE, ROOT, SOURCE, make, name_of, role
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

SETS = sorted(path.stem for path in SOURCE.glob("*.ipynb"))
COLUMNS = (
    *("student", "set", "auto", "auto_max", "manual", "manual_max", "to_do", "warnings", "look_at"),
    *("seconds", "file"),
)


def main() -> None:
    sys.stdout.reconfigure(errors="backslashreplace")  # names may hold what cannot be shown
    arguments = read_arguments()
    try:
        from grading.book import Book
    except ImportError:
        sys.exit('Grading needs nbgrader: pip install -e ".[instructor]"')
    book = Book(arguments.course)
    try:
        arguments.step(book, arguments)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Run the same command again and it goes on from here.")


def read_arguments() -> argparse.Namespace:
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--course", type=folder, help="folder of the course; default: grading/")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(required=True)
    for step in (release, feedback, items, grade):  # the last one has options of its own
        one = steps.add_parser(step.__name__, help=step.__doc__, parents=[common])
        one.set_defaults(step=step)
    add = one.add_argument
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    add("submissions", type=folder)
    add("--set", choices=SETS, help="all notebooks are of this set")
    add("--again", action="store_true", help="also what is graded already")
    add("--jobs", type=int, default=min(4, cores), help="how many at a time")
    for limit in fields(Limits):
        text = f"{limit.metadata['help']} ({limit.default:,})"
        add(f"--{limit.name}", type=int, default=limit.default, help=text)
    return parser.parse_args()


def folder(text: str) -> Path:
    """A folder; in `NAME=~/folder` some shells leave the ~ as it is."""
    return Path(text).expanduser()


def release(book, _arguments) -> None:
    """Write the student versions and enter the sets into the gradebook."""
    make(SOURCE, RELEASE)
    for name in SETS:
        book.register(name)
    print(f"{len(SETS)} sets for students are in {RELEASE}; gradebook: {book.root}")


def feedback(book, _arguments) -> None:
    """Write the pages for students, with the points that were given by hand, and the table."""
    from grading.book import write_notebook

    graded, difficult, failed = book.graded(), [], []
    for student, name in graded:
        try:
            path = book.path("autograded", student, name)
            notebook = nbformat.read(path, as_version=4)
            notes = notebook.metadata.grading.warnings
            notebook.cells[0] = report(notes, book.points(student, name))
            write_notebook(path, notebook)
            plain = book.feedback(student, name, notebook)
            difficult += [f"  shown as plain text: {student}, {name}: {part}" for part in plain]
        except Exception as error:  # nobody else goes without a page
            failed.append(f"  NO PAGE: {student}, {name}: {error!r}")
    table(book)
    print(f"{len(graded) - len(failed)} of {len(graded)} pages are in {book.root / 'feedback'}")
    for line in (*difficult, *failed):
        print(line)
    sys.exit(bool(failed))


def items(book, _arguments) -> None:
    """Say of every item which share of its points was earned, and by whom."""
    print(f"{'set':<24} {'item':<32} {'students':>8} {'share':>6} {'with the rest':>14}")
    for name in SETS:
        rows = book.items(name)
        for item in dict.fromkeys(item for row in rows for item in row):
            known = [row for row in rows if item in row]
            shares = [row[item][0] / row[item][1] for row in known]
            rest = [sum(got for got, _ in row.values()) - row[item][0] for row in known]
            try:
                told = f"{correlation(shares, rest):.2f}"
            except StatisticsError:  # one student, or all alike
                told = "–"
            print(f"{name:<24} {item:<32} {len(known):>8} {mean(shares):>6.2f} {told:>14}")


def grade(book, arguments) -> None:
    """Grade a folder of notebooks, and write the table."""
    from grading.collect import collect

    if not arguments.submissions.is_dir():
        packed = " Unpack it first." if arguments.submissions.is_file() else ""
        sys.exit(f"{arguments.submissions} is no folder.{packed} make grade SUBMISSIONS=folder")
    limits = Limits(**{limit.name: getattr(arguments, limit.name) for limit in fields(Limits)})
    secret = [SOURCE, ROOT / "tests", ROOT / ".git", book.root, arguments.submissions.resolve()]
    sandbox = find(limits, secret)
    print(f"Student code: {sandbox.level}.")
    sources = {name: nbformat.read(SOURCE / f"{name}.ipynb", as_version=4) for name in SETS}
    functions = {
        name: {name_of(cell) for cell in notebook.cells if role(cell) == "answer"}
        for name, notebook in sources.items()
    }
    found = collect(arguments.submissions, functions, arguments.set)
    for name in sorted({submission.set for submission in found.submissions}):
        book.register(name)
    begin = time.monotonic()
    work = Work(book, sandbox, sources, arguments.again)
    asyncio.run(work.all(found.submissions, arguments.jobs))
    table(book)
    print(
        f"{work.graded} graded in {time.monotonic() - begin:.0f} s, {work.skipped} had been graded "
        f"before, {len(work.failed)} could not be graded"
    )
    for problem in [*found.problems, *work.failed]:
        print(f"  {problem}")
    sys.exit(bool(work.failed))


class Work:
    """Grade submissions, several at a time; one that goes wrong does not stop the others."""

    def __init__(self, book, sandbox: Sandbox, sources: dict, again: bool) -> None:
        self.book, self.sandbox, self.sources, self.again = book, sandbox, sources, again
        self.graded = self.skipped = 0
        self.failed: list[str] = []

    async def all(self, submissions: list, jobs: int) -> None:
        """Grade all of them."""
        turn = asyncio.Semaphore(max(1, jobs))

        async def one(submission) -> None:
            async with turn:
                try:
                    await self.one(submission)
                except Exception as error:  # not the student's fault, so no grade
                    text = f"{submission.student}, {submission.set}: {error!r}"
                    self.failed.append(text)
                    print(f"NOT GRADED {text}", flush=True)

        async with asyncio.TaskGroup() as group:
            for submission in submissions:
                group.create_task(one(submission))

    async def one(self, submission) -> None:
        """Grade one submission, unless it has been graded as it is."""
        from grading.execute import Run

        student, name = submission.student, submission.set
        data = submission.path.read_bytes()
        made_from = digest(data, nbformat.writes(self.sources[name]).encode())
        before = record(self.book.path("autograded", student, name))
        if before.get("made_from") == made_from and not self.again:
            self.skipped += 1
            return
        begin = time.monotonic()
        self.book.keep(student, name, data)
        try:
            mended = mend(self.sources[name], read(data))
            notes = await Run(mended.notebook, mended.blocked, self.sandbox).start()
        except Unreadable as error:
            mended = mend(self.sources[name], [])
            notes = [
                f"The file cannot be read as a notebook: {error}. There was nothing to grade, so "
                "it has 0 points. The file is kept as it is: hand in a sound copy."
            ]
            why = "The file that was handed in cannot be read."
            output = new_output("error", ename="Unreadable", evalue=why, traceback=[why])
            for test in (cell for cell in mended.notebook.cells if role(cell) == "test"):
                test.outputs = [output]
        mended.notes = [*submission.notes, *mended.notes, *notes]
        mended.notebook.metadata.grading = {
            "made_from": made_from,
            "warnings": mended.notes,
            "look_at": mended.suspicions,
            "seconds": round(time.monotonic() - begin, 1),
            "file": submission.path.name,
        }
        mended.notebook.cells.insert(0, report(mended.notes))
        self.book.save(student, name, mended.notebook)
        self.graded += 1
        points = self.book.points(student, name)
        print(f"{student}, {name}: {points['auto']:g} of {points['auto_max']:g}", flush=True)


def digest(*parts: bytes) -> str:
    """What a grade was made from."""
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def record(path: Path) -> dict:
    """What an earlier grading wrote down; nothing if it was not written to its end."""
    try:
        return json.loads(path.read_text("utf-8"))["metadata"].get("grading", {})
    except (OSError, ValueError):
        return {}


def report(notes: list[str], points: dict | None = None) -> NotebookNode:
    """What stands at the top of the page."""
    lines = [f"- {escaped(note)}" for note in notes] or ["Nothing out of the ordinary."]
    if points:
        hand = f"{points['manual']:g} of {points['manual_max']:g}"
        hand = "not marked yet" if points["to_do"] else hand
        first = f"Tests: {points['auto']:g} of {points['auto_max']:g} points. Questions: {hand}."
        lines = [first, "", *lines]
    text = "\n".join(["**What happened when this was graded**", "", *lines])
    return new_markdown_cell(text, id="grading-report")


def escaped(text: str) -> str:
    """Text of unknown origin, for markdown."""
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "\\`*_{}[]$|" else c for c in text)


def table(book) -> None:
    """Show all grades, and write them to grades.csv."""
    rows = []
    for student, name in book.graded():
        row = {"student": student, "set": name, **book.points(student, name)}
        row |= record(book.path("autograded", student, name))
        for column, between in (("warnings", " "), ("look_at", "; ")):
            row[column] = between.join(row.get(column, []))
        rows.append(row)
    path = book.root / "grades.csv"
    with path.open("w", newline="", encoding="utf-8-sig", errors="replace") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({column: inert(value) for column, value in row.items()} for row in rows)
    print(f"{'student':<30} {'set':<24} {'tests':>7} {'by hand':>8}  warnings")
    for row in rows:
        hand = "to do" if row["to_do"] else f"{row['manual']:g}/{row['manual_max']:g}"
        tests = f"{row['auto']:g}/{row['auto_max']:g}"
        print(f"{row['student']:<30} {row['set']:<24} {tests:>7} {hand:>8}  {row['warnings']}")
        if row["look_at"]:
            print(f"{'':<30} look at: {row['look_at']}")
    print(f"The table is in {path}")


def inert(value: object) -> object:
    """A cell of a table; text that a spreadsheet would run as a formula gets a ' before it."""
    if not isinstance(value, str):
        return value
    return re.sub(r"(^|[;\t\r\n])(?=\s*[=+@＝＋＠\-－−|%]|[\t\r\n])", r"\1'", value)


if __name__ == "__main__":
    main()
