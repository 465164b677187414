"""The numbers that the README publishes are those of the shipped networks."""

from __future__ import annotations

import csv
import re
import statistics
from pathlib import Path

import pytest
import torch

import icnn
from icnn._files import DATA

README = Path(__file__).resolve().parent.parent.parent / "README.md"
ROWS = {
    "plain": "plain",
    "mask only": "mask only",
    "interpretable": "interpretable: mask and filter loss",
    "category term": "… and our category term",
}
# Accuracy, tracking, instability, selectivity: a rounding in the last printed digit, and a little
# more, because another processor adds up in another order.
TOLERANCE = (0.002, 0.02, 0.002, 0.01)


@torch.no_grad()
def measures(variant: str, seed: int, data: icnn.data.PartDataset) -> list[float]:
    model = icnn.checkpoints.load(variant, seed)
    maps = icnn.predict(model.maps, data.floats())
    units, scores = icnn.peaks(maps)
    points = icnn.unit_centres(model, 64).pixels(units)
    return [
        (model.head.classifier(model.head.layer(maps)).argmax(1) == data.labels)
        .double()
        .mean()
        .item(),
        icnn.best_part_tracking(points, scores, data.landmarks).tracking.mean().item(),
        icnn.location_instability(points, scores, data.landmarks, 64).mean().item(),
        icnn.category_selectivity(maps, data.labels).mean().item(),
    ]


@pytest.mark.parametrize("variant", ROWS)
def test_the_readme_s_table(variant) -> None:
    data = icnn.data.creatures("test")
    line = re.search(rf"^\| {ROWS[variant]} \|(.+)$", README.read_text(encoding="utf-8"), re.M)
    published = [float(number) for number in re.findall(r"\|\s*(\.\d+) ±", "|" + line[1])]
    runs = torch.tensor([measures(variant, seed, data) for seed in (0, 1, 2)])
    for ours, theirs, tolerance in zip(runs.mean(0), published, TOLERANCE, strict=True):
        assert abs(float(ours) - theirs) <= tolerance


@pytest.mark.parametrize("variant", ["plain", "mask only", "loss only", "interpretable"])
def test_the_table_of_photographs_is_that_of_the_shipped_runs(variant: str) -> None:
    with (DATA / "photos" / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["protocol"] == "single"]
    rows = [r for r in rows if r["variant"] == variant]
    assert len(rows) == 6 * 3
    title = "interpretable: mask and loss" if variant == "interpretable" else variant
    text = README.read_text(encoding="utf-8").split("| photographs |")[1]
    (line,) = re.findall(rf"^\| {re.escape(title)} \|(.*)\|$", text, re.MULTILINE)
    published = [cell.split("±") for cell in line.replace("−", "-").split("|")]
    for measure, (mean, spread) in zip(
        ("accuracy", "tracking", "instability"), published, strict=True
    ):
        seeds = [[float(r[measure]) for r in rows if r["seed"] == s] for s in "012"]
        means = [statistics.mean(values) for values in seeds]
        digits = len(mean.strip().lstrip("-").lstrip("."))
        assert float(mean) == pytest.approx(statistics.mean(means), abs=0.6 * 10**-digits)
        assert float(spread) == pytest.approx(statistics.stdev(means), abs=0.6 * 10**-digits)
