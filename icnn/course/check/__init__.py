"""Exercise checkers: `check.NAME(my_function)` says what is right, what is wrong, and what to try.

A checker runs the learner's function on many small cases and compares it with icnn's own. A wrong
answer is compared with the typical mistakes as well, so that the message can name the mistake.
Nothing that the function does reaches the learner as a traceback. Used in notebooks/exercises.
"""

import importlib

_TASKS = {
    "templates": ("part_templates", "template_prior", "part_mask"),
    "information": ("fitness", "mutual_information", "told_by_each", "told_whether_where"),
    "gradient": ("filter_loss", "score_gradient", "paper_gradient"),
    "layer": ("masked_maps", "running_peak", "assign_categories"),
    "measuring": ("peaks", "location_instability", "part_tracking"),
    "analysing": ("dead_filters", "category_selectivity", "peak_spread"),
}
_MODULE_OF = {name: module for module, names in _TASKS.items() for name in names}
__all__ = [*_MODULE_OF]


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"icnn.course.check.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"there is no exercise {name!r}; there are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
