"""The run times that were measured: lessons, and the benchmark."""

from __future__ import annotations

import csv
import html
from itertools import groupby
from pathlib import Path

from website.page import ROOT

TITLE = "Run times"
LESSONS, BENCHMARK = (ROOT / "benchmarks" / name for name in ("lessons.csv", "results.csv"))


def body() -> str:
    """The page."""
    lessons, results = rows(LESSONS), rows(BENCHMARK)
    machine = results[0]["on"]
    parts = [
        f"<h1>{TITLE}</h1>",
        "<p>Measured on shared machines: read them as ratios, not as promises.</p>",
        "<h2 id=lessons>Lessons</h2>",
        f"<p>From top to bottom, one process ({html.escape(lessons[0]['on'])}); written by "
        "<code>make lessons</code>.</p>",
        table(["lesson", "seconds"], [(row["lesson"], row["seconds"]) for row in lessons]),
        "<h2 id=benchmark>Benchmark</h2>",
        f"<p><code>make benchmark</code> on {html.escape(machine)}, all contestants of a table in "
        "turn: median, and ratio to the first. In brackets: filters, images, side of the maps.</p>",
    ]
    for what, group in groupby(results, key=lambda row: row["what"]):
        lines = [(r["contestant"], f"{r['median']} {r['unit']}", r["ratio"]) for r in group]
        parts.append(f"<h3>{html.escape(what)}</h3>")
        parts.append(table(["contestant", "median", "ratio"], lines))
    return "".join(parts)


def rows(path: Path) -> list[dict[str, str]]:
    """The lines of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(names: list[str], lines: list[tuple]) -> str:
    """As html, each line named by its first cell."""
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    text = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>'
        + "".join(f'<td class="right">{html.escape(cell)}</td>' for cell in rest)
        + "</tr>"
        for first, *rest in lines
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>{text}</table></div>'
    )
