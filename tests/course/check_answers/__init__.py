"""Answers as learners write them, right ones in several styles and wrong ones, for test_check.py.

None of them uses the checkers' own list of mistakes: they are what that list is tested with.
"""

from __future__ import annotations

from check_answers import analysing, gradient, information, layer, measuring, templates
from check_answers.registry import RIGHT, WRONG

__all__ = [
    "RIGHT",
    "WRONG",
    "analysing",
    "gradient",
    "information",
    "layer",
    "measuring",
    "templates",
]
