"""The line that says how far a sweep is."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from nnexp.screen.lines import say

if TYPE_CHECKING:
    from nnexp.sweeps.old_execution import Progress

SECONDS_BETWEEN_LINES = 5.0


class Ticker:
    """Says how far a sweep is: a line every few seconds, on a terminal one line that changes."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._terminal = sys.stdout.isatty()
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Say it if it is time to."""
        now = time.monotonic()
        if now - self._last < (0.2 if self._terminal else SECONDS_BETWEEN_LINES):
            return
        self._last = now
        share = progress.epochs_done / max(progress.epochs, 1)
        left = (now - self._began) * (1 - share) / share if share else float("inf")
        diverged = f", {progress.diverged} diverged" if progress.diverged else ""
        done = f"{progress.trials_done} of {progress.trials} trials{diverged}, {share:.0%} of the epochs"
        line = f"  {done}, {left:.0f} s left"
        if self._terminal:
            print("\r" + line.ljust(self._width), end="", flush=True)
            self._width = len(line)
        else:
            say(line)

    def close(self) -> None:
        """Clear the line that changes."""
        if self._terminal and self._width:
            print("\r" + " " * self._width + "\r", end="", flush=True)
