#!/usr/bin/env bash
# torchvision 0.29.1: the box of a mask ends in its last pixel, the area of a box counts from edge to edge.
# Guess (0.65): the box of a mask of one pixel has area 1, since both functions are of torchvision.ops.
# Seen: area 0, as for any part one pixel thin; its overlap with itself is no number, and
# SanitizeBoundingBoxes throws it out. A square of 16 pixels has a box of area 9.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import torch
from torchvision.ops import box_area, box_iou, masks_to_boxes
from torchvision.transforms.v2 import SanitizeBoundingBoxes
from torchvision.tv_tensors import BoundingBoxes

masks = torch.zeros(3, 8, 8, dtype=torch.bool)
masks[0, 3, 4] = masks[1, 2, 1:6] = masks[2, 2:6, 1:5] = True
boxes = masks_to_boxes(masks)
overlap = box_iou(boxes, boxes).diag()
kept = SanitizeBoundingBoxes(labels_getter=None)(BoundingBoxes(boxes, format="xyxy", canvas_size=(8, 8)))
print("pixels", masks.sum((1, 2)).tolist(), "areas", box_area(boxes).tolist(), "overlap", overlap.tolist())
assert box_area(boxes).tolist() == [0, 0, 9]
assert overlap.isnan().tolist() == [True, True, False]
assert len(kept) == 1
PY
