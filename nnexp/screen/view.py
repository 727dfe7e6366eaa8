"""How far a sweep is, as a view of few lines that fits its width."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING

from nnexp.screen.stand import done, leader, outcomes, speed
from nnexp.screen.wording import duration, printable

if TYPE_CHECKING:
    from rich.table import Table

    from nnexp.sweeps.progress import Progress

FAILURES = 3  # the latest; all of them stand above
BAR = 32  # characters, at most


def view(progress: Progress, since: float = 0.0) -> Table:
    """Return the view. Args: since: seconds since the progress was that."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_row("  work", _bar(progress, since))
    for name, line, style in _lines(progress):
        text = Text(printable(line), no_wrap=True, overflow="ellipsis")  # as it is: [relu,tanh] is no style
        grid.add_row(Text(f"  {name}", style), text)
    return grid


def _bar(progress: Progress, since: float) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    bar = ProgressBar(1.0, progress.share, complete_style="cyan", finished_style="cyan")
    left = progress.seconds_left
    coming = f", about {duration(max(left - since, 0.0))} left" if isfinite(left) else ""
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(max_width=BAR)
    row.add_column(no_wrap=True)
    row.add_row(bar, f"{progress.share:.0%}, {duration(progress.seconds + since)}{coming}")
    return row


def _lines(progress: Progress) -> Iterator[tuple[str, str, str]]:
    """Yield lines: a name, a text and the name's style."""
    fast = f", {speed(progress)}" if progress.epochs else ""
    yield "trials", f"{done(progress)} done{outcomes(progress)}, {progress.running:,} running{fast}", ""
    if progress.best is not None:
        yield "best", leader(progress.best), "green"
    for failure in progress.failures[-FAILURES:]:
        yield "failed", f"{failure.label}: {failure.reason}", "red"
