"""What several tests share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from set_up_browser import ADVICE, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# `make test` draws the same few examples every time; `make test-all` draws many new ones.
settings.register_profile("once", derandomize=True, max_examples=30, deadline=None)
settings.register_profile("all", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("all" if os.environ.get("ICNN_TEST_ALL") else "once")


@pytest.fixture(scope="session")
def git() -> Callable[..., str]:
    """Asks git about this repository; also where its files belong to somebody else."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        pytest.skip("no git repository; clone it instead of unpacking an archive of it")

    def ask(*arguments: str) -> str:
        command = ["git", "-C", str(root), "-c", "safe.directory=*", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return ask


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder with the photographs that some tests need; they are not part of the series."""
    folder = os.environ.get("ICNN_PHOTOS")
    if not folder:
        pytest.skip(
            "no photographs; clone github.com/zqs1022/detanimalpart and "
            "github.com/zqs1022/interpretableCNN into one folder and set ICNN_PHOTOS to it"
        )
    return Path(folder)


# The content is our own, so no sandbox is needed, which root would not get. The last flag keeps
# the browser itself from asking the network for anything, on top of what tests check of its pages.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


@pytest.fixture(scope="module")  # its event loop must end before a notebook runs in this process
def chromium() -> Iterator[Browser]:
    """A Chromium without a window; without one, tests skip, or fail if ICNN_BROWSER=required."""
    refuse = pytest.fail if os.environ.get("ICNN_BROWSER") == "required" else pytest.skip
    if not (path := find_chromium()):
        refuse(ADVICE)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        refuse("no Playwright; install requirements.lock")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
