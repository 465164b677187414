#!/usr/bin/env bash
# timm 1.0.31: features_only gives the maps of some networks before the activation, of others after it.
# Guess (0.7): maps of networks with ReLU come after it, so they are never negative.
# Seen: no map of resnet18 is negative anywhere, every one of efficientnet_lite0 is somewhere (its blocks
# end linearly); of densenet121 the first and last are not, the three between are (their norm and ReLU
# stand in the next block). A peak or a mean then means something else.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv timm==1.0.31 torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import timm
import torch

found = {}
for name in ("resnet18", "densenet121", "efficientnet_lite0"):
    torch.manual_seed(0)
    model = timm.create_model(name, features_only=True).eval()
    found[name] = [(maps < 0).any().item() for maps in model(torch.randn(1, 3, 128, 128))]
    print(name, "has negative values:", found[name])
assert found["resnet18"] == [False] * 5
assert found["densenet121"] == [False, True, True, True, False]
assert found["efficientnet_lite0"] == [True] * 5
PY
