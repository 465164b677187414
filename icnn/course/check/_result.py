"""What a checker answers: one small record that prints the same everywhere."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

PASSED, FAILED, NOT_ATTEMPTED = "passed", "failed", "not attempted"
_HEADING = {PASSED: "passed", FAILED: "not right yet", NOT_ATTEMPTED: "not attempted yet"}


@dataclass(frozen=True, repr=False)
class Result:
    """What a checker found.

    Attributes:
        task: the name of the exercise, such as "part_templates".
        status: "passed", "failed" or "not attempted".
        message: what is wrong, and what was expected.
        hint: after a failure, the next hint of the ladder: a nudge, the idea, how to see more.
    """

    task: str
    status: str
    message: str
    hint: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.status == PASSED

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        lines = [self.message, self.hint and f"Hint: {self.hint}"]
        body = "\n".join(_wrapped(line) for line in lines if line)
        return f"{self.task}: {_HEADING[self.status]}\n{body}"


def _wrapped(text: str) -> str:
    """Indented, at most 88 columns; lines that are set by hand stay as they are."""
    wrapped = [
        textwrap.fill(line, 88, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
        for line in text.splitlines()
    ]
    return "\n".join(wrapped)
