#!/usr/bin/env bash
# torchvision 0.29.1: a network cut by create_feature_extractor compiles its code anew with each change of mode.
# Guess (0.75): eval() and train() set a flag on every module, as for any other network.
# Seen: each change writes the graph out as Python and compiles it; for ResNet-50 that is some hundred times
# what the network it was cut from needs. A loop that asks for eval mode in each batch and puts the mode back
# afterwards pays for it twice a batch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torch==2.14.1 torchvision==0.29.1 numpy==2.4.6
venv/bin/python - <<'PY'
import time

import torch
from torch.fx import GraphModule
from torchvision.models import resnet50
from torchvision.models.feature_extraction import create_feature_extractor

whole = resnet50(weights=None)
cut = create_feature_extractor(whole, {"layer4": "maps"})
compiled, recompile = [], GraphModule.recompile
GraphModule.recompile = lambda self: compiled.append(self) or recompile(self)


def seconds(network):
    start = time.perf_counter()
    for _ in range(10):
        network.eval()
        network.train()
    return time.perf_counter() - start


print("whole:", f"{1000 * seconds(whole) / 20:.2f} ms a change,", len(compiled), "compiled")
print("cut:", f"{1000 * seconds(cut) / 20:.2f} ms a change,", len(compiled), "compiled")
assert len(compiled) == 20, "no longer once for each of twenty changes"
cut.train()
assert len(compiled) == 20, "the same mode again compiles, too"
PY
