#!/usr/bin/env bash
# torch 2.14.1 (onnxruntime 1.32.0): topk of equal values takes later units, ONNX Runtime the first.
# Guess (0.75): among equals the first come first, as argmax and a stable sort have it.
# Seen: the top two of 5, 16 and 100 equal values are 2, 4; 10, 11; 67, 66; argmax says 0, the exported
# model 0, 1. A silent filter's second peak lies in the middle of the picture.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv onnxruntime==1.32.0 onnx==1.23.2 onnxscript==0.7.2 torch==2.14.1 numpy==2.4.6
venv/bin/python - <<'PY'
import onnxruntime
import torch


class TopTwo(torch.nn.Module):
    def forward(self, x):
        return x.topk(2).indices


found = {n: torch.ones(n).topk(2).indices.tolist() for n in (5, 16, 100)}
x = torch.ones(1, 100)
torch.onnx.export(TopTwo().eval(), (x,), "top.onnx", dynamo=True, verbose=False)
session = onnxruntime.InferenceSession("top.onnx")
there = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0].tolist()
print("torch:", found, "argmax:", x.argmax().item(), "onnxruntime:", there)
assert found == {5: [2, 4], 16: [10, 11], 100: [67, 66]}
assert x.argmax() == 0
assert there == [[0, 1]]
PY
