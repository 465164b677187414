#!/usr/bin/env bash
# pycocotools 2.0.11: several categories mean 'all of them' for images and 'any of them' for annotations.
# Guess (0.7): getImgIds(catIds=[1, 2]) gives the images with either category, as getAnnIds does.
# Seen: it gives the images that have both; whoever collects photographs of two animals gets almost none.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv pycocotools==2.0.11 numpy==2.4.6
venv/bin/python - <<'PY'
import contextlib
import io

from pycocotools.coco import COCO

coco = COCO()
boxes = [(0, 1), (1, 2), (2, 1), (2, 2)]  # (image, category)
coco.dataset = {
    "images": [{"id": i} for i in range(3)],
    "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    "annotations": [
        {"id": k, "image_id": i, "category_id": c, "iscrowd": 0, "area": 1}
        for k, (i, c) in enumerate(boxes)
    ],
}
with contextlib.redirect_stdout(io.StringIO()):
    coco.createIndex()
images, annotations = coco.getImgIds(catIds=[1, 2]), coco.getAnnIds(catIds=[1, 2])
print("images:", images, "annotations:", annotations)
assert sorted(coco.getImgIds(catIds=[1])) == [0, 2]
assert images == [2]
assert sorted(annotations) == [0, 1, 2, 3]
PY
