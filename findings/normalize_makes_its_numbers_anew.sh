#!/usr/bin/env bash
# torchvision 0.29.1: v2.Normalize makes its mean and std again in every call, on the processor first.
# Guess (0.6): a module's constants are made once and move with the model.
# Seen: two new tensors a call, and the module has no buffer. On a card each is a copy that waits, and a
# step cannot be captured in a CUDA graph ("Cannot copy between CPU and CUDA tensors", seen with
# torchvision 0.26.0 and torch 2.11.0 on an H200; that part runs here only where there is a card).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms.v2 import Normalize


class Count(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


normalize, images = Normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.2)), torch.rand(2, 3, 4, 4)
for _ in range(2):
    with Count() as count:
        normalize(images)
    print(dict(count.seen))
    assert count.seen["lift_fresh"] == 2  # a tensor from numbers of Python
assert not list(normalize.buffers())
if torch.cuda.is_available():
    images = images.cuda()
    normalize(images)
    try:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            normalize(images)
    except RuntimeError as error:
        assert "during CUDA graph capture" in str(error), error
    else:
        raise SystemExit("a CUDA graph holds it")
PY
