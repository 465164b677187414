"""Explorers: pictures of the lessons with sliders beside them.

Each of the four functions shows one, at the state it was left in. Without ipywidgets, or where
nothing runs, the picture is there without its controls. Used in lessons 1, 2, 5 and 6.
"""

from __future__ import annotations

import importlib

_HOME = {
    "templates": "_templates",
    "information": "_information",
    "filters": "_filters",
    "replay": "_replay",
}
__all__ = [*_HOME]


def __getattr__(name: str):
    """The function that shows one explorer; its module is loaded when it is first used."""
    if name in _HOME:
        module = importlib.import_module(f"icnn.course.explore.{_HOME[name]}")
        return lambda: importlib.import_module("icnn.course.explore._shell").show(module.EXPLORER)
    raise AttributeError(f"module 'icnn.explore' has no attribute {name!r}")
