#!/usr/bin/env bash
# shap 0.51.0: a GradientExplainer with a seed leaves numpy's global numbers where that seed puts them.
# Guess (0.7): rseed=0 makes the explanation repeatable, and the caller's random numbers go on.
# Seen: whatever seed the caller had set, the next np.random.rand() after the call is the same number; a loop
# over seeds that explains in between is one seed, many times.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torch==2.14.1 numpy==2.4.6 shap==0.51.0
venv/bin/python - <<'PY'
import numpy as np
import shap
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
explainer, x = shap.GradientExplainer(model, torch.randn(20, 4)), torch.randn(2, 4)
after = []
for seed in (1, 2, 3):
    np.random.seed(seed)
    explainer.shap_values(x, nsamples=5, rseed=0)
    after.append(np.random.rand())
print(after)
assert len(set(after)) == 1
PY
