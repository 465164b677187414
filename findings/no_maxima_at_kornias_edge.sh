#!/usr/bin/env bash
# kornia 0.9.0: nms2d finds no maximum in the outermost rows and columns.
# Guess (0.7): a single unit above all others is found wherever it lies.
# Seen: its map is made larger by copies of its edge, so that a unit there has itself for a neighbour and is
# no maximum any more. Of the 196 places on a map of 14 x 14 a peak is lost in 52.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torch==2.14.1 numpy==2.4.6 kornia==0.9.0
venv/bin/python - <<'PY'
import torch
from kornia.geometry.subpix import nms2d

maps = torch.eye(196).view(196, 1, 14, 14)
lost = (nms2d(maps, (3, 3)).amax((1, 2, 3)) == 0).view(14, 14)
print(int(lost.sum()), "of 196 are lost")
edge = torch.ones(14, 14, dtype=torch.bool)
edge[1:-1, 1:-1] = False
assert torch.equal(lost, edge)
PY
