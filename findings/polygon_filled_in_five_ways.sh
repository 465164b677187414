#!/usr/bin/env bash
# scikit-image 0.26.0, pycocotools 2.0.11, Pillow 13.0.0, OpenCV 5.0.0, matplotlib 3.11.2: one polygon, three sizes.
# Guess (0.5): all fill the square with corners at 10 and 20 alike, with 100 or with 121 pixels.
# Seen: pycocotools 100, matplotlib's contains_points 110, the others 121. For a triangle of area 170 it is
# 168, 182 (scikit-image) and 198 (Pillow, OpenCV), so these differ among themselves, too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv scikit-image==0.26.0 pycocotools==2.0.11 pillow==13.0.0 opencv-python-headless==5.0.0.93 matplotlib==3.11.2 numpy==2.4.6
venv/bin/python - <<'PY'
import cv2
import numpy as np
from matplotlib.path import Path
from PIL import Image, ImageDraw
from pycocotools import mask
from skimage.draw import polygon2mask

SIDE = 40


def pixels(corners: list[tuple[int, int]]) -> list[int]:
    """How many are inside, for each library; corners are (x, y)."""
    x_and_y = np.array(corners)
    coco = mask.decode(mask.frPyObjects([x_and_y.ravel().astype(float).tolist()], SIDE, SIDE))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    inside = Path(corners).contains_points(np.c_[columns.ravel(), rows.ravel()])
    picture = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(picture).polygon(corners, fill=1)
    filled = cv2.fillPoly(np.zeros((SIDE, SIDE), np.uint8), [x_and_y], 1)
    masks = coco, inside, polygon2mask((SIDE, SIDE), x_and_y[:, ::-1]), np.array(picture), filled
    return [int(found.sum()) for found in masks]


square = pixels([(10, 10), (20, 10), (20, 20), (10, 20)])
triangle = pixels([(10, 10), (30, 10), (20, 27)])
print("pycocotools, matplotlib, scikit-image, Pillow, OpenCV:", square, triangle)
assert square == [100, 110, 121, 121, 121]
assert [triangle[k] for k in (0, 2, 3, 4)] == [168, 182, 198, 198]
PY
