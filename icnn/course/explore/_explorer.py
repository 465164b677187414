"""An explorer: controls, a function from their values to a picture, and the widget of both."""

import gc
import html
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import matplotlib
from IPython.display import display
from matplotlib.figure import Figure

from icnn.course import show

State = dict[str, Any]
LOOK = show.LOOK | {
    "font.size": 10,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": False,  # half of the time of a picture
}
PIXELS_PER_INCH = 80  # one pixel of the picture is one of the page: quick to draw
# A picture that is decoded together with the page around it replaces the old one without a flash.
AT_ONCE = 'decoding="sync" '
# A slider's handle has no name for a screen reader, and as its value the number of an option; when
# the picture comes, it gets the words that others see.
NAME_HANDLES = (
    "this.closest('.icnn-explorer')?.querySelectorAll('.widget-slider').forEach(slider => {"
    "const handle = slider.querySelector('[role=slider]'); "
    "handle.setAttribute('aria-label', slider.querySelector('label').textContent); "
    "handle.setAttribute('aria-valuetext', slider.querySelector('.widget-readout').textContent); "
    "})"
)
# The place beside a slider is made for short numbers, and cuts words off.
WHOLE_WORDS = "<style>.icnn-explorer .widget-readout { max-width: none; overflow: visible }</style>"
LEFT_AT: dict[str, State] = {}  # the last values of each explorer in this kernel


class Picture(NamedTuple):
    """A figure, what it shows for those who do not see it, and its numbers as one line."""

    fig: Figure
    alt: str
    numbers: str

    def html(self) -> str:
        """The picture as an image with its alt text, and its numbers below."""
        with matplotlib.rc_context(LOOK):  # the numbers at the ticks are made only now
            image = show.tag(self.fig, self.alt, dpi=PIXELS_PER_INCH, attributes=AT_ONCE)
        return image + _paragraph(self.numbers)


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

    def widget(self, ipywidgets, state: State, **looks):
        """The control on the page."""
        kind = ipywidgets.IntSlider if isinstance(self.step, int) else ipywidgets.FloatSlider
        return kind(min=self.low, max=self.top(state), step=self.step, **looks)


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

    def widget(self, ipywidgets, state: State, **looks):
        """Not a drop-down list: JupyterLab takes its arrow keys for moving between cells."""
        return ipywidgets.SelectionSlider(options=self.options, **looks)


@dataclass(frozen=True)
class Explorer:
    """Controls in the order in which they are shown, and `draw(**state)`.

    The picture of a state is the same wherever and in whatever order its values were chosen.
    """

    name: str  # of the function in `icnn.explore`
    controls: tuple[Slider | Choice, ...]  # named as the arguments of `draw`
    draw: Callable[..., Picture]
    hidden: State = field(default_factory=dict)  # what no control shows directly
    # The state after the control of that name was moved; other values may follow it.
    follow: Callable[[State, str], State] = lambda state, moved: state
    # What there is to see, where numbers may differ a little from machine to machine, so that the
    # notebook tests must not compare them.
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

    def show(self) -> None:
        """Show it at the values it was left at, or its picture where there are no widgets."""
        state = LEFT_AT.get(self.name) or self.start()
        picture = self.picture(state)
        shown, bundle = picture.html(), {}
        labels = ", ".join(control.label for control in self.controls)
        try:
            import ipywidgets
        except ImportError:
            hint = f"This picture has controls ({labels}) where ipywidgets is installed."
        else:
            hint = f"Run this cell in JupyterLab for the controls: {labels}."
            # With torch in memory a full collection takes longer than a picture, and comes every
            # ten: what lives now is set aside, so that collecting takes a few milliseconds.
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            bundle = self._widget(ipywidgets, state, shown)._repr_mimebundle_()
        # Programs that know widgets show the widget; all others, and saved pages, show the picture.
        # As text it is only what is the same everywhere.
        words = [self.subject] if self.subject else [picture.alt, picture.numbers]
        bundle |= {"text/html": shown + _paragraph(hint), "text/plain": "\n".join([*words, hint])}
        display(bundle, raw=True)

    def _widget(self, ipywidgets, state: State, shown: str):
        size = {"width": "300px", "max_width": "100%"}
        looks = {"style": {"description_width": "initial"}, "layout": size}
        inputs = {
            c.name: c.widget(ipywidgets, state, description=c.label, value=state[c.name], **looks)
            for c in self.controls
        }
        # One for both: the numbers are always those of the picture above them.
        view = ipywidgets.HTML(live(shown)).add_class("icnn-picture")

        def move(name: str, value) -> None:
            nonlocal state
            if value == state[name]:  # another control took this one along
                return
            state = LEFT_AT[self.name] = self.move(state, name, value)
            for control in self.controls:
                if isinstance(control, Slider):
                    inputs[control.name].max = control.top(state)
                inputs[control.name].value = state[control.name]
            view.value = live(self.picture(state).html())
            gc.collect()  # while one looks at the picture, not during the next

        for name, widget in inputs.items():
            widget.observe(lambda change, name=name: move(name, change.new), "value")
        row = ipywidgets.Layout(flex_flow="row wrap", width="100%")
        controls = ipywidgets.Box([*inputs.values()], layout=row)
        return ipywidgets.VBox([controls, view]).add_class("icnn-explorer")


def live(shown: str) -> str:
    """A picture as html, inside a widget."""
    return WHOLE_WORDS + shown.replace("<img ", f'<img onload="{NAME_HANDLES}" ', 1)


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"
