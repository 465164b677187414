#!/usr/bin/env bash
# zennit 0.5.1: one network has two relevances, by whether its ReLU is a module or a function.
# Guess (0.6): the same, for the outputs are the same.
# Seen: rules hang on modules. A module ReLU passes relevance on unchanged; torch.relu in forward is not
# seen and masks it with its own gradient: a third of the largest relevance apart, without a warning.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv zennit==0.5.1 torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import torch
from zennit.attribution import Gradient
from zennit.composites import EpsilonPlusFlat


class Net(torch.nn.Module):
    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = torch.nn.Conv2d(1, 8, 3), torch.nn.Conv2d(8, 8, 3)
        self.head, self.activation = torch.nn.Linear(8, 2), activation

    def forward(self, x):
        x = self.activation(self.second(self.activation(self.first(x))))
        return self.head(x.mean((2, 3)))


x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
outputs, relevances = [], []
for activation in (torch.nn.ReLU(), torch.relu):
    with Gradient(Net(activation).eval(), EpsilonPlusFlat()) as attributor:
        output, relevance = attributor(x, torch.tensor([[1.0, 0.0]]))
    outputs.append(output)
    relevances.append(relevance)
apart = (relevances[0] - relevances[1]).abs().max() / relevances[0].abs().max()
print("sums:", [r.sum().item() for r in relevances], "largest difference:", apart.item())
assert torch.equal(*outputs)
assert apart > 0.2
PY
