"""Train the networks of lesson 8 and write one row for each: `make ablations`.

Every configuration of `icnn.ablation`, three seeds, a shorter recipe than lesson 5's, one process
for each core. A row is written when a run ends, so an interrupted command goes on where it was.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import platform
import time

os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0")  # one process a core beats threads

import torch

import icnn
from icnn._files import DATA, write_checksums
from icnn.experiments.ablation import CONFIGURATIONS, build, tinted

FOLDER = DATA / "ablations"
TABLE = FOLDER / "results.csv"
SEEDS = (0, 1, 2)
IMAGES, EPOCHS = 2500, 6
MEASURES = (
    "accuracy",
    "instability",
    "tracking",
    "selectivity",
    "mass in mask",
    "live filters",
    "peak spread",
    "accuracy, same tint",
    "accuracy, other tint",
    "seconds",
)


def run(task: tuple[str, int]) -> list:
    """Train one network and measure it on the test split: a row of the table."""
    name, seed = task
    torch.set_num_threads(1)
    train = icnn.data.creatures("train").subset(slice(0, IMAGES))
    if CONFIGURATIONS[name].tinted:
        train = tinted(train, seed=seed)
    model, start = build(name, seed=seed), time.perf_counter()
    validation = icnn.data.creatures("validation").subset(slice(0, 500))
    icnn.fit(model, train, validation, epochs=EPOCHS, seed=seed, progress=False)
    seconds = time.perf_counter() - start
    return [name, seed, *(f"{value:.4f}" for value in measure(model, name)), f"{seconds:.0f}"]


@torch.no_grad()
def measure(model: icnn.SmallCNN, name: str) -> list[float]:
    """All measures but the seconds; the tinted accuracies are of the networks that saw tints."""
    data = icnn.data.creatures("test")
    maps = icnn.predict(model.maps, data.floats())
    units, scores = icnn.peaks(maps)
    points = icnn.unit_centres(model, 64).pixels(units)
    live = icnn.live_filters(maps)
    masked = (maps * icnn.part_mask(maps)).sum((0, 2, 3)) / maps.sum((0, 2, 3))
    shifted = [float("nan")] * 2
    if CONFIGURATIONS[name].tinted:
        shifted = [icnn.accuracy(model, tinted(data, share=1.0, shift=s)) for s in (0, 1)]
    points, scores = points[:, live], scores[:, live]  # a dead filter scores like a constant
    if not live.any():
        return [icnn.accuracy(model, data), *[float("nan")] * 4, 0, float("nan"), *shifted]
    return [
        icnn.accuracy(model, data),
        icnn.location_instability(points, scores, data.landmarks, 64).nanmean().item(),
        icnn.best_part_tracking(points, scores, data.landmarks).tracking.nanmean().item(),
        icnn.category_selectivity(maps[:, live], data.labels).nanmean().item(),
        masked[live].mean().item(),
        live.sum().item(),
        icnn.measure.peak_spread(points, scores).mean().item(),
        *shifted,
    ]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not TABLE.exists():
        TABLE.write_text(",".join(["configuration", "seed", *map(repr_csv, MEASURES)]) + "\n")
    with TABLE.open(newline="", encoding="utf-8") as file:
        done = {(row["configuration"], int(row["seed"])) for row in csv.DictReader(file)}
    tasks = [(name, seed) for seed in SEEDS for name in CONFIGURATIONS if (name, seed) not in done]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for row in pool.imap_unordered(run, tasks):
            with TABLE.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerow(row)
            print(*row, flush=True)
    in_order()
    versions = f"Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}"
    (FOLDER / "README.md").write_text(
        f"# Ablations\n\nOne row for each run of lesson 8, made by `make ablations` ({versions}):\n"
        f"the networks of `icnn.ablation`, trained on the first {IMAGES} training pictures for\n"
        f"{EPOCHS} epochs, measured on the test split. Dead filters are left out of the means.\n",
        encoding="utf-8",
    )
    write_checksums(FOLDER)


def in_order() -> None:
    """Sort the rows by configuration and seed: they were written as they came."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    order = list(CONFIGURATIONS)
    rows.sort(key=lambda row: (order.index(row[0]), int(row[1])))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def repr_csv(title: str) -> str:
    """A title as it stands in a CSV file."""
    return f'"{title}"' if "," in title else title


if __name__ == "__main__":
    main()
