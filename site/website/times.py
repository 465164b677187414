"""The run times that were measured: lessons, and the benchmark."""

from __future__ import annotations

import csv
import html
from itertools import groupby
from pathlib import Path

from website.page import ROOT, titled

TITLE = "Run times"
LESSONS, BENCHMARK = (ROOT / "benchmarks" / name for name in ("lessons.csv", "results.csv"))


# What a table of the benchmark measures, by its first word.
WHAT = {
    "memory": "Memory that the loss and its gradient need beyond the maps and theirs, "
    "as multiples of the maps.",
    "layer": "Forward and backward. A line with + has its own milliseconds, and as ratio the conv "
    "layer with it to the conv layer alone. Where the naive loss would take several GB it is "
    "left out.",
    "filter": "The loss with its gradient.",
    "training": "One step of the lessons' network with 64 images, and its ratio to the plain one.",
    "creatures": "Pictures drawn in a second.",
    "measures": "2,000 images, 512 filters, 5 landmarks.",
    "import": "A fresh Python that imports the module.",
}


def body(links: dict[str, tuple[str, str]]) -> str:
    """The page; `links` has place and title of each lesson's page, by the name of its file."""
    lessons, results = rows(LESSONS), rows(BENCHMARK)
    machine = results[0]["on"]
    parts = [
        f"<h1>{TITLE}</h1>",
        "<p>Measured on shared machines: read them as ratios, not as promises.</p>",
        "<h2 id=lessons>Lessons</h2>",
        f"<p>From top to bottom, one process ({html.escape(lessons[0]['on'])}); written by "
        "<code>make lessons</code>.</p>",
        table(["lesson", "seconds"], [(linked(row, links), row["seconds"]) for row in lessons]),
        "<h2 id=benchmark>Benchmark</h2>",
        f"<p><code>make benchmark</code> on {html.escape(machine)}, all contestants of a table in "
        "turn: medians. In brackets: filters, images, side of the maps.</p>",
    ]
    notes = dict(WHAT)
    for what, group in groupby(results, key=lambda row: row["what"]):
        note = notes.pop(what.split()[0], "")  # before the first table of its kind
        parts.append(f"<h3>{html.escape(what)}</h3>{note and f'<p>{note}</p>'}")
        parts.append(results_table(list(group)))
    return "".join(parts)


def linked(row: dict[str, str], links: dict[str, tuple[str, str]]) -> str:
    """A lesson's title, which leads to its page."""
    place, title = links[row["lesson"]]
    return f'<a href="{place}">{titled(title)}</a>'


def results_table(group: list[dict[str, str]]) -> str:
    """One table of the benchmark; ratios are there if they were measured."""
    names = ["contestant", "median", "for each unit" if "/unit" in group[0]["ratio"] else "ratio"]
    lines = [
        (html.escape(r["contestant"]), f"{r['median']} {r['unit']}", r["ratio"]) for r in group
    ]
    columns = 3 if group[0]["ratio"] else 2
    return table(names[:columns], [line[:columns] for line in lines])


def rows(path: Path) -> list[dict[str, str]]:
    """The lines of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(names: list[str], lines: list[tuple]) -> str:
    """As html, each line named by its first cell."""
    first, *rest = names
    head = f'<th scope="col">{first}</th>'
    head += "".join(f'<th scope="col" class="right">{name}</th>' for name in rest)
    text = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f'<td class="right">{html.escape(cell)}</td>' for cell in rest)
        + "</tr>"
        for first, *rest in lines
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>{text}</table></div>'
    )
