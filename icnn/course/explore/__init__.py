"""Explorers: pictures of the lessons with sliders beside them.

Each of the four functions shows one, at the state it was left in. Without ipywidgets, or where
nothing runs, the picture is there without its controls. `filters(model, data)` shows a model and
pictures of your own. Used in lessons 1, 2, 5, 6 and 11.
"""

import importlib

__all__ = ["filters", "information", "replay", "templates"]


def __getattr__(name: str):
    """The function that shows one explorer; its module is loaded when it is first used."""
    if name in __all__:
        return importlib.import_module(f"icnn.course.explore._{name}").EXPLORER.show
    raise AttributeError(f"module 'icnn.explore' has no attribute {name!r}")
