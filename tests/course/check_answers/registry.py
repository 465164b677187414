"""Notes which answers there are, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Callable

RIGHT: list[tuple[str, Callable]] = []
WRONG: list[tuple[str, Callable, str]] = []


def right(task: str) -> Callable[[Callable], Callable]:
    """An answer that the task's checker must accept."""

    def note(function: Callable) -> Callable:
        RIGHT.append((task, function))
        return function

    return note


def wrong(task: str, phrase: str) -> Callable[[Callable], Callable]:
    """An answer that the task's checker must refuse, with a message that contains the phrase."""

    def note(function: Callable) -> Callable:
        WRONG.append((task, function, phrase))
        return function

    return note
