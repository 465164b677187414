#!/usr/bin/env bash
# captum 0.9.0: occlusion windows that do not divide a picture make its last pixels matter less.
# Guess (0.6): the last window is moved inwards, or each pixel gets the mean of equally large windows.
# Seen: the last window is cut off at the edge and counts what is left of it. For a score that is the sum of
# eight equal pixels, with windows of four every three, six pixels get 4, the last two 3 and 2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torch==2.14.1 numpy==2.4.6 captum==0.9.0
venv/bin/python - <<'PY'
import torch
from captum.attr import Occlusion

x = torch.ones(1, 1, 1, 8)
occlusion = Occlusion(lambda x: x.sum((1, 2, 3)))
for stride, wanted in (2, [4] * 8), (3, [4, 4, 4, 4, 4, 4, 3, 2]):
    found = occlusion.attribute(x, sliding_window_shapes=(1, 1, 4), strides=(1, 1, stride), baselines=0)
    print("stride", stride, found.flatten().tolist())
    assert found.flatten().tolist() == wanted
PY
