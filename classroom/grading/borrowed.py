"""Notice when icnn's own function is handed in as the answer.

`used` reads the answer: it names icnn's function or its checker. While the tests run, `icnn.check`
notices it as well, however the function was reached. `copied` compares code, but for names: short
functions can be alike by chance, so this is a suspicion for the teacher and costs no points.
"""

import ast
import copy
from functools import cache

from make_exercises import ROOT

from grading.syntax import IMPORTS, binds, is_stored, statements

# Answers of open tasks that icnn has under another name.
OTHER_NAMES = {"MaskedLayer": ("InterpretableLayer",)}


def used(answer: str, text: str, cells: list[str]) -> str | None:
    """Which of icnn's own functions an answer uses; `cells` are all of the student's cells."""
    own = {answer, *OTHER_NAMES.get(answer, ()), *own_names(answer)}
    known = imported(cells)
    for node in (node for part in bindings(answer, text) for node in ast.walk(part)):
        names = []
        if isinstance(node, ast.ImportFrom) and is_ours(node.module):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute) and root_of(node) in known:
            names = [node.attr]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id != answer:
            names = [known.get(node.id, "").rpartition(".")[2]]
        if found := [name for name in names if name in own]:
            return found[0]
    return None


def own_names(answer: str) -> tuple[str, ...]:
    """What a checker knows as icnn's own for this answer."""
    from icnn.course import check

    return getattr(check, answer).own if answer in check.__all__ else ()


def imported(cells: list[str]) -> dict[str, str]:
    """Name in the notebook → what of icnn it stands for, as {"pm": "icnn.part_mask"}."""
    found = {"icnn": "icnn", "check": "icnn.check"}
    parts = [part for text in cells for part in statements(text)]
    for node in (node for part in parts for node in ast.walk(part) if isinstance(node, IMPORTS)):
        home = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            if is_ours(home + alias.name):
                name = alias.name if home else alias.name.split(".")[0]
                found[alias.asname or name] = home + alias.name
    return found


def bindings(answer: str, text: str) -> list[ast.stmt]:
    """The statements of a cell that make the answer."""
    return [statement for statement in statements(text) if answer in binds(statement)]


def copied(answer: str, text: str) -> str | None:
    """Which of icnn's own functions an answer is, but for names, annotations and docstrings."""
    theirs = {shape(part) for part in bindings(answer, text) if isinstance(part, ast.FunctionDef)}
    for name in (answer, *own_names(answer)):
        if theirs & shapes().get(name, set()):
            return name
    return None


@cache
def shapes() -> dict[str, set[str]]:
    """Name → the shapes of icnn's functions of this name."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "icnn").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, set()).add(shape(node))
    return found


def shape(function: ast.FunctionDef) -> str:
    """The code of a function with its own names numbered.

    Docstrings do not count, nor calls whose result is not used, such as checks of arguments.
    """
    function = copy.deepcopy(function)
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.arg) or is_stored(node)]
    names = dict.fromkeys(node.arg if isinstance(node, ast.arg) else node.id for node in nodes)
    numbers = {name: str(number) for number, name in enumerate(names)}
    body = ast.Module([part for part in function.body if not isinstance(part, ast.Expr)], [])
    for node in ast.walk(body):
        if isinstance(node, ast.Name):
            node.id = numbers.get(node.id, node.id)
    return ast.dump(body)


def root_of(node: ast.AST) -> str:
    """The first name of a.b.c."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def is_ours(module: str | None) -> bool:
    """Whether a module is icnn or in it."""
    return (module or "").split(".")[0] == "icnn"
