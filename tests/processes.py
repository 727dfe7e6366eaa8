"""Processes, as the system tells of them, for tests that kill some."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LONG = 120.0  # seconds in which anything happens that happens at all, however slow the machine


def within(holds: Callable[[], bool], seconds: float = LONG) -> None:
    """Wait until something holds; AssertionError if it never does."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "this never came to hold"
        time.sleep(0.01)


def is_gone(process: int) -> bool:
    """Return whether a process has ended, even if nobody asked how yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            found += [int(each) for each in path.read_text().split()]
    return found
