#!/usr/bin/env bash
# scipy 1.17.1: loadmat gives a MATLAB array of doubles as uint8 where the file stores it as bytes.
# Guess (0.85): the class in the file is double, so the array is float64.
# Seen: MATLAB stores whole numbers of a double array in the smallest type that holds them, and loadmat
# keeps that one: 100 - 200 is 156. With mat_dtype=True it is float64. Whether the landmarks of one
# photograph are floats depends on whether one of them is a fraction.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv scipy==1.17.1 numpy==2.4.6
venv/bin/python - <<'PY'
import io
import struct
import warnings

from scipy.io import loadmat


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def file(values, kind, code):
    array = element(6, struct.pack("<II", 6, 0))  # of class double
    array += element(5, struct.pack("<ii", 1, len(values))) + element(1, b"x")
    array += element(kind, struct.pack(f"<{len(values)}{code}", *values))
    start = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x100) + b"IM"
    return io.BytesIO(start + element(14, array))


warnings.simplefilter("ignore")
plain = loadmat(file([200, 100], 2, "B"))["x"]
asked = loadmat(file([200, 100], 2, "B"), mat_dtype=True)["x"]
fraction = loadmat(file([200, 100.5], 9, "d"))["x"]
print(plain.dtype, asked.dtype, fraction.dtype, "100 - 200 =", plain[0, 1] - plain[0, 0])
assert [x.dtype.name for x in (plain, asked, fraction)] == ["uint8", "float64", "float64"]
assert plain[0, 1] - plain[0, 0] == 156
assert asked[0, 1] - asked[0, 0] == -100
PY
