"""Run `make test` as a stranger would: `make test-all`.

A fresh clone of what is committed, in a folder with spaces and non-ASCII letters in its name, with
an empty home, and with many more random inputs for the property tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Clone, test, and say how long both set-ups took; exit with the code of the tests."""
    with tempfile.TemporaryDirectory() as scratch:
        clone, home = Path(scratch) / "a fresh klön 複製", Path(scratch) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        environment = {**os.environ, "HOME": str(home), "ICNN_TEST_ALL": "1"}
        environment.pop("VIRTUAL_ENV", None)
        for step in ("environment", "environment", "test"):  # the second one has nothing to do
            start = time.perf_counter()
            code = subprocess.run(
                ["make", step, *sys.argv[1:]], cwd=clone, env=environment
            ).returncode
            print(f"make {step}: exit code {code} after {time.perf_counter() - start:.0f} s")
            if code:
                sys.exit(code)


if __name__ == "__main__":
    main()
