#!/usr/bin/env bash
# captum 0.9.0 and grad-cam 1.5.7: one layer that is called twice, two different maps.
# Guess (0.6): both look at its last call, as a hook that overwrites what it kept would.
# Seen: captum explains the last call, grad-cam the first, without a word. The ReLU of a block of torchvision's
# ResNets is such a layer: one library looks between the block's convolutions, the other behind the block.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torchvision==0.29.1 torch==2.14.1 numpy==2.4.6 captum==0.9.0 grad-cam==1.5.7
venv/bin/python - <<'PY'
import torch
from captum.attr import LayerActivation, LayerGradCam
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        self.relu, self.classifier = nn.ReLU(), nn.Linear(4, 2)

    def maps(self, x):
        early = self.relu(self.first(x))
        return early, self.relu(self.second(early))

    def forward(self, x):
        return self.classifier(self.maps(x)[1].mean((2, 3)))


torch.manual_seed(1)
model, x = Twice().eval(), torch.randn(1, 3, 6, 6)
maps = model.maps(x)
score = model.classifier(maps[1].mean((2, 3)))[0, 0]
slopes = torch.autograd.grad(score, maps)
plain = [(g.mean((2, 3), keepdim=True) * m).sum(1).detach() for g, m in zip(slopes, maps)]
by_captum = LayerGradCam(model, model.relu).attribute(x, target=0)[:, 0].detach()
by_grad_cam = torch.from_numpy(GradCAM(model, [model.relu])(x, [ClassifierOutputTarget(0)]))


def scaled(cam):
    cam = cam.relu() - cam.relu().min()
    return cam / cam.max().clamp_min(1e-7)


assert torch.equal(LayerActivation(model, model.relu).attribute(x), maps[1])
captum = [torch.allclose(by_captum, cam, atol=1e-6) for cam in plain]
grad_cam = [torch.allclose(by_grad_cam, scaled(cam), atol=1e-3) for cam in plain]
print("first call, last call: captum", captum, "grad-cam", grad_cam)
assert (captum, grad_cam) == ([False, True], [True, False])
PY
