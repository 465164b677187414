"""What the lessons put on the page: pictures with alt text, tables, and numbers with a band.

Used from lesson 0 on.
"""

import base64
import html
import io
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image
from torch import Tensor, nn

# Colour-blind readers can tell these apart, and each has a contrast of 3 on white. Okabe and Ito's
# palette, with a darker orange and vermilion, and a dark blue for the light one and the yellow.
COLOURS = ("#0072B2", "#C47F00", "#009E73", "#CC79A7", "#222255", "#BF4000")
LOOK = {
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "image.cmap": "viridis",
    "image.interpolation": "nearest",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08,
    "legend.frameon": False,
}
PIXELS_PER_INCH = 110
_SCORES: dict[str, bool] = {}  # of the predictions that a reader typed in this kernel
EDGE = [withStroke(linewidth=3.5, foreground="white")]  # what has it is seen on light and dark


def style() -> None:
    """Set the look of all pictures of a lesson; call it once, in the first cell."""
    plt.rcParams.update(LOOK)


def figure(fig: Figure, alt: str) -> None:
    """Show a picture with a text for readers who do not see it, then close it.

    The text says what there is to see, with its numbers; it is computed from the data, so that a
    test that compares texts also notices when the picture changes.
    """
    html_tag = tag(fig, alt)
    plt.close(fig)
    display({"text/html": html_tag, "text/plain": alt}, raw=True)


def tag(fig: Figure, alt: str, *, dpi: int = PIXELS_PER_INCH, attributes: str = "") -> str:
    """A figure as an html image with the picture inside; `attributes` are further ones of it."""
    drawn, opaque = io.BytesIO(), io.BytesIO()
    fig.savefig(drawn, format="png", dpi=dpi, pil_kwargs={"compress_level": 0})
    Image.open(drawn).convert("RGB").save(opaque, "PNG")  # a twelfth smaller than with alpha
    width = round(fig.get_figwidth() * 80)
    picture = base64.b64encode(opaque.getvalue()).decode()
    return (
        f'<img alt="{html.escape(alt)}" width="{width}" style="max-width:100%" {attributes}'
        f'src="data:image/png;base64,{picture}">'
    )


def table(
    header: Sequence[str], rows: Sequence[Sequence], caption: str = "", *, measured: bool = False
) -> None:
    """Show a table; the first cell of each row is the row's header, numbers are as printed.

    The caption, above it, is what the table says. Measured numbers may differ a little from machine
    to machine, so the notebook tests do not compare them: follow such a table with `expect`.
    """
    lines = [[html.escape(str(cell)) for cell in line] for line in (header, *rows)]
    head = "".join(f'<th scope="col">{cell}</th>' for cell in lines[0])
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in lines[1:]
    )
    kind, text = ("measured", caption) if measured else ("exact", _plain(caption, [header, *rows]))
    shown = (
        f'<table class="{kind}"><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
    display({"text/html": shown, "text/plain": text}, raw=True)


def expect(name: str, value: float, low: float, high: float) -> None:
    """Print a number, and whether it lies in the band where it should be on every machine.

    The notebook tests compare the name, the band and the mark, not the number.
    """
    mark = "✓" if low <= float(value) <= high else "✗"
    print(f"{name}: {value:.4g} {mark} expected {low:g} to {high:g}")


def score(
    name: str, guess: float | str | None, truth: float | str, within: float | None = None
) -> None:
    """Print a reader's prediction beside what came out, and how many were right so far.

    A number is right within a quarter of the truth, or within a distance of its own, a word when it
    is the same but for spaces and capitals. Without a guess one line says so, whatever came out.
    """
    if guess is None:
        print(f"{name}: no prediction typed")
        return
    if isinstance(truth, str):
        if isinstance(guess, int | float):
            raise TypeError(f"guess must be a word in quotation marks or None, got {guess!r}")
        right, found = _folded(str(guess)) == _folded(truth), truth
    else:
        if not isinstance(guess, int | float):
            raise TypeError(
                f"guess must be a number or None, got {guess!r}: write 0.25, without quotation "
                "marks, unit or comma"
            )
        allowed = abs(truth) / 4 if within is None else within
        right, found = abs(guess - truth) <= allowed, f"{float(truth):.4g}"
    _SCORES[name] = right
    told = f"{sum(_SCORES.values())} of {len(_SCORES)} predictions right so far"
    print(f"{name}: you said {guess}, it is {found} {'✓' if right else '✗'} ({told})")


def _folded(word: str) -> str:
    """The word without spaces and capitals, its raised or long minus a plain one."""
    return "".join(unicodedata.normalize("NFKC", word).replace("−", "-").split()).casefold()


def network(*pieces: str) -> None:
    """Show the network of the lessons with its shapes, and these pieces of it lit.

    They are called image, backbone, maps, loss, mask, mean and classifier.
    """
    drawing = Path(__file__).with_name("network.svg").read_text(encoding="utf-8")
    for piece in pieces:
        drawing = drawing.replace(f'class="piece" id="{piece}"', f'class="piece lit" id="{piece}"')
    alt = (
        "The network: an image of 3 × 64 × 64, a backbone of five conv layers, 48 maps of 16 × 16, "
        "the mask, the mean of each map, a linear layer with 5 scores. From the maps, before the "
        f"mask, the filter loss branches off, in training only. Lit: {', '.join(pieces)}"
    )
    picture = base64.b64encode(drawing.encode()).decode()
    shown = f'<img alt="{alt}" width="840" style="max-width:100%" src="data:image/svg+xml;base64,'
    display({"text/html": f'{shown}{picture}">', "text/plain": alt}, raw=True)


def maps(
    axes: Axes,
    values: np.ndarray,
    *,
    title: str = "",
    limit: float | None = None,
    signed: bool = False,
    numbers: bool = False,
    peak: bool = False,
):
    """Draw one feature map, mask or template as squares; returns the image for a colour bar.

    `values` (n, n) are an array or a tensor; a NaN leaves its square empty. `limit` is the value of
    the strongest colour, by default the largest magnitude. Where values may be negative, `signed`
    has two-sided colours with white at 0. `numbers` writes each value into its square, and `peak`
    puts a ring around the largest one.
    """
    values = np.asarray(values, dtype=float)
    limit = limit or max(float(np.nanmax(np.abs(values))), 1e-12)
    colours = {"cmap": "PuOr_r", "vmin": -limit} if signed else {"cmap": "viridis", "vmin": 0}
    image = axes.imshow(values, vmax=limit, **colours)
    axes.set(title=title, xticks=[], yticks=[])
    if numbers:
        for row, column in np.argwhere(~np.isnan(values)):
            value = values[row, column]
            colour = _readable_on(image.cmap(image.norm(value)))
            axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=colour)
    if peak:
        mark(axes, np.unravel_index(values.argmax(), values.shape))
    return image


def image(
    axes: Axes, picture: np.ndarray, *, title: str = "", at: tuple[float, float] = (0, 0)
) -> None:
    """Draw one image (3, H, W), uint8 or in [0, 1]; one unit of the axes is one pixel.

    `at` is the (row, col) of its upper left corner, for several images on the same axes.
    """
    picture, (row, column) = np.moveaxis(np.asarray(picture), 0, -1), at
    height, width = picture.shape[:2]
    axes.imshow(picture, extent=(column, column + width, row + height, row))
    axes.set(title=title, xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def images(pictures: Sequence[np.ndarray], titles: Sequence[str] = (), *, columns: int = 8):
    """A grid of images; returns the figure and its axes, flat and in order."""
    rows = -(-len(pictures) // columns)
    fig, grid = plt.subplots(rows, columns, figsize=(1.25 * columns, 1.42 * rows), squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for i, picture in enumerate(pictures):
        image(grid.flat[i], picture, title=titles[i] if titles else "")
    return fig, grid.flat[: len(pictures)]


def overlay(
    axes: Axes,
    picture: np.ndarray,
    values: np.ndarray,
    *,
    colour: str = "black",
    limit: float | None = None,
    part: Sequence | None = None,
    at: tuple[float, float] = (0, 0),
) -> None:
    """Draw an image (3, H, W), uint8, grey where a map (n, n) is 0, in colour where it is high.

    A line of `colour` is at half the map's peak, and a ring at the peak. What has 0.7 of `limit`,
    by default of the peak, has all its colour. `part` is as the landmark for `mark`, `at` as for
    `image`.
    """
    picture, values = torch.as_tensor(picture) / 255, torch.as_tensor(values).double()
    size, peak = picture.shape[1:], float(values.max())
    smooth = nn.functional.interpolate(values[None, None], size=size, mode="bicubic")[0, 0]
    share = (smooth / max(0.7 * (limit or peak), 1e-12)).clamp(0, 1)
    image(axes, share * picture + (1 - share) * (0.55 + 0.45 * picture.mean(0)), at=at)
    if float(smooth.min()) < peak / 2:  # otherwise there is no such line
        line = {"levels": [peak / 2], "colors": [colour], "linewidths": 1.6, "origin": "upper"}
        axes.contour(smooth, extent=axes.images[-1].get_extent(), **line).set(path_effects=EDGE)
    mark(axes, _peak(values, size) if peak > 0 else None, part, at)


def mark(axes: Axes, peak, landmark=None, at: tuple[float, float] = (0, 0)) -> None:
    """Draw a ring at a peak and a cross at a landmark, (row, col) in pixels of an image.

    What is None or NaN, as a landmark whose part is not in the picture, is not drawn. `at` is as
    for `image`.
    """
    look = {"ms": 7, "mew": 1.5, "mfc": "none", "path_effects": EDGE}
    for place, sign, colour in ((peak, "o", "black"), (landmark, "x", COLOURS[5])):
        if place is not None:
            axes.plot(place[1] + at[1], place[0] + at[0], sign, mec=colour, **look)


def contact_sheet(axes: Axes, shown: Iterable[Sequence], *, columns: int, **look) -> None:
    """Draw images on one pair of axes, which is twice as quick as one pair for each.

    `shown` has for each image the image (3, H, W), the map over it and the place of a part, as for
    `overlay`, which also gets the `look`: colour and limit.
    """
    gap, corners = 4, []
    for i, (picture, values, part) in enumerate(shown):
        side = picture.shape[-1]
        corners.append((i // columns * (side + gap), i % columns * (side + gap)))
        overlay(axes, picture, values, part=part, at=corners[-1], **look)
    axes.set(xlim=(0, columns * (side + gap) - gap), ylim=(corners[-1][0] + side, 0))


def gallery(
    pictures: Tensor,
    maps: Tensor,
    filters: Sequence[int],
    titles: Sequence[str],
    *,
    top: int = 5,
) -> Figure:
    """A row for each filter: where it fires on its top pictures, and the mean of what is there.

    For pictures (N, 3, H, W) uint8 and maps (N, C, n, n) of them, drawn as by `overlay`. A row has
    the `top` pictures with the highest peaks, and the mean is over their surroundings of a third.
    """
    reach = pictures.shape[-1] // 6
    around = nn.functional.pad(pictures.float() / 255, [reach] * 4, mode="replicate")
    size = (1.6 * (top + 1) + 1.6, 1.66 * len(filters))
    fig, grid = plt.subplots(len(filters), top + 1, figsize=size, squeeze=False)
    for line, f, title in zip(grid, filters, titles, strict=True):
        seen = []
        for axes, i in zip(line, maps[:, f].amax((1, 2)).topk(top).indices, strict=False):
            overlay(axes, pictures[i], maps[i, f])
            row, column = _peak(maps[i, f], pictures.shape[2:]).int()
            seen.append(around[i, :, row : row + 2 * reach + 1, column : column + 2 * reach + 1])
        image(line[-1], torch.stack(seen).mean(0))
        line[0].set_ylabel(title, rotation=0, ha="right", va="center")
    grid[0, -1].set_title("their mean")
    return fig


def _peak(values: Tensor, size: Sequence[int]) -> Tensor:
    """Where a map (n, n) over a picture of a size is largest, (row, col) in its pixels."""
    unit = torch.tensor(divmod(int(values.argmax()), values.shape[1]))
    return (unit + 0.5) * torch.tensor(size) / torch.tensor(values.shape)


def _readable_on(colour: Sequence[float]) -> str:
    """Black or white, whichever has more contrast (at least 4.5) on an sRGB colour."""
    linear = [((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in colour[:3]]
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return "white" if luminance < 0.179 else "black"


def _plain(caption: str, lines: Sequence[Sequence[object]]) -> str:
    """The table as text, for readers without HTML."""
    cells = [[str(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
    return "\n".join([*([caption] if caption else []), *(line.rstrip() for line in text)])
