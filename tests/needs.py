"""What some tests need of the system: they are skipped without it, or fail where it was promised.

NNEXP_REQUIRE names what must be there, as in `NNEXP_REQUIRE=postgresql,chromium`: what CI installs.
"""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

Found = TypeVar("Found")


def needed(name: str, found: Found | None, how: str) -> Found:
    """Return what was found; without it the test is skipped, or fails if NNEXP_REQUIRE names it. how: to get it."""
    if found is not None:
        return found
    if name in os.environ.get("NNEXP_REQUIRE", "").split(","):
        pytest.fail(f"{name} is required here and was not found: {how}")
    pytest.skip(f"{name} was not found: {how}")
