"""Screens with a view that changes: on a terminal, and in a notebook."""

from __future__ import annotations

import importlib
import sys
import time
from math import inf
from typing import TYPE_CHECKING, Any

from nnexp.screen.lines import encodable, say
from nnexp.screen.pace import Pace
from nnexp.screen.quiet import Quiet
from nnexp.screen.start import planned_lines
from nnexp.screen.view import view
from nnexp.sweeps.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nnexp.screen.events import Planned, Result

REDRAWS = 2.0  # a second: enough to see seconds go by


class Live(Quiet):
    """Says how far a sweep is in a view below what else there is to say; it is gone at the end."""

    def __init__(self) -> None:
        self._progress, self._since, self._left = Progress(0), 0.0, inf
        self._pace = Pace()
        self._pending: int | None = None  # runs that MLflow has to get, once all is trained
        self._shown: Any = None  # rich's, while there is a view

    def note(self, text: str) -> None:
        """Say it, above the view."""
        say(text)

    def planned(self, planned: Planned) -> None:
        """Say what is about to run, and begin the view."""
        for line in planned_lines(planned):
            say(line)
        if planned.to_train:
            self.show(Progress(planned.to_train, work=1.0))

    def show(self, progress: Progress) -> None:
        """Let the view say how far it is the next time it is drawn."""
        self._progress, self._since, self._left = progress, time.monotonic(), self._pace.left(progress)
        if self._shown is None:
            self._begin()

    def delivering(self, pending: int) -> None:
        """Let the view say what MLflow has not got yet."""
        if self._pending is None:
            self._since = time.monotonic()
        self._pending = pending

    def result(self, result: Result) -> None:
        """Say what came of it in place of the view."""
        self.close()
        super().result(result)

    def close(self) -> None:
        """Take the view away."""
        if self._shown is not None:
            self._shown.stop()
        self._shown = None

    def _begin(self) -> None:
        from rich.live import Live as View

        self._shown = View(
            console=steady_console(), get_renderable=self._view, refresh_per_second=REDRAWS, transient=True
        )
        self._shown.start(refresh=True)

    def _view(self) -> Table:
        return view(self._progress, self._left, time.monotonic() - self._since, self._pending)


class Notebook(Live):
    """Says how far a sweep is in a view that stands where the cell's output began."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = -inf

    def show(self, progress: Progress) -> None:
        """Draw the view, if it is time to."""
        super().show(progress)
        self._draw()

    def delivering(self, pending: int) -> None:
        """Draw the view with what MLflow has not got yet, if it is time to."""
        super().delivering(pending)
        self._draw()

    def close(self) -> None:
        """Leave the view as it is at the end."""
        if self._shown is not None:
            self._shown.update(self._view())
        self._shown = None

    def _begin(self) -> None:
        self._drawn = time.monotonic()
        self._shown = importlib.import_module("IPython.display").display(self._view(), display_id=True)

    def _draw(self) -> None:
        now = time.monotonic()
        if self._shown is not None and now - self._drawn >= 1 / REDRAWS:
            self._drawn = now
            self._shown.update(self._view())


def in_notebook() -> bool:
    """Return whether output goes into a notebook."""
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console

    return Console().is_jupyter


def on_terminal() -> bool:
    """Return whether output goes to a terminal that can draw anew what it has drawn."""
    if not sys.stdout.isatty():
        return False
    from rich.console import Console

    return not Console().is_dumb_terminal


def steady_console() -> Console:
    """Return a console on standard output whose cursor stays visible, so that a killed process takes nothing along."""
    from rich.console import Console

    class Steady(Console):
        def show_cursor(self, show: bool = True) -> bool:
            return False

    return Steady(file=_Enduring(), highlight=False, force_terminal=True)  # type: ignore[arg-type]


class _Enduring:
    """Standard output, on which it is no error that nobody reads any more, or that its encoding lacks a character."""

    def __init__(self) -> None:
        self._stream = sys.stdout

    def write(self, text: str) -> int:
        try:
            return self._stream.write(encodable(text, self._stream.encoding))
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
