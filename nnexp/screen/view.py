"""How far a sweep is, as a view of few lines that fits its width."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isfinite
from typing import TYPE_CHECKING

from nnexp.screen.stand import done, leader, outcomes, speed, to_deliver
from nnexp.screen.wording import duration, printable

if TYPE_CHECKING:
    from rich.table import Table

    from nnexp.sweeps.progress import Progress

FAILURES = 3  # the latest; all of them stand above
BAR = 32  # characters, at most


def view(progress: Progress, left: float = inf, since: float = 0.0, pending: int | None = None) -> Table:
    """Return the view.

    Args: left: seconds that it still took when the progress was that. since: seconds since then or, once all is
    trained, since the delivery began. pending: runs that MLflow has to get.
    """
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_row("  work", _bar(progress, left, since if pending is None else None))
    for name, line, style in _lines(progress):
        text = Text(printable(line), no_wrap=True, overflow="ellipsis")  # as it is: [relu,tanh] is no style
        grid.add_row(Text(f"  {name}", style), text)
    if pending is not None:
        grid.add_row("  MLflow", Text(f"{to_deliver(pending)}, {duration(since)}", no_wrap=True, overflow="ellipsis"))
    return grid


def _bar(progress: Progress, left: float, since: float | None) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    bar = ProgressBar(1.0, progress.share, complete_style="cyan", finished_style="cyan")
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(max_width=BAR)
    row.add_column(no_wrap=True)
    row.add_row(bar, f"{progress.share:.0%}, {_time(progress, left, since)}")
    return row


def _time(progress: Progress, left: float, since: float | None) -> str:
    """Return how long it took and takes; that clock runs on until all is trained."""
    if since is None or progress.ended == progress.trials:
        return f"trained in {duration(progress.seconds)}"
    coming = f", about {duration(max(left - since, 0.0))} left" if isfinite(left) else ""
    return f"{duration(progress.seconds + since)}{coming}"


def _lines(progress: Progress) -> Iterator[tuple[str, str, str]]:
    """Yield lines: a name, a text and the name's style."""
    fast = f", {speed(progress)}" if progress.epochs else ""
    yield "trials", f"{done(progress)} done{outcomes(progress)}, {progress.running:,} running{fast}", ""
    if progress.best is not None:
        yield "best", leader(progress.best), "green"
    for failure in progress.failures[-FAILURES:]:
        yield "failed", f"{failure.label}: {failure.reason}", "red"
