"""Find Chromium for the tests that need a real browser, and install it where that is easy.

Run through `make test`. On Debian and Ubuntu, as root, it installs the distribution's package;
everywhere else it only says what to do, because tests without a browser are skipped with a reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ADVICE = (
    "no browser; install Chromium or Chrome (Debian: apt-get install chromium), "
    "or set ICNN_CHROMIUM to its path"
)
PATIENCE = ("-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1")


def main() -> None:
    """Make sure that there is a browser, or say that there is none; never fail."""
    if find_chromium():
        return
    if is_root() and shutil.which("apt-get"):
        print("[set-up] installing Chromium for the tests in a browser", flush=True)
        install()
    if not find_chromium():
        print(f"[set-up] {ADVICE}; until then the tests in a browser are skipped", flush=True)


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome: what ICNN_CHROMIUM names, or the first one on PATH."""
    named = os.environ.get("ICNN_CHROMIUM")
    if named:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, NAMES)), None)


def is_root() -> bool:
    """Whether packages of the system may be installed; on Windows there is no such user."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def install() -> None:
    """Install the distribution's package without asking questions; without a network do nothing."""
    quietly = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = ("--yes", "--no-install-recommends", "chromium")
    for step in (("update",), ("install", *packages)):
        command = ["apt-get", "-qq", *PATIENCE, *step]
        if subprocess.run(command, env=environment, **quietly).returncode:
            return


if __name__ == "__main__":
    main()
