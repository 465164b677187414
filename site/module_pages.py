"""A page for each module, from its docstrings, with formulas and links to lessons."""

import pkgutil
import re
import textwrap
import tomllib
from pathlib import Path

import icnn

HERE = Path(__file__).resolve().parent
EQUATIONS = tomllib.loads((HERE / "equations.toml").read_text(encoding="utf-8"))
LESSONS = {
    str(int(path.stem[:2])): f"/notebooks/{path.stem}"
    for path in sorted((HERE.parent / "notebooks").glob("[0-9]*.ipynb"), reverse=True)
}
PAGE = """# `{name}`

```{{eval-rst}}
.. automodule:: {name}
```
"""


def modules() -> list[str]:
    """All public modules, those of the method first, in the order of the lessons."""
    first = [f"icnn.{name}" for name in icnn._HOME]
    walked = [info.name for info in pkgutil.walk_packages(icnn.__path__, "icnn.")]
    return [name for name in dict.fromkeys(first + walked) if "._" not in name]


def write_pages(folder: Path) -> None:
    """Write what Sphinx fills with docstrings."""
    folder.mkdir()
    for name in modules():
        (folder / f"{name}.md").write_text(PAGE.format(name=name), encoding="utf-8")
    names = ", ".join(
        f"{{py:obj}}`{name} <icnn.{module}.{name}>`" for name, module in icnn._MODULE_OF.items()
    )
    index = (HERE / "reference.md").read_text(encoding="utf-8")
    index = index.format(names=names, pages="\n".join(modules()))
    (folder / "index.md").write_text(index, encoding="utf-8")


def add_to_docstring(app, what, name, thing, options, lines: list[str]) -> None:
    """Names and lessons become links; the formula goes below the first paragraph."""
    text = "\n".join(lines)
    if what != "module":  # which may hold a table
        text = text.replace("|", r"\|")
    text = re.sub(r"(?<!`)`([^`]+)`(\w*)", _code, text)
    text = re.sub(
        r"(?<![\w`-])([Ll]essons? (\d+))\b", lambda it: f":doc:`{it[1]} <{LESSONS[it[2]]}>`", text
    )
    if latex := EQUATIONS.get(name.rsplit(".", 1)[-1]):
        first, *rest = text.split("\n\n", 1)
        formula = ".. math::\n\n" + textwrap.indent(textwrap.dedent(latex.strip("\n")), "   ")
        text = "\n\n".join([first, formula, *rest])
    if name == "icnn.course.check":
        for task in icnn.check.__all__:
            signature = getattr(icnn.check, task).signature
            text += f"\n\n.. py:function:: {task}(fn)\n\n   ``{signature}``"
    lines[:] = text.split("\n")


def _code(found: re.Match) -> str:
    """Code between backticks; a public name leads to its place."""
    code = " ".join(found[1].replace(r"\|", "|").split())
    name = code.removeprefix("icnn.")
    home = icnn._MODULE_OF.get(name)
    shown = f":py:obj:`{code} <icnn.{home}.{name}>`" if home else f"``{code}``"
    return shown + (found[2] and rf"\ {found[2]}")


def setup(app) -> dict:
    app.connect("autodoc-process-docstring", add_to_docstring, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
