"""`make photos` from photographs to table and report, on a small tree with random weights."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("h5py", reason="photographs need: pip install 'icnn[photos]'")

import photo_trees as trees

ROOT = Path(__file__).resolve().parent.parent.parent


def run(root: Path, out: Path) -> str:
    command = [sys.executable, "tools/run_photos.py", "--root", root, "--out", out]
    options = ["--backbone", "resnet18", "--weights", "none", "--image-size", "64", "--seeds", "2"]
    options += ["--protocols", "single"]
    options += ["--variants", "plain", "interpretable", "four times the loss", "k-means 16"]
    ran = subprocess.run(
        [*map(str, command), *options],
        cwd=ROOT,
        env={**os.environ, "ICNN_PHOTOS": ""},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_from_photographs_to_a_report(tmp_path) -> None:
    random = np.random.default_rng(0)
    corners = random.integers(1, 80, (30, 2))
    boxes = [(x, y, x + 100, y + 90) for x, y in corners.tolist()]
    heads, legs = random.integers(20, 200, (2, 30, 2)).tolist()
    trees.animal(tmp_path, "n02118333", boxes, heads, legs, version=73)
    trees.negatives(tmp_path, 20)
    out = tmp_path / "out"
    printed = run(tmp_path, out)
    with (out / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 2 and {row["category"] for row in rows} == {"fox"}
    assert all((row["accuracy"] == "") == (row["variant"] == "k-means 16") for row in rows)
    with (out / "ceiling.csv").open(newline="") as file:
        taught = {(row["part"], row["layers"], row["seed"]) for row in csv.DictReader(file)}
    assert len(taught) == 8 and {part for part, *_ in taught} == {"head", "front leg"}
    with (out / "intervals.csv").open(newline="") as file:
        intervals = list(csv.DictReader(file))
    assert all(float(row["low"]) <= float(row["high"]) for row in intervals)
    plain = [row for row in intervals if row["variant"] == "plain"]
    assert plain and {(row["more"], row["low"], row["high"]) for row in plain} == {("0.0000",) * 3}
    assert {row["variant"] for row in intervals} == {
        *["plain", "interpretable", "chosen"],
        "four times the loss",
        "k-means 16",
    }
    report = (out / "report.html").read_text()
    assert report.count("<img ") == 2 and "fox, interpretable" in report
    assert printed.strip().endswith("report.html")
    run(tmp_path, out)  # everything is there
    with (out / "results.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == rows
