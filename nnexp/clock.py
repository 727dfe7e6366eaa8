"""Where a command's seconds go. Imported first, so that everything after the start of Python counts."""

from __future__ import annotations

import time

STARTED = time.perf_counter()


class Clock:
    """Wall seconds of each stage, one after another, since the command started or, in a process that somebody else
    started, since some moment."""

    def __init__(self, since: float = STARTED) -> None:
        self.stages: dict[str, float] = {}
        self._since = self._last = since

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.stages[stage] = now - self._last
        self._last = now

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._since
