"""What the code of a cell says of names; a cell that is not Python says nothing."""

import ast
import re
import symtable

NOT_PYTHON = (SyntaxError, ValueError, RecursionError)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
IMPORTS = (ast.Import, ast.ImportFrom)


def statements(text: str) -> list[ast.stmt]:
    """The top level of a cell; magics and lines that IPython understands are left out."""
    try:
        return ast.parse(re.sub(r"(?m)^\s*[%!?].*$", "", text)).body
    except NOT_PYTHON:
        return []


def binds(statement: ast.stmt) -> set[str]:
    """The names that a statement gives a value."""
    if isinstance(statement, DEFINITIONS):
        return {statement.name}
    if isinstance(statement, IMPORTS):
        return {alias.asname or alias.name for alias in statement.names}
    return {node.id for node in ast.walk(statement) if is_stored(node)}


def is_stored(node: ast.AST) -> bool:
    """Whether a node is a name that gets a value."""
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def symbols(code: str) -> list[symtable.Symbol]:
    """The names of a cell, apart from those inside of functions."""
    try:
        return symtable.symtable(code, "cell", "exec").get_symbols()
    except NOT_PYTHON:
        return []
