"""The screen of lines: one every few seconds, for whoever reads a file or a pipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nnexp.screen.lines import say
from nnexp.screen.quiet import Quiet
from nnexp.screen.stand import standing_line
from nnexp.screen.start import planned_lines

if TYPE_CHECKING:
    from nnexp.screen.events import Planned
    from nnexp.sweeps.progress import Progress


class Plain(Quiet):
    """Says in lines what runs, and every few seconds how far it is.

    Args: every: seconds between lines.
    """

    def __init__(self, every: float) -> None:
        self._every, self._last = every, time.monotonic()

    def note(self, text: str) -> None:
        """Say it."""
        say(text)

    def planned(self, planned: Planned) -> None:
        """Say what is about to run."""
        for line in planned_lines(planned):
            say(line)

    def show(self, progress: Progress) -> None:
        """Say how far it is, if it is time to."""
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            say(f"  {standing_line(progress)}")
