#!/usr/bin/env bash
# torchvision 0.29.1: the parts of a person in Pascal VOC's layout are a list, if there are two.
# Guess (0.65): a list whatever their number, as the picture's objects are.
# Seen: one part is a dictionary in the list's place, and a loop over it goes through the names of its fields.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
from xml.etree import ElementTree

from torchvision.datasets import VOCDetection

PART = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
for parts, kind in (1, dict), (2, list):
    text = f"<annotation><object><name>person</name>{PART * parts}</object></annotation>"
    objects = VOCDetection.parse_voc_xml(ElementTree.fromstring(text))["annotation"]["object"]
    print(parts, "parts:", objects)
    assert type(objects) is list
    assert type(objects[0]["part"]) is kind
PY
