"""What a checker answers: one small record that prints the same everywhere."""

import textwrap
from dataclasses import dataclass

PASSED, FAILED, NOT_ATTEMPTED = "passed", "failed", "not attempted"
_HEADING = {PASSED: "passed", FAILED: "not right yet", NOT_ATTEMPTED: "not attempted yet"}


@dataclass(frozen=True, repr=False)
class Result:
    """What a checker found."""

    task: str  # the name of the exercise, such as "part_templates"
    status: str  # "passed", "failed" or "not attempted"
    message: str  # what is wrong, and what was expected
    hint: str = ""  # after a failure, the next one: a nudge, the idea, how to see more

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.status == PASSED

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        text = self.message + (f"\nHint: {self.hint}" if self.hint else "")
        how = {"initial_indent": "  ", "subsequent_indent": "  ", "break_long_words": False}
        body = "\n".join(textwrap.fill(line, 88, **how) for line in text.splitlines())
        return f"{self.task}: {_HEADING[self.status]}\n{body}"
