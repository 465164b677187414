#!/usr/bin/env bash
# torchvision 0.29.1: a picture without annotations has no boxes, not even none.
# Guess (0.75): wrap_dataset_for_transforms_v2 gives it boxes of shape (0, 4) and no labels, as detectors want.
# Seen: its target is the picture's number alone; the keys asked for are missing, so that target["boxes"]
# fails at the first such picture, of which the photographs of COCO have about one in a hundred.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torchvision==0.29.1 torch==2.14.1 numpy==2.4.6 pycocotools==2.0.11 pillow==13.0.0
venv/bin/python - <<'PY'
import json

from PIL import Image
from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2

names = "one.png", "none.png"
for name in names:
    Image.new("RGB", (8, 8)).save(name)
sizes = {"width": 8, "height": 8}
thing = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3], "area": 9, "iscrowd": 0}
table = {
    "images": [{"id": k, "file_name": name, **sizes} for k, name in enumerate(names, 1)],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [thing],
}
with open("table.json", "w") as file:
    json.dump(table, file)
pictures = CocoDetection(".", "table.json")
wrapped = wrap_dataset_for_transforms_v2(pictures, target_keys=("image_id", "boxes", "labels"))
keys = [sorted(wrapped[k][1]) for k in range(2)]
print(keys)
assert keys == [["boxes", "image_id", "labels"], ["image_id"]]
PY
