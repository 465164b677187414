"""What an explorer is, without widgets: controls, and a function from their values to a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from matplotlib.figure import Figure

Value = int | float | str
State = dict[str, Value]


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

    def clip(self, value: Value, state: State) -> Value:
        """The nearest value that the control can have."""
        return min(max(value, self.low), self.top(state))

    def top(self, state: State) -> float:
        return self.high(state) if callable(self.high) else self.high


@dataclass(frozen=True)
class Choice:
    """One of several texts."""

    name: str
    label: str
    options: tuple[str, ...]
    value: str

    def clip(self, value: Value, state: State) -> Value:
        """The value itself, or the first option."""
        return value if value in self.options else self.options[0]


@dataclass(frozen=True)
class Explorer:
    """Controls in the order in which they are shown, and `draw(**values)`.

    The picture of any values is the same wherever and in whatever order they were chosen.
    """

    name: str
    controls: tuple[Slider | Choice, ...]
    draw: Callable[..., Picture]

    def start(self) -> State:
        """The values before anybody touched a control."""
        return {control.name: control.value for control in self.controls}

    def valid(self, state: State) -> State:
        """The nearest state that the controls can show; later controls follow earlier ones."""
        found = dict(state)
        for control in self.controls:
            found[control.name] = control.clip(found[control.name], found)
        return found
