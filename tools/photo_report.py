"""A page with the table of `make photos` and pictures of what the filters find.

It shows photographs of the data set, so it stays with whoever has them.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader

import icnn
from icnn.course import show
from icnn.experiments import photos
from icnn.experiments.table import read_rows, write_rows
from icnn.measure import seed_interval

FILTERS, IMAGES = 3, 6
KEY = ("protocol", "category", "variant", "seed")
MEASURES = ("accuracy", "tracking", "instability")


def summary(rows: list[dict[str, str]]) -> list[list[str]]:
    """Header and rows: mean ± sample std over the seeds of each protocol, category and variant."""
    runs, key = defaultdict(list), ("protocol", "category", "variant")
    for row in rows:
        runs[tuple(row[name] for name in key)].append(row)
    columns = [name for name in rows[0] if name not in KEY]
    cells = ([*k, *(_with_spread(some, c) for c in columns)] for k, some in runs.items())
    return [[*key, *columns], *cells]


def write_intervals(folder: Path) -> None:
    """Write intervals.csv: means of each variant, and how much more than plain, with intervals.

    The differences are paired: the same splits, the same pictures. 95 % intervals as lesson 7 has
    them, over splits and the drawn pictures of every animal; NaN for one split alone. "chosen" is
    the variant that the validation pictures of each split are for (`photos.chosen`).
    """
    table = read_rows(folder / "results.csv")
    drawn = {tuple(row[name] for name in KEY): _drawn(folder, row) for row in table}
    rows = [("protocol", "animals", "variant", "measure", "mean", "std", "more", "low", "high")]
    for protocol in dict.fromkeys(row["protocol"] for row in table):
        names = list(dict.fromkeys(r["category"] for r in table if r["protocol"] == protocol))
        singles = [name for name in names if "at once" not in name]
        of = {"all": singles, "first six": photos.FIRST, "harder": photos.HARDER}
        groups = {title: some for title, some in of.items() if some and set(some) <= set(singles)}
        for title, animals in ({name: [name] for name in names} | groups).items():
            rows += _compare(table, drawn, protocol, title, animals)
    write_rows(folder / "intervals.csv", rows)


def peaks_path(folder: Path, run: Sequence[object]) -> Path:
    """Where the peaks of a run are kept, and what other pictures would have given."""
    return folder / "peaks" / ("_".join(map(str, run)).replace(" ", "-") + ".npz")


def _drawn(folder: Path, row: dict[str, str]) -> dict[str, np.ndarray]:
    """The measures of a run, first as they are and then for pictures that are drawn anew."""
    saved = np.load(peaks_path(folder, [row[name] for name in KEY]))
    values = dict(zip(("tracking", "instability"), saved["resampled"].T, strict=True))
    if "hits" in saved:
        hits, draw = saved["hits"], np.random.default_rng(int(row["seed"]))
        again = draw.integers(len(hits), size=(len(values["tracking"]), len(hits)))
        values["accuracy"] = hits[again].mean(1)
    return {name: np.array([float(row[name]), *some]) for name, some in values.items()}


def _compare(table, drawn, protocol: str, title: str, animals: list[str]) -> Iterator[list]:
    """The rows of some animals together: each variant that all of them have, each measure."""
    runs = [key for key in drawn if key[0] == protocol and key[1] in animals]
    seeds = sorted({key[3] for key in runs})
    variants = {v: dict.fromkeys(seeds, v) for v in dict.fromkeys(key[2] for key in runs)}
    if set(photos.LAMBDAS) <= set(variants):
        variants["chosen"] = {s: photos.chosen(table, protocol, s) for s in seeds}
    for (variant, of), measure in itertools.product(variants.items(), MEASURES):
        keys = [[(protocol, a, of[s], s) for s in seeds] for a in animals]
        base = [[(protocol, a, "plain", s) for s in seeds] for a in animals]
        if any(measure not in drawn.get(k, ()) for k in itertools.chain(*keys, *base)):
            continue
        values, plain = (
            np.array([[drawn[k][measure] for k in row] for row in some]) for some in (keys, base)
        )
        means, more = values[:, :, 0].mean(0), values - plain
        std, ends, differences = 0, (np.nan, np.nan), more[:, :, 0].mean(0)
        if len(seeds) > 1:  # of the drawn pictures NaN: one picture, drawn again and again
            variance = np.nanvar(more[:, :, 1:], axis=2).sum() / more[:, :, 0].size ** 2
            std = means.std(ddof=1)
            ends = seed_interval(torch.from_numpy(differences), variance=variance)
        numbers = means.mean(), std, differences.mean(), *ends
        yield [protocol, title, variant, measure, *(f"{number:.4f}" for number in numbers)]


def write_report(folder: Path, pictures: dict[str, str]) -> Path:
    """Write `report.html` beside the table: the summary, then a picture under each title."""
    header, *rows = summary(read_rows(folder / "results.csv"))
    frames = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = frames.get_template("photo_report.html.j2").render(
        header=header, rows=rows, pictures=pictures, filters=FILTERS, images=IMAGES
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@torch.no_grad()
def picture(title: str, head, features, images: torch.Tensor) -> str:
    """The best filters of a head on their strongest images, as an html image."""
    maps = icnn.predict(head.features, features.floats())
    points, scores = photos.to_pixels(maps, images.shape[-1])
    tracking = icnn.best_part_tracking(points, scores, features.landmarks).tracking
    best = tracking.nan_to_num(-1).topk(FILTERS).indices.tolist()
    titles = [f"filter {which}\ntracking {tracking[which]:.2f}" for which in best]
    figure = show.gallery(images, maps, best, titles, top=IMAGES)
    plt.close(figure)
    return show.tag(figure, title, dpi=80)


def _with_spread(rows: list[dict[str, str]], column: str) -> str:
    values = np.array([float(row[column] or "nan") for row in rows])  # empty: not measured
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"
