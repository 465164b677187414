"""What an explorer is, without widgets: controls, and a function from their values to a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure

State = dict[str, Any]
LOOK = {
    "font.size": 10,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": False,  # half of the time of a picture
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.interpolation": "nearest",
    "legend.frameon": False,
}


class Picture(NamedTuple):
    """A figure, what it shows for those who do not see it, and its numbers as one line."""

    fig: Figure
    alt: str
    numbers: str


@dataclass(frozen=True)
class Slider:
    """A number from `low` to `high`; whole if `step` is. `high` may depend on the other values."""

    name: str
    label: str
    low: float
    high: float | Callable[[State], float]
    value: float
    step: float = 1

    def clip(self, value: float, state: State) -> float:
        """The nearest value that the control can have."""
        return min(max(value, self.low), self.top(state))

    def top(self, state: State) -> float:
        """The largest value, given the others."""
        return self.high(state) if callable(self.high) else self.high


@dataclass(frozen=True)
class Choice:
    """One of several texts."""

    name: str
    label: str
    options: tuple[str, ...]
    value: str

    def clip(self, value: str, state: State) -> str:
        """The value itself, or the first option."""
        return value if value in self.options else self.options[0]


def _nothing_else(state: State, moved: str) -> State:
    return state


@dataclass(frozen=True)
class Explorer:
    """Controls in the order in which they are shown, and `draw(**state)`.

    The picture of a state is the same wherever and in whatever order its values were chosen.

    Attributes:
        name: of the function in `icnn.explore`.
        controls: their names are those of the arguments of `draw`.
        draw: the picture of a state.
        hidden: values of the state that no control shows directly.
        follow: the state after the control of that name was moved; other values may follow it.
        subject: what the picture shows, in words without numbers; only where these may differ a
            little from machine to machine, so that the notebook tests must not compare them.
    """

    name: str
    controls: tuple[Slider | Choice, ...]
    draw: Callable[..., Picture]
    hidden: State = field(default_factory=dict)
    follow: Callable[[State, str], State] = _nothing_else
    subject: str = ""

    def start(self) -> State:
        """The values before anybody touched a control."""
        return {control.name: control.value for control in self.controls} | self.hidden

    def picture(self, state: State) -> Picture:
        """The picture of a state; in the look of the explorers, whatever the notebook has set."""
        with matplotlib.rc_context(LOOK):
            return self.draw(**state)

    def move(self, state: State, name: str, value: Any) -> State:
        """The state after one control was moved: values that became impossible change."""
        moved = state | {name: value}
        for control in self.controls:  # later controls follow earlier ones
            moved[control.name] = control.clip(moved[control.name], moved)
        return self.follow(moved, name)
