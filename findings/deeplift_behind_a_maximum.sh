#!/usr/bin/env bash
# captum 0.9.0: behind AdaptiveMaxPool2d, DeepLift's attributions do not add up to the score's difference.
# Guess (0.6): they do, for any baseline; DeepLift promises it, and captum has a rule for maxima.
# Seen: with a baseline whose peaks lie elsewhere the sum misses by more than 0.1, with the mean over
# positions by less than 1e-5. With an all-zero baseline it is exact, which hides the fault.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv captum==0.9.0 torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import warnings

import torch
from captum.attr import DeepLift

warnings.simplefilter("ignore")
chance = torch.Generator().manual_seed(1)
images, baseline = torch.randn(2, 4, 3, 8, 8, generator=chance)


def missed(pool, baseline):
    torch.manual_seed(0)
    convolution, linear = torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(8, 1)
    net = torch.nn.Sequential(convolution, torch.nn.ReLU(), pool, torch.nn.Flatten(), linear).eval()
    parts = DeepLift(net).attribute(images, baseline, target=0).sum((1, 2, 3))
    return (parts - (net(images) - net(baseline)).squeeze(1)).abs().max().item()


peak, mean = torch.nn.AdaptiveMaxPool2d(1), torch.nn.AdaptiveAvgPool2d(1)
found = missed(peak, baseline), missed(peak, torch.zeros_like(images)), missed(mean, baseline)
print("missed by (maximum, maximum from zero, mean):", found)
assert found[0] > 0.1
assert max(found[1:]) < 1e-5
PY
