"""Runs tests in a namespace of their own, so that nothing a student left behind can break them.

An extension of IPython for the kernel that runs student code. A test sees what our own cells made,
and the answers as they were when their cells had run. While it runs, torch has its usual settings,
and in the student's functions too a built-in function or a module of ours means itself.
"""

import builtins
import hashlib
import json
import os
import warnings
from contextlib import ExitStack
from types import ModuleType

from grading.syntax import symbols

ROLES = "GRADING_ROLES"  # environment variable: JSON, see `roles_of`


def roles_of(cells: list[tuple[str, str]], answers: list[str]) -> dict[str, str]:
    """What the kernel must know: (role, source) of cells that are not the student's, functions."""
    # The role of cells of one source is the last in this order: answer, ours, test.
    roles = {digest(source): role for role, source in sorted(cells)}
    return {ROLES: json.dumps({"cells": roles, "answers": answers})}


def digest(source: str) -> str:
    """A cell's source, told apart from others; the kernel need not know what the tests are."""
    return hashlib.sha256(source.encode()).hexdigest()


def load_ipython_extension(shell) -> None:
    """Called by IPython. What is slow to import is here before a student's time begins."""
    import matplotlib.pyplot  # noqa: F401
    import torch  # noqa: F401

    names = Names(shell, **json.loads(os.environ.pop(ROLES)))
    shell.events.register("pre_run_cell", names.before)
    shell.events.register("post_run_cell", names.after)


class Names:
    """Which names a test sees."""

    def __init__(self, shell, cells: dict[str, str], answers: list[str]) -> None:
        self.shell, self.cells, self.answers = shell, cells, set(answers)
        self.ours: dict = {}  # name → what our cells, or an answer's, made of it
        self.stack = ExitStack()

    def before(self, info) -> None:
        """Remember what there is, or bring a test into its own namespace."""
        self.role = self.cells.get(digest(info.raw_cell), "")
        if self.role == "test":
            self.stack.callback(self.shell.user_ns.update, self.put_right(self.shell.user_ns))
            self.stack.callback(self.use, self.shell.user_module)
            answers = {name: self.shell.user_ns.get(name) for name in self.answers}
            module = ModuleType("__main__")
            vars(module).update({**answers, **self.ours})
            self.use(module)
            self.stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("default")
        if self.role in ("test", "ours"):
            self.usual_settings()
        self.then, self.source = dict(self.shell.user_ns), info.raw_cell

    def after(self, _result) -> None:
        """Keep what our cells made; names that a test bound are there for the cells behind it."""
        now = self.shell.user_ns
        if self.role == "answer":
            new = [name for name in self.answers if now.get(name) is not self.then.get(name)]
        else:  # also what is the same as before: the student may have imported it as well
            names = symbols(self.source) if self.role else []
            new = [name.get_name() for name in names if name.is_assigned() or name.is_imported()]
        made = {name: now[name] for name in new if name in now}
        self.stack.close()
        self.ours.update(made)
        if self.role == "test":
            self.shell.user_ns.update(made)

    def use(self, module: ModuleType) -> None:
        """Run cells in a module's namespace."""
        self.shell.user_module, self.shell.user_ns = module, vars(module)

    def put_right(self, names: dict) -> dict:
        """Take away what hides a built-in function or a module of ours; returns it."""
        modules = {k: v for k, v in self.ours.items() if isinstance(v, ModuleType)}
        hidden = {
            name: value
            for name, value in names.items()
            if (name in modules and value is not modules[name])
            or (callable(getattr(builtins, name, None)) and not callable(value))
        }
        for name in hidden:
            del names[name]
        names.update(modules)
        return hidden

    def usual_settings(self) -> None:
        """What a student may have set for the whole of Python, as it was at first."""
        import torch

        self.stack.enter_context(torch.inference_mode(False))
        self.stack.enter_context(torch.enable_grad())
        self.stack.enter_context(torch.device("cpu"))
        self.stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
