"""How long a sweep still takes."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnexp.sweeps.progress import Progress

SECONDS = 1.0  # of work that are the least to judge by


class Pace:
    """Reckons the time left from the work since the first slice: what was before it went into starting workers."""

    def __init__(self) -> None:
        self._since: tuple[float, float] | None = None  # seconds and share

    def left(self, progress: Progress) -> float:
        """Return seconds to go if the rest is done as fast as what was done; infinite as long as that is not known."""
        seconds, share = progress.seconds, progress.share
        if share == 1:
            return 0.0
        if self._since is None:
            if not share:
                return inf
            self._since = seconds, share
        began, before = self._since
        if seconds - began < SECONDS or share <= before:
            return inf
        return (seconds - began) * (1 - share) / (share - before)
