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


def main() -> None:
    """Make sure that there is a browser, or say that there is none; never fail."""
    if find_chromium():
        return
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # on Windows there is no such user
    if is_root and shutil.which("apt-get"):
        print("[set-up] installing Chromium for the tests in a browser", flush=True)
        install()
    if not find_chromium():
        print(f"[set-up] {ADVICE}; until then the tests in a browser are skipped", flush=True)


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome: what ICNN_CHROMIUM names, or the first one on PATH."""
    names = filter(None, [os.environ.get("ICNN_CHROMIUM")])
    return next(filter(None, map(shutil.which, [*names] or NAMES)), None)


def install() -> None:
    """Install the distribution's package without asking questions; without a network do nothing."""
    command = ["apt-get", "-qq", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quietly = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL, "env": environment}
    if not subprocess.run([*command, "update"], **quietly).returncode:
        packages = ["--yes", "--no-install-recommends", "chromium"]
        subprocess.run([*command, "install", *packages], **quietly)


if __name__ == "__main__":
    main()
