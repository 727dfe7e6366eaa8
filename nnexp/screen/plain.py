"""The screen of lines: one every few seconds, for whoever reads a file or a pipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nnexp.screen.lines import say
from nnexp.screen.pace import Pace
from nnexp.screen.quiet import Quiet
from nnexp.screen.stand import standing_line, to_deliver
from nnexp.screen.start import planned_lines

if TYPE_CHECKING:
    from nnexp.screen.events import Planned
    from nnexp.sweeps.progress import Progress


class Plain(Quiet):
    """Says in lines what runs, and every few seconds how far it is.

    Args: every: seconds between lines.
    """

    def __init__(self, every: float) -> None:
        self._every, self._last, self._pace = every, time.monotonic(), Pace()

    def note(self, text: str) -> None:
        """Say it."""
        say(text)

    def planned(self, planned: Planned) -> None:
        """Say what is about to run."""
        for line in planned_lines(planned):
            say(line)

    def show(self, progress: Progress) -> None:
        """Say how far it is, if it is time to."""
        left = self._pace.left(progress)
        if self._is_time():
            say(f"  {standing_line(progress, left)}")

    def delivering(self, pending: int) -> None:
        """Say what MLflow has not got yet, if it is time to."""
        if self._is_time():
            say(f"  trained; MLflow: {to_deliver(pending)}")

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._every:
            return False
        self._last = now
        return True
