"""The gradebook: everything that nbgrader does for us.

In the course folder (grading/): source/ and release/ as nbgrader wants them, submitted/ with the
files as they were handed in, autograded/ with what was run, feedback/ with the pages, gradebook.db.
"""

import os
import shutil
import sys
import warnings
from itertools import count
from pathlib import Path

import nbformat
from make_exercises import RELEASE, ROOT, SOURCE, mark, name_of, role
from nbformat import NotebookNode
from nbgrader.api import Comment, Grade, Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveAutoGrades
from sqlalchemy.exc import SAWarning
from traitlets.config import Config, PyFileConfigLoader

from grading.page import page
from icnn._files import replacing

# About how nbgrader uses its database; nothing that a teacher could do.
warnings.filterwarnings("ignore", category=SAWarning)


class Book:
    """One course."""

    def __init__(self, course: Path | None = None) -> None:
        """`course`: its folder; None is the one of nbgrader_config.py."""
        config = self.settings()
        if course:
            config.CourseDirectory.root = str(course.resolve())
        # nbgrader calls a program (alembic) that lies beside this Python.
        beside = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", "")])
        directory = CourseDirectory(config=config)
        self.root, self.url = Path(directory.root), directory.db_url
        self.root.mkdir(parents=True, exist_ok=True)
        self.api = NbGraderAPI(directory, config=config)
        self.api.log.setLevel("ERROR")

    @staticmethod
    def settings() -> Config:
        """What nbgrader_config.py says."""
        return Config(PyFileConfigLoader(str(ROOT / "nbgrader_config.py")).load_config())

    def path(self, step: str, student: str, name: str, suffix: str = ".ipynb") -> Path:
        """Where nbgrader has the file of a step for a set."""
        return self.root / step / student / name / f"{name}{suffix}"

    def register(self, name: str) -> None:
        """Make a set known, or known again after its source has changed."""
        source, ours = self.path("source", ".", name), SOURCE / f"{name}.ipynb"
        if source.exists() and source.read_bytes() == ours.read_bytes() and self.knows(name):
            return
        source.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ours, source)
        if self.knows(name):
            self.make_room(name)
        result = self.api.generate_assignment(name)
        if not result["success"]:
            source.unlink()
            why = result.get("log") or result["error"]
            raise RuntimeError(f"nbgrader could not read {name}:\n{why}")
        # Students get one version only: ours, which also shows what the right answer gives.
        release = self.path("release", ".", name)
        release.unlink()
        shutil.copyfile(RELEASE / f"{name}.ipynb", release)

    def make_room(self, name: str) -> None:
        """Let submissions that were graded have the cells that the set has now.

        Nbgrader refuses to add or remove cells of a set that has submissions.
        """
        source = nbformat.read(SOURCE / f"{name}.ipynb", as_version=4)
        cells = {name_of(cell): cell for cell in source.cells if role(cell)}
        with Gradebook(self.url) as book:
            notebook = book.find_notebook(name, name)
            for old in [*notebook.grade_cells, *notebook.solution_cells, *notebook.source_cells]:
                if old.name not in cells:
                    for entry in [*getattr(old, "grades", []), *getattr(old, "comments", [])]:
                        book.db.delete(entry)
                    book.db.delete(old)
            book.db.commit()
            for new, cell in cells.items():
                place, kind = (new, name, name), {"cell_type": cell.cell_type}
                book.update_or_create_source_cell(*place, **kind)
                if mark(cell).grade:
                    book.update_or_create_grade_cell(*place, max_score=mark(cell).points, **kind)
                if mark(cell).solution:
                    book.update_or_create_solution_cell(*place)
            for one in notebook.submissions:
                grades = Grade, notebook.grade_cells, one.grades
                comments = Comment, notebook.solution_cells, one.comments
                for entry, wanted, there in (grades, comments):
                    missing = {cell.id for cell in wanted} - {had.cell_id for had in there}
                    book.db.add_all(entry(cell_id=cell, notebook=one) for cell in missing)
            book.db.commit()

    def knows(self, name: str) -> bool:
        """Whether a set is in the gradebook."""
        with Gradebook(self.url) as book:
            return name in [assignment.name for assignment in book.assignments]

    def keep(self, student: str, name: str, data: bytes) -> None:
        """Keep a file byte for byte as it was handed in, and those that it replaces."""
        path = self.path("submitted", student, name)
        if path.exists():
            if path.read_bytes() == data:
                return
            earlier = path.parent / "earlier"
            earlier.mkdir(exist_ok=True)
            places = (earlier / f"{number}.ipynb" for number in count(1))
            path.rename(next(place for place in places if not place.exists()))
        write(path, data)

    def save(self, student: str, name: str, notebook: NotebookNode) -> None:
        """Enter the points of a notebook that was run, and keep it; manual points stay."""
        with Gradebook(self.url) as book:
            book.update_or_create_student(student)
            book.update_or_create_submission(name, student)
        about = {"student": student, "assignment": name, "notebook": name, "db_url": self.url}
        notebook, _ = SaveAutoGrades().preprocess(notebook, {"nbgrader": about})
        write_notebook(self.path("autograded", student, name), notebook)

    def points(self, student: str, name: str) -> dict[str, float | bool]:
        """Points by tests and by hand, with the most there are, and whether a hand is needed."""
        with Gradebook(self.url) as book:
            found = book.find_submission_notebook(name, name, student)
            return {
                **{"auto": found.code_score, "auto_max": found.max_code_score},
                **{"manual": found.written_score, "manual_max": found.max_written_score},
                "to_do": found.needs_manual_grade,
            }

    def items(self, name: str) -> list[dict[str, tuple[float, float]]]:
        """For each student of a set: points and the most there are, of each item that is marked."""
        students = [student for student, graded in self.graded() if graded == name]
        with Gradebook(self.url) as book:
            found = [book.find_submission_notebook(name, name, student) for student in students]
            return [
                {g.name: (g.score, g.max_score) for g in one.grades if not g.needs_manual_grade}
                for one in found
            ]

    def graded(self) -> list[tuple[str, str]]:
        """All (student, set) that have been graded."""
        paths = (self.root / "autograded").glob("*/*/*.ipynb")
        found = [(path.parts[-3], path.parts[-2]) for path in paths if path.stem == path.parts[-2]]
        return sorted(found, key=lambda pair: pair[::-1])

    def feedback(self, student: str, name: str, notebook: NotebookNode) -> list[str]:
        """Write the page that a student gets; returns what of it was difficult."""
        with Gradebook(self.url) as book:
            found = book.find_submission_notebook(name, name, student)
            comments = {comment.name: comment.comment for comment in found.comments}
            scores = {g.name: (g.score, g.max_score, g.needs_manual_grade) for g in found.grades}
        for known in filter(None, map(mark, notebook.cells)):
            known["comment"] = comments.get(known.grade_id)
            if known.grade:
                known["score"], known["points"], known["to_do"] = scores[known.grade_id]
        html, difficult = page(notebook, student=student, name=name)
        write(self.path("feedback", student, name, ".html"), html.encode("utf-8", "replace"))
        return difficult


def write_notebook(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook all at once."""
    write(path, (nbformat.writes(notebook, indent=1) + "\n").encode("utf-8", "replace"))


def write(path: Path, data: bytes) -> None:
    """Write a file all at once, so that an interrupt leaves the old one or the new one."""
    with replacing(path) as new:
        new.write_bytes(data)
