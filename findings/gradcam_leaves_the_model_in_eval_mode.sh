#!/usr/bin/env bash
# grad-cam 1.5.7: making a GradCAM switches the model to eval mode, and closing it does not switch back.
# Guess (0.7): the context manager leaves the model as it found it.
# Seen: every module is in eval mode afterwards. Whoever looks at a map between two epochs trains on
# without dropout and with frozen running means.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv grad-cam==1.5.7 torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import torch
from pytorch_grad_cam import GradCAM

torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Conv2d(3, 4, 3),
    torch.nn.BatchNorm2d(4),
    torch.nn.ReLU(),
    torch.nn.Dropout(),
    torch.nn.AdaptiveAvgPool2d(1),
    torch.nn.Flatten(),
    torch.nn.Linear(4, 2),
).train()
with GradCAM(model=net, target_layers=[net[2]]) as cam:
    cam(input_tensor=torch.randn(2, 3, 8, 8), targets=None)
modes = [module.training for module in net.modules()]
print("training, module by module:", modes)
assert modes == [False] * 8
PY
