"""A page with the table of `make photos` and pictures of what the filters find.

It shows photographs of the data set, so it stays with whoever has them.
"""

from __future__ import annotations

import base64
import csv
import html
import io
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

import icnn
from icnn.course import show
from icnn.experiments import photos

FILTERS, IMAGES = 3, 6
STYLE = """body { max-width: 60em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 sans-serif }
table { border-collapse: collapse } th, td { padding: .2em .6em; text-align: right }
th { border-bottom: 1px solid } td:nth-child(-n+3) { text-align: left } img { max-width: 100% }"""


def summary(table: Path) -> list[list[str]]:
    """Header and rows: mean ± sample std over the seeds of each protocol, category and variant."""
    with table.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    runs = defaultdict(list)
    for row in rows:
        runs[tuple(row[:3])].append([float(value) for value in row[4:]])
    result = [[*header[:3], *header[4:]]]
    for key, values in runs.items():
        columns = list(zip(*values, strict=True))
        result.append([*key, *(_with_spread(column) for column in columns)])
    return result


def write_report(folder: Path, pictures: dict[str, str]) -> Path:
    """Write `report.html` beside the table: the summary, then a picture for each title."""
    header, *rows = summary(folder / "results.csv")
    cells = [f"<tr>{_cells('td', row)}</tr>" for row in rows]
    figures = [
        f'<h2>{html.escape(title)}</h2><img alt="{html.escape(title)}" src="{source}">'
        for title, source in pictures.items()
    ]
    path = folder / "report.html"
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Photographs</title>'
        f"<style>{STYLE}</style><h1>Photographs, plain and interpretable</h1>"
        f"<p>Mean ± standard deviation over the seeds. “centre” and “best” are the location "
        f"instability of filters that always fire at one place. The pictures show the "
        f"{FILTERS} filters with the highest tracking of each network of seed 0 and their "
        f"{IMAGES} strongest test images.</p>"
        f"<table><tr>{_cells('th', header)}</tr>{''.join(cells)}</table>{''.join(figures)}",
        encoding="utf-8",
    )
    return path


@torch.no_grad()
def picture(head, features, images: torch.Tensor) -> str:
    """The best filters of a head on their strongest images, as a data address of a PNG."""
    maps = icnn.predict(head.features, features.floats())
    size = images.shape[-1]
    points, scores = photos.to_pixels(maps, size)
    tracking = icnn.best_part_tracking(points, scores, features.landmarks).tracking
    best = tracking.nan_to_num(-1).topk(FILTERS).indices
    figure, axes = plt.subplots(FILTERS, IMAGES, figsize=(2 * IMAGES, 2.2 * FILTERS))
    accent = show.COLOURS[5]
    for row, which in zip(axes, best.tolist(), strict=True):
        strongest = scores[:, which].topk(IMAGES).indices
        for ax, index in zip(row, strongest.tolist(), strict=True):
            ax.imshow(images[index].permute(1, 2, 0))
            ax.plot(*points[index, which].flip(0), "o", ms=14, mfc="none", mec="white", mew=4)
            ax.plot(*points[index, which].flip(0), "o", ms=14, mfc="none", mec=accent, mew=2)
            ax.set_axis_off()
        row[0].set_title(f"filter {which}: tracking {tracking[which]:.2f}", loc="left")
    figure.tight_layout()
    data = io.BytesIO()
    figure.savefig(data, dpi=80)
    plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def _with_spread(values: tuple[float, ...]) -> str:
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"


def _cells(tag: str, values: list[str]) -> str:
    return "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values)
