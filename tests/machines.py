"""Run all lessons as other machines would: `make test-machines`.

The same notebooks, compared strictly with their saved outputs, with other instruction sets and
numbers of threads; then each lesson is run and saved again, which must not change one byte. Another
Python or torch needs another environment: `make test PYTHON=python3.13` in a clone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tools"))
from lessons import FILES, ROOT
from run_lessons import as_text, execute, tidied

TIMES = re.compile(r'<table class=\\"measured\\"><caption>Time.*?</table>')  # differ in each run
MACHINES = {
    "as it is": {},
    "no vector instructions": {"ATEN_CPU_CAPABILITY": "default"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "AVX-512": {"ATEN_CPU_CAPABILITY": "avx512"},
    "oldest code of MKL, oneDNN, OpenBLAS, NumPy": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
    },
    "2 threads": {"ICNN_TEST_THREADS": "2"},
    "4 threads": {"ICNN_TEST_THREADS": "4"},
}


def main() -> None:
    """Test every machine and the saved bytes; exit with 1 if anything differs."""
    failed = [name for name, settings in MACHINES.items() if not lessons_pass(name, settings)]
    failed += [path.stem for path in FILES if not saves_the_same(path)]
    sys.exit(f"Differs: {', '.join(failed)}" if failed else 0)


def lessons_pass(name: str, settings: dict[str, str]) -> bool:
    """Whether all lessons give their saved outputs; shows what pytest says if not."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile"]
    result = subprocess.run(
        [*command, *map(str, FILES)],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    passed = result.returncode == 0
    print(f"{name}: {'passed' if passed else 'FAILED'}, {time.perf_counter() - start:.0f} s")
    if not passed:
        print(result.stdout[-5000:], result.stderr[-2000:])
    return passed


def saves_the_same(lesson: Path) -> bool:
    """Whether running and saving a lesson again gives the same bytes."""
    again = as_text(tidied(execute(lesson), lesson))
    same = TIMES.sub("", again) == TIMES.sub("", lesson.read_text("utf-8"))
    print(f"{lesson.stem}, run and saved again: {'the same bytes' if same else 'OTHER BYTES'}")
    return same


if __name__ == "__main__":
    main()
