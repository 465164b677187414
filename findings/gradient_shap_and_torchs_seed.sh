#!/usr/bin/env bash
# captum 0.9.0: GradientShap draws from numpy as well as from torch.
# Guess (0.75): torch.manual_seed makes it repeatable, as the inputs and the noise are tensors.
# Seen: two calls after the same torch seed differ; with np.random.seed beside it they agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torch==2.14.1 numpy==2.4.6 captum==0.9.0
venv/bin/python - <<'PY'
import numpy as np
import torch
from captum.attr import GradientShap

torch.manual_seed(0)
explain = GradientShap(lambda x: (x**3).sum(1)).attribute
x, baselines = torch.randn(2, 4), torch.randn(6, 4)


def twice(*seeds):
    """Whether two calls agree, each behind these seeds."""
    results = []
    for _ in range(2):
        for seed in seeds:
            seed(0)
        results.append(explain(x, baselines, n_samples=3, stdevs=0.1))
    return torch.equal(*results)


np.random.seed(7)
found = twice(torch.manual_seed), twice(torch.manual_seed, np.random.seed)
print("torch alone, torch and numpy:", found)
assert found == (False, True)
PY
