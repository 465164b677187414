"""The one widget of all explorers: controls, the picture, a line of numbers."""

from __future__ import annotations

import html

from IPython.display import display

from icnn import show as page
from icnn.explore._explorer import Choice, Explorer, Picture, Slider, State

PIXELS_PER_INCH = 80  # one pixel of the picture is one of the page: quick to draw
# A picture that is decoded together with the page around it replaces the old one without a flash.
AT_ONCE = 'decoding="sync" '
LEFT_AT: dict[str, State] = {}  # the last values of each explorer in this kernel


def show(explorer: Explorer) -> None:
    """Show an explorer at the values it was left at, or its picture where there are no widgets."""
    state = explorer.valid({**explorer.start(), **LEFT_AT.get(explorer.name, {})})
    picture = explorer.draw(**state)
    labels = ", ".join(control.label for control in explorer.controls)
    try:
        import ipywidgets
    except ImportError:
        hint = f"This picture has controls ({labels}) where ipywidgets is installed."
        display(static(picture, hint), raw=True)
        return
    widget = _widget(ipywidgets, explorer, state, picture)
    # Programs that know widgets show the widget; all others, and saved pages, show the picture.
    bundle = widget._repr_mimebundle_()
    hint = f"Run this cell in JupyterLab for the controls: {labels}."
    display({**bundle, **static(picture, hint)}, raw=True)


def static(picture: Picture, hint: str) -> dict[str, str]:
    """The picture, its numbers and a hint as html and as text."""
    return {
        "text/html": f"{tag(picture)}{_paragraph(picture.numbers)}{_paragraph(hint)}",
        "text/plain": f"{picture.alt}\n{picture.numbers}\n{hint}",
    }


def tag(picture: Picture) -> str:
    """The picture as an html image with its alt text."""
    return page.tag(picture.fig, picture.alt, dpi=PIXELS_PER_INCH, attributes=AT_ONCE)


def _widget(ipywidgets, explorer: Explorer, state: State, picture: Picture):
    inputs = {c.name: _control(ipywidgets, c, state) for c in explorer.controls}
    image = ipywidgets.HTML(tag(picture)).add_class("icnn-picture")
    numbers = ipywidgets.HTML(_paragraph(picture.numbers)).add_class("icnn-number")
    settling = False

    def update(_change) -> None:
        nonlocal settling
        if settling:  # a control that we moved ourselves, below
            return
        settling = True
        try:
            now = explorer.valid({name: widget.value for name, widget in inputs.items()})
            for control in explorer.controls:
                if isinstance(control, Slider):
                    inputs[control.name].max = control.top(now)
                inputs[control.name].value = now[control.name]
        finally:
            settling = False
        LEFT_AT[explorer.name] = now
        drawn = explorer.draw(**now)
        image.value, numbers.value = tag(drawn), _paragraph(drawn.numbers)

    for widget in inputs.values():
        widget.observe(update, "value")
    row = ipywidgets.Layout(flex_flow="row wrap", width="100%")
    controls = ipywidgets.Box([*inputs.values()], layout=row)
    return ipywidgets.VBox([controls, image, numbers]).add_class("icnn-explorer")


def _control(ipywidgets, control: Slider | Choice, state: State):
    looks = {
        "description": control.label,
        "style": {"description_width": "initial"},
        "layout": {"width": "300px"},
        "value": state[control.name],
    }
    if isinstance(control, Choice):
        return ipywidgets.Dropdown(options=control.options, **looks)
    whole = isinstance(control.step, int)
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return kind(min=control.low, max=control.top(state), step=control.step, **looks)


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"
