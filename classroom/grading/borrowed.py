"""Notice when icnn's own function is handed in as the answer.

`used` reads the answer: it names icnn's function or its checker. While the tests run, `icnn.check`
notices it as well, however the function was reached. `copied` compares code, but for names: short
functions can be alike by chance, so this is a suspicion for the teacher and costs no points.
"""

from __future__ import annotations

import ast
import copy
from functools import cache
from pathlib import Path

ICNN = Path(__file__).resolve().parent.parent.parent / "icnn"
# Answers of open tasks that icnn has under another name.
OTHER_NAMES = {"MaskedLayer": ("InterpretableLayer",)}


def used(answer: str, text: str, cells: list[str]) -> str | None:
    """Which of icnn's own functions an answer uses; `cells` are all of the student's cells."""
    own = {answer, *OTHER_NAMES.get(answer, ()), *own_names(answer)}
    known = imported(cells)
    for part in bindings(answer, text):
        for node in ast.walk(part):
            if isinstance(node, ast.ImportFrom) and is_ours(node.module):
                if found := [a.name for a in node.names if a.name in own]:
                    return found[0]
            elif isinstance(node, ast.Attribute):
                root = root_of(node)
                if known.get(root, "").startswith("icnn") and (node.attr in own):
                    return node.attr
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                name = known.get(node.id, "").rpartition(".")[2]
                if node.id != answer and name in own:
                    return name
    return None


def own_names(answer: str) -> tuple[str, ...]:
    """What a checker knows as icnn's own for this answer."""
    from icnn.course import check

    return getattr(check, answer).own if answer in check.__all__ else ()


def imported(cells: list[str]) -> dict[str, str]:
    """Name in the notebook → what of icnn it stands for, as {"pm": "icnn.part_mask"}."""
    found = {"icnn": "icnn", "check": "icnn.check"}
    for text in cells:
        for node in ast.walk(parse(text)):
            if isinstance(node, ast.Import):
                names = [(a.asname or a.name.split(".")[0], a.name) for a in node.names]
            elif isinstance(node, ast.ImportFrom) and is_ours(node.module):
                names = [(a.asname or a.name, f"{node.module}.{a.name}") for a in node.names]
            else:
                continue
            found |= {name: target for name, target in names if is_ours(target)}
    return found


def bindings(answer: str, text: str) -> list[ast.stmt]:
    """The statements of a cell that make the answer."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    result = []
    for statement in parse(text).body:
        if isinstance(statement, kinds):
            makes = statement.name == answer
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            makes = answer in [alias.asname or alias.name for alias in statement.names]
        else:
            stored = [n for n in ast.walk(statement) if isinstance(n, ast.Name)]
            makes = answer in [n.id for n in stored if isinstance(n.ctx, ast.Store)]
        if makes:
            result.append(statement)
    return result


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
    for path in ICNN.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, set()).add(shape(node))
    return found


def shape(function: ast.FunctionDef) -> str:
    """The code of a function with its own names numbered; checks of arguments do not count."""
    function = copy.deepcopy(function)
    body = [part for part in function.body if not is_talk(part)]
    numbers: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.arg) or is_stored(node):
            numbers.setdefault(
                node.arg if isinstance(node, ast.arg) else node.id, str(len(numbers))
            )
    for part in body:
        for node in ast.walk(part):
            if isinstance(node, ast.Name):
                node.id = numbers.get(node.id, node.id)
    return ast.dump(ast.Module(body, []))


def is_talk(statement: ast.stmt) -> bool:
    """A docstring, or a call whose result is not used, such as a check of an argument."""
    return isinstance(statement, ast.Expr)


def is_stored(node: ast.AST) -> bool:
    """Whether a node is a name that gets a value."""
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def root_of(node: ast.AST) -> str:
    """The first name of a.b.c."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def is_ours(module: str | None) -> bool:
    """Whether a module is icnn or in it."""
    return (module or "").split(".")[0] == "icnn"


def parse(text: str) -> ast.Module:
    """The code of a cell; nothing if it is not Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])
