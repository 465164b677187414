#!/usr/bin/env bash
# torch 2.14.1: the three ways to write max(x, 0) have two different gradients at 0.
# Guess (0.6): relu, clamp_min and maximum agree, they compute the same function.
# Seen: at x = 0 relu and clamp_min pass 0, maximum with zeros passes .5. Behind another ReLU most
# units of a map are exactly 0, so one half of the gradient reaches every silent unit.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import torch

slopes = {}
for name, function in {
    "relu": torch.relu,
    "clamp_min": lambda x: x.clamp_min(0),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
}.items():
    x = torch.zeros(3, requires_grad=True)
    function(x).sum().backward()
    slopes[name] = x.grad.tolist()
print(slopes)
assert slopes == {"relu": [0.0] * 3, "clamp_min": [0.0] * 3, "maximum": [0.5] * 3}
PY
