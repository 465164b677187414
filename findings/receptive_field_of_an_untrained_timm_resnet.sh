#!/usr/bin/env bash
# timm 1.0.31: the receptive field of an untrained ResNet, measured by gradients, is 11 pixels.
# Guess (0.8): with random weights a gradient reaches the whole field, 211 pixels at stage 3 of ResNet-18.
# Seen: 11 in timm, 211 in torchvision 0.29.1: timm starts the last norm of each block at zero, so only the
# shortcuts' path is there. An untrained network is no ruler.
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
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor


def width(stage):
    x = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(0)).requires_grad_()
    maps = stage(x)
    middle = maps.shape[-1] // 2
    maps[0, :, middle, middle].sum().backward()
    reached = x.grad.abs().sum((0, 1)).nonzero()
    return (reached.amax(0) - reached.amin(0) + 1).tolist()


torch.manual_seed(0)
one = timm.create_model("resnet18", features_only=True, out_indices=(3,)).eval()
other = create_feature_extractor(torchvision.models.resnet18().eval(), {"layer3": "maps"})
found = width(lambda x: one(x)[0]), width(lambda x: other(x)["maps"])
print("timm:", found[0], "torchvision:", found[1])
assert found == ([11, 11], [211, 211])
assert all(not p.any() for n, p in one.named_parameters() if n.endswith("bn2.weight"))
PY
