#!/usr/bin/env bash
# torchmetrics 1.9.0: the AUROC of scores outside [0, 1] is that of their sigmoid, in float32.
# Guess (0.9): AUROC depends on the order alone, so adding a constant to all scores changes nothing.
# Seen: energies from 20 to 50 in perfect order give .5, the same minus 35 give 1: above 17 every sigmoid
# is 1, and all images are tied. Out-of-distribution scores are such numbers.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import torch
from torchmetrics.functional.classification import binary_auroc

energies = torch.tensor([20.0, 30.0, 40.0, 50.0])
known = torch.tensor([0, 0, 1, 1])
found = binary_auroc(energies, known).item()
moved = binary_auroc(energies - 35, known).item()
print("as they are:", found, "minus 35:", moved)
assert (found, moved) == (0.5, 1.0)
assert binary_auroc(energies.double() + 20, known).item() < 1  # float64 only moves the limit
PY
