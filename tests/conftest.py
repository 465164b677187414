"""What several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# `make test` draws the same few examples every time; `make test-all` draws many new ones.
settings.register_profile("once", derandomize=True, max_examples=30, deadline=None)
settings.register_profile("all", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("all" if os.environ.get("ICNN_TEST_ALL") else "once")


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
