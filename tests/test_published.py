"""The numbers that the README publishes are those of the shipped networks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import icnn

README = Path(__file__).resolve().parent.parent / "README.md"
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
    maps = icnn.predict(model.features, data.floats())
    units, scores = icnn.peaks(maps)
    points = icnn.unit_centres(model.features, 64).pixels(units)
    return [
        (model.head(model.layer(maps)).argmax(1) == data.labels).double().mean().item(),
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
