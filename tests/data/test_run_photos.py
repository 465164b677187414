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
    options = ["--backbone", "resnet18", "--weights", "none", "--image-size", "64"]
    ran = subprocess.run(
        [*map(str, command), *options, "--protocols", "single"],
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
    assert len(rows) == 5 * 3 and {row["category"] for row in rows} == {"fox"}
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows)
    with (out / "ceiling.csv").open(newline="") as file:
        assert [row["part"] for row in csv.DictReader(file)] == ["head"] * 3 + ["front leg"] * 3
    report = (out / "report.html").read_text()
    assert report.count("<img ") == 2 and "fox, interpretable" in report
    assert printed.strip().endswith("report.html")
    run(tmp_path, out)  # everything is there
    with (out / "results.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == rows
