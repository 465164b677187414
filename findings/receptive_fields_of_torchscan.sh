#!/usr/bin/env bash
# torchscan 0.2.0: the column "Receptive field" holds each layer's own kernel.
# Guess (0.6): it grows from layer to layer, to the 435 pixels of ResNet-18's last maps.
# Seen: 7 for the first convolution, 1 for what follows, 3 for the pooling, and nothing for the blocks.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torchvision==0.29.1 torch==2.14.1 numpy==2.4.6 torchscan==0.2.0
venv/bin/python - <<'PY'
import contextlib
import io

import torchscan
import torchvision

text = io.StringIO()
with contextlib.redirect_stdout(text):
    torchscan.summary(torchvision.models.resnet18().eval(), (3, 224, 224), receptive_field=True, max_depth=1)
print(text.getvalue())
lines = [line.split() for line in text.getvalue().splitlines()]
last = {words[0].strip("├─"): words[-1] for words in lines if words}
assert [last[name] for name in ("conv1", "relu", "maxpool", "layer4")] == ["7", "1", "3", "?"]
PY
