"""The gradebook: everything that nbgrader does for us.

In the course folder (grading/): source/ and release/ as nbgrader wants them, submitted/ with the
files as they were handed in, autograded/ with what was run, feedback/ with the pages, gradebook.db.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
from pathlib import Path

import nbformat
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters import clean_html
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveAutoGrades
from sqlalchemy.exc import SAWarning
from traitlets.config import Config, PyFileConfigLoader

# About how nbgrader uses its database; nothing that a teacher could do.
warnings.filterwarnings("ignore", category=SAWarning)

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "notebooks" / "exercises" / "source"
RELEASE = ROOT / "notebooks" / "exercises" / "release"


class SafeExporter(HTMLExporter):
    """For pages: nbgrader's template forgets to clean what students wrote between the cells."""

    @pass_context
    def markdown2html(self, context, source: str) -> str:
        """Markdown as html that runs nothing."""
        return clean_html(super().markdown2html(context, source))


class Book:
    """One course."""

    def __init__(self, course: Path | None = None) -> None:
        """`course`: its folder; None is the one of nbgrader_config.py."""
        config = self.settings()
        config.GenerateFeedback.exporter_class = SafeExporter
        if course:
            config.CourseDirectory.root = str(course.resolve())
        # nbgrader calls a program (alembic) that lies beside this Python.
        beside = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", "")])
        directory = CourseDirectory(config=config)
        self.root, self.url = Path(directory.root), directory.db_url
        self.root.mkdir(parents=True, exist_ok=True)
        self.api = NbGraderAPI(directory, config=config)
        self.api.log.setLevel(logging.ERROR)

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
        result = self.api.generate_assignment(name)
        if not result["success"]:
            source.unlink()
            raise RuntimeError(
                f"nbgrader could not read {name}:\n{result.get('log') or result['error']}"
            )
        # Students get one version only: ours, which also shows what the right answer gives.
        release = self.path("release", ".", name)
        release.unlink()
        shutil.copyfile(RELEASE / f"{name}.ipynb", release)

    def knows(self, name: str) -> bool:
        """Whether a set is in the gradebook."""
        with Gradebook(self.url) as book:
            try:
                return bool(book.find_assignment(name))
            except MissingEntry:
                return False

    def keep(self, student: str, name: str, data: bytes) -> None:
        """Keep a file byte for byte as it was handed in, and those that it replaces."""
        path = self.path("submitted", student, name)
        if path.exists():
            if path.read_bytes() == data:
                return
            number = 1
            while (earlier := path.parent / "earlier" / f"{number}.ipynb").exists():
                number += 1
            earlier.parent.mkdir(exist_ok=True)
            path.rename(earlier)
        write(path, data)

    def save(self, student: str, name: str, notebook: NotebookNode) -> None:
        """Enter the points of a notebook that was run, and keep it; manual points stay."""
        with Gradebook(self.url) as book:
            book.update_or_create_student(student)
            book.update_or_create_submission(name, student)
        resources = {
            "nbgrader": {
                **{"student": student, "assignment": name, "notebook": name},
                "db_url": self.url,
            }
        }
        notebook, _ = SaveAutoGrades().preprocess(notebook, resources)
        write_notebook(self.path("autograded", student, name), notebook)

    def points(self, student: str, name: str) -> dict[str, float | bool]:
        """Points by tests and by hand, with the most there are, and whether a hand is needed."""
        with Gradebook(self.url) as book:
            grades = book.find_submission_notebook(name, name, student).grades
            tests = [grade for grade in grades if grade.cell_type == "code"]
            texts = [grade for grade in grades if grade.cell_type != "code"]
            return {
                "auto": sum(grade.score for grade in tests),
                "auto_max": sum(grade.max_score for grade in tests),
                "manual": sum(grade.score for grade in texts),
                "manual_max": sum(grade.max_score for grade in texts),
                "to_do": any(grade.needs_manual_grade for grade in grades),
            }

    def graded(self) -> list[tuple[str, str]]:
        """All (student, set) that have been graded."""
        paths = (self.root / "autograded").glob("*/*/*.ipynb")
        found = [(path.parts[-3], path.parts[-2]) for path in paths if path.stem == path.parts[-2]]
        return sorted(found, key=lambda pair: pair[::-1])

    def feedback(self, student: str, name: str) -> None:
        """Write the page that a student gets."""
        result = self.api.generate_feedback(name, student, force=True)
        if not result["success"]:
            raise RuntimeError(result.get("log") or result["error"])


def write_notebook(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook all at once."""
    write(path, (nbformat.writes(notebook, indent=1) + "\n").encode("utf-8", "replace"))


def write(path: Path, data: bytes) -> None:
    """Write a file all at once, so that an interrupt leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data)
    os.replace(new, path)
