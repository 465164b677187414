#!/usr/bin/env bash
# quantus 0.6.0: the baseline called "black" is the smallest number of the picture itself.
# Guess (0.6): zero, the same for all pictures.
# Seen: of a normalised picture it is below zero and another one for each picture; "white" is its largest
# number. So a curve of deletion takes each picture to a colour of its own, and a picture that is all one
# colour is not changed at all.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torch==2.14.1 numpy==2.4.6 quantus==0.6.0
venv/bin/python - <<'PY'
import numpy as np
from quantus.helpers.utils import get_baseline_value

draw = np.random.default_rng(0)
for mean in (0.0, 1.0):
    picture = (draw.standard_normal((3, 4, 4)) + mean).astype(np.float32)
    black, white = (
        np.unique(get_baseline_value(name, picture, return_shape=picture.shape))
        for name in ("black", "white")
    )
    print("black", black, "white", white)
    assert black == picture.min() and white == picture.max()
PY
