"""The course, for nbgrader: where things are, and what must not be done behind `make grade`.

Read by `make release`, `make grade` and `make feedback`, and by JupyterLab when it is started in
this folder. Everything lies in grading/, which git ignores; the gradebook is a SQLite file there.
"""

from pathlib import Path

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "icnn"
c.CourseDirectory.root = str(Path(__file__).resolve().parent / "grading")

# Pages must not run what students wrote in the browser of whoever reads them.
c.HTMLExporter.sanitize_html = True


def refuse(**_):
    """Nbgrader's own autograding would run student code without limits and lose odd submissions."""
    raise RuntimeError("grade with `make grade SUBMISSIONS=folder`, not with nbgrader's own button")


c.Autograde.pre_convert_hook = refuse
