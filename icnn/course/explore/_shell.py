"""The one widget of all explorers: controls, and the picture with its line of numbers."""

from __future__ import annotations

import gc
import html

import matplotlib
from IPython.display import display

from icnn.course import show as page
from icnn.course.explore._explorer import LOOK, Choice, Explorer, Picture, Slider, State

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


def show(explorer: Explorer) -> None:
    """Show an explorer at the values it was left at, or its picture where there are no widgets."""
    state = LEFT_AT.get(explorer.name) or explorer.start()
    picture = explorer.picture(state)
    shown = as_html(picture)
    labels = ", ".join(control.label for control in explorer.controls)
    try:
        import ipywidgets
    except ImportError:
        hint = f"This picture has controls ({labels}) where ipywidgets is installed."
        display(_static(explorer, picture, shown, hint), raw=True)
        return
    _spare_the_collector()
    # Programs that know widgets show the widget; all others, and saved pages, show the picture.
    bundle = _widget(ipywidgets, explorer, state, shown)._repr_mimebundle_()
    hint = f"Run this cell in JupyterLab for the controls: {labels}."
    display({**bundle, **_static(explorer, picture, shown, hint)}, raw=True)


def _spare_the_collector() -> None:
    """Set aside all that lives now, so that collecting the last picture takes a few milliseconds.

    With torch in memory a full collection takes longer than a picture, and comes every ten.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def tag(picture: Picture) -> str:
    """The picture as an html image with its alt text."""
    with matplotlib.rc_context(LOOK):  # the numbers at the ticks are made only now
        return page.tag(picture.fig, picture.alt, dpi=PIXELS_PER_INCH, attributes=AT_ONCE)


def as_html(picture: Picture) -> str:
    """The picture and its numbers."""
    return f"{tag(picture)}{_paragraph(picture.numbers)}"


def _static(explorer: Explorer, picture: Picture, shown: str, hint: str) -> dict[str, str]:
    """The picture, its numbers and a hint as html; as text, only what is the same everywhere."""
    words = [explorer.subject] if explorer.subject else [picture.alt, picture.numbers]
    return {
        "text/html": f"{shown}{_paragraph(hint)}",
        "text/plain": "\n".join([*words, hint]),
    }


def _widget(ipywidgets, explorer: Explorer, state: State, shown: str):
    inputs = {c.name: _control(ipywidgets, c, state) for c in explorer.controls}
    # One for both: the numbers are always those of the picture above them.
    view = ipywidgets.HTML(_live(shown)).add_class("icnn-picture")
    settling = False  # whether we move the controls ourselves

    def move(name: str, value) -> None:
        nonlocal state, settling
        if settling:
            return
        state = LEFT_AT[explorer.name] = explorer.move(state, name, value)
        settling = True
        try:
            for control in explorer.controls:
                if isinstance(control, Slider):
                    inputs[control.name].max = control.top(state)
                inputs[control.name].value = state[control.name]
        finally:
            settling = False
        view.value = _live(as_html(explorer.picture(state)))
        gc.collect()  # while one looks at the picture, not during the next

    for name, widget in inputs.items():
        widget.observe(lambda change, name=name: move(name, change.new), "value")
    row = ipywidgets.Layout(flex_flow="row wrap", width="100%")
    controls = ipywidgets.Box([*inputs.values()], layout=row)
    return ipywidgets.VBox([controls, view]).add_class("icnn-explorer")


def _live(shown: str) -> str:
    """The same inside a widget."""
    return WHOLE_WORDS + shown.replace("<img ", f'<img onload="{NAME_HANDLES}" ', 1)


def _control(ipywidgets, control: Slider | Choice, state: State):
    looks = {
        "description": control.label,
        "style": {"description_width": "initial"},
        "layout": {"width": "300px", "max_width": "100%"},
        "value": state[control.name],
    }
    if isinstance(control, Choice):
        # Not a drop-down list: JupyterLab takes its arrow keys for moving between cells.
        return ipywidgets.SelectionSlider(options=control.options, **looks)
    whole = isinstance(control.step, int)
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return kind(min=control.low, max=control.top(state), step=control.step, **looks)


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"
