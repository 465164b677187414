#!/usr/bin/env bash
# torch 2.14.1: a map of 7 x 7 that is enlarged to a picture of 224 has its peak at the picture's edge.
# Guess (0.7): the largest pixel lies near the centre of the peak's unit, whichever unit that is.
# Seen: bilinear, a peak in the first row is equally high from pixel 0 to 15, so that an argmax takes 0, the
# edge, where the unit's centre is 15.5; in the last row it takes 208 for 207.5. Bicubic it is 5 and 218, and
# 11 % higher than the map's peak, which inside the map stays below it. Pointing games are played on such maps.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import torch
from torch.nn.functional import interpolate


def peak(row: int, mode: str) -> tuple[int, float]:
    """The row of the largest pixel, and how large it is."""
    small = torch.zeros(1, 1, 7, 7)
    small[0, 0, row, 3] = 1
    large = interpolate(small, size=224, mode=mode)[0, 0]
    return int(large.argmax()) // 224, round(float(large.max()), 2)


rows = 0, 1, 3, 6
print("centres", [32 * row + 15.5 for row in rows])
for mode, wanted in ("bilinear", [0, 47, 111, 208]), ("bicubic", [5, 47, 111, 218]):
    found = [peak(row, mode) for row in rows]
    print(mode, found)
    assert [place for place, _ in found] == wanted
assert [height for _, height in found] == [1.11, 1.0, 1.0, 1.11]
first = torch.zeros(1, 1, 7, 7)
first[0, 0, 0, 3] = 1
column = interpolate(first, size=224, mode="bilinear")[0, 0].amax(1)
assert (column == column.max()).nonzero().flatten().tolist() == list(range(16))
PY
